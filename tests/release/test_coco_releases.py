"""COCO data sets become releases, and come back; and other data sets become COCO."""

import io
import json
import os
import random
import signal
import subprocess
import sys
import time

import mutants
import numpy as np
import pytest
import strangers
import tensorflow_datasets as tfds
from small_coco import annotations, picture, shares, write_coco, write_json
from small_folders import tree
from strangers import encoded, noise, write_tfds, write_tree

from vmixjax.cli import main
from vmixjax.data import open_source
from vmixjax.data.formats.coco.writer import CocoSink
from vmixjax.data.writing import WORK
from vmixjax.release.unmix import open_release

MUTANTS = int(os.environ.get("VMIXJAX_MUTANTS", "8"))
KILLS = int(os.environ.get("VMIXJAX_KILLS", "1"))
"""They take some seconds each."""

OPTIONS = ["--tile-size", "20", "--ladder", "2:1", "--shard-size", "2"]
OPTIONS += ["--allow-overlaps"]
"""Images of 32 x 48 are no whole tiles."""


def run(*arguments):
    return main(list(map(str, arguments)))


@pytest.fixture(scope="module")
def coco(tmp_path_factory):
    return write_coco(
        tmp_path_factory.mktemp("coco"), train2017=5, val2017=2, test2017=0
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory, coco):
    """A release of it, the vault, and what came back."""
    root = tmp_path_factory.mktemp("made")
    secret = root / "secret"
    secret.write_bytes(bytes(range(32)))
    secret.chmod(0o600)
    keep = ["--vault", root / "vault", "--secret-file", secret]
    assert run("mix", coco, root / "mixed", *OPTIONS, *keep) == 0
    assert run("unmix", root / "mixed", root / "back", "--vault", root / "vault") == 0
    return root


def test_a_release_is_whole_and_no_more(made, coco, capsys):
    mixed, vault = made / "mixed", made / "vault"
    assert run("verify", mixed, "--vault", vault, "--source", coco) == 0
    assert "good" in capsys.readouterr().out
    assert sorted(tree(mixed)) == [
        "annotations/instances_test.json",
        "annotations/instances_train.json",
        "annotations/instances_val.json",
        "release.json",
        *(f"train/0000{number}.png" for number in range(5)),
        *(f"val/0000{number}.png" for number in range(2)),
    ]
    assert not (mixed / WORK).exists()


def test_a_release_says_nothing_of_the_originals(made):
    for name, data in tree(made / "mixed").items():
        for word in (b"Anna", b"http", b"2013", b"000000000", b"licen", b"segm"):
            assert word not in data, (name, word)
    said = json.loads((made / "mixed/annotations/instances_train.json").read_bytes())
    assert set(said) == {"info", "images", "annotations", "categories"}
    assert list(said["info"]) == ["description"]
    assert {tuple(one) for one in said["images"]} == {
        ("id", "file_name", "width", "height")
    }
    assert {tuple(one) for one in said["annotations"]} == {
        ("id", "image_id", "category_id", "bbox", "area", "iscrowd")
    }
    assert [one["id"] for one in said["images"]] == [1, 2, 3, 4, 5]
    assert [one["id"] for one in said["annotations"]] == list(range(1, 11))
    assert said["categories"] == [
        {"id": 1, "name": "cat"},
        {"id": 2, "name": "dog"},
        {"id": 3, "name": "brush"},
    ]


def test_boxes_are_where_they_were(made):
    """In pixels, though images have become larger."""
    there = {}
    for name, image, objects in strangers.read_coco(made / "mixed"):
        assert image.shape == (40, 60, 3)
        there.setdefault(name.split("/")[0], []).append(objects)
    for split, count in (("train", 5), ("val", 2)):
        said = annotations(count)
        names = {one["id"]: one["name"] for one in said["categories"]}
        expected = [
            [
                (names[one["category_id"]], one["bbox"])
                for one in said["annotations"]
                if one["image_id"] == image["id"]
            ]
            for image in said["images"]
        ]
        # Each image has as many as no other.
        found = sorted(there[split], key=len)
        for mine, right in zip(found, expected, strict=True):
            assert [name for name, _ in mine] == [name for name, _ in right]
            for (_, one), (_, other) in zip(mine, right, strict=True):
                assert one == pytest.approx(other, abs=1e-4)


def test_what_comes_back_is_what_was_mixed(made):
    back = list(strangers.read_coco(made / "back"))
    names = [name for name, *_ in back]
    # Of a split without images nothing comes.
    assert names == [
        *(f"train/00000000000{number}.png" for number in range(5)),
        *(f"val/00000000000{number}.png" for number in range(2)),
    ]
    assert not (made / "back" / WORK).exists()
    said = annotations(5)
    for number, (_, image, objects) in enumerate(back[:5]):
        np.testing.assert_array_equal(image, picture(number))
        boxes = [
            a["bbox"] for a in said["annotations"] if a["image_id"] == 100 + number
        ]
        # To the last digit.
        assert [box for _, box in objects] == boxes
    source = open_source(str(made / "back"))
    areas = source.read("train", 4).values["objects"].others
    assert areas["area"].tolist() == [100.25, 101.25, 102.25, 103.25]
    assert areas["is_crowd"].tolist() == [False, True, False, True]


def test_others_read_it(made, capsys):
    coco = pytest.importorskip("pycocotools.coco")
    evaluation = pytest.importorskip("pycocotools.cocoeval")
    path = made / "mixed/annotations/instances_train.json"
    there = coco.COCO(str(path))
    assert len(there.getImgIds()) == 5
    assert len(there.getAnnIds(iscrowd=False)) == 6
    found = [
        {**{k: one[k] for k in ("image_id", "category_id", "bbox")}, "score": 1.0}
        for one in there.loadAnns(there.getAnnIds(iscrowd=False))
    ]
    run = evaluation.COCOeval(there, there.loadRes(found), "bbox")
    run.evaluate()
    run.accumulate()
    run.summarize()
    assert run.stats[0] == 1
    capsys.readouterr()


def test_names_and_order_are_kept_where_asked(coco, tmp_path):
    mixed = tmp_path / "mixed"
    kept = ["--keep-names", "--keep-order", "--vault", tmp_path / "vault"]
    assert run("mix", coco, mixed, *OPTIONS, *kept) == 0
    names = [name for name, *_ in strangers.read_coco(mixed)]
    assert names[:2] == ["train/000000000000.png", "train/000000000001.png"]
    assert run("verify", mixed, "--vault", tmp_path / "vault") == 0
    one = ["--id", "train2017/000000000003.png", "--vault", tmp_path / "vault"]
    assert run("unmix", mixed, tmp_path / "one", *one) == 0
    ((name, image, objects),) = strangers.read_coco(tmp_path / "one")
    assert (name, len(objects)) == ("train/000000000003.png", 3)
    np.testing.assert_array_equal(image, picture(3))


def test_names_that_would_meet_are_told_apart(tmp_path):
    said = annotations(2)
    said["images"][0]["file_name"], said["images"][1]["file_name"] = "a.bmp", "a.png"
    write_json(tmp_path / "set" / "annotations.json", said)
    files = {"a.bmp": encoded(picture(0)), "a.png": encoded(picture(1))}
    write_tree(tmp_path / "set", files)
    source, vault = f"coco:{tmp_path / 'set'}", ["--vault", tmp_path / "vault"]
    assert run("mix", source, tmp_path / "mixed", *OPTIONS, *vault) == 0
    assert run("unmix", tmp_path / "mixed", tmp_path / "back", *vault) == 0
    names = [name for name, *_ in strangers.read_coco(tmp_path / "back")]
    assert names == ["train/a.bmp.png", "train/a.png.png"]


def write_objects(folder, *, whole=True):
    """A data set of TFDS, of the features that its `coco` has."""
    features = {
        "image": tfds.features.Image(shape=(None, None, 3)),
        "objects": tfds.features.Sequence(
            {
                "area": np.int64 if whole else np.float32,
                "bbox": tfds.features.BBoxFeature(),
                "is_crowd": np.bool_,
                "label": tfds.features.ClassLabel(names=["cat", "dog"]),
            }
        ),
    }
    rng = np.random.default_rng(5)
    examples = []
    for number in range(3):
        low = rng.random((number, 2)) / 2
        corners = np.concatenate([low, low + 0.1 + 0.4 * rng.random(low.shape)], 1)
        objects = [
            {
                "area": 2**33 + one if whole else 0.1 * one,
                "bbox": corners[one],
                "is_crowd": bool(one % 2),
                "label": one % 2,
            }
            for one in range(number)
        ]
        image = io.BytesIO(encoded(picture(number)))
        examples.append({"image": image, "objects": objects})
    return write_tfds(folder, features, examples)


def values(source, split="train"):
    """What belongs to each image of a source, by its pixels."""
    examples = (source.read(split, n) for n in range(source.splits[split]))
    return {one.image.tobytes(): one.values["objects"] for one in examples}


@pytest.mark.parametrize("whole", [True, False])
def test_there_and_back_through_tfds(tmp_path, whole):
    pets = write_objects(tmp_path / "pets" / "1.0.0", whole=whole)
    first = f"tfds:{pets}"
    vaults = [["--vault", tmp_path / f"vault-{number}"] for number in range(2)]
    one, two = tmp_path / "one", tmp_path / "two"
    assert run("mix", first, one, "--format", "coco", *OPTIONS, *vaults[0]) == 0
    assert run("verify", one, *vaults[0]) == 0
    assert run("unmix", one, tmp_path / "back", *vaults[0]) == 0
    second = tmp_path / "back"
    expected = open_source(first)
    there = open_source(str(second))
    assert there.fields == expected.fields
    assert run("mix", second, two, "--format", "tfds", *OPTIONS, *vaults[1]) == 0
    assert run("verify", two, *vaults[1]) == 0
    assert run("unmix", two, tmp_path / "again", *vaults[1]) == 0
    again = open_source(f"tfds:{tmp_path / 'again'}")
    assert again.fields == expected.fields
    for source in (there, again):
        found = values(source)
        assert len(found) == 3
        for image, boxes in values(expected).items():
            assert found[image].alike(boxes)


def test_what_it_cannot_hold_is_refused_before_anything_is_written(tmp_path, capsys):
    write_tree(tmp_path / "photos", {"cats/a.png": encoded(noise(1))})
    mixed = tmp_path / "mixed"
    assert run("mix", tmp_path / "photos", mixed, "--format", "coco") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--format coco cannot hold the field label, but boxes of objects" in line
    features = {
        "image": tfds.features.Image(shape=(8, 8, 3)),
        "objects": tfds.features.Sequence(
            {"bbox": tfds.features.BBoxFeature(), "pose": np.int64}
        ),
    }
    box = {"bbox": np.array([0, 0, 1, 1]), "pose": 3}
    example = {"image": io.BytesIO(encoded(noise(1))), "objects": [box]}
    write_tfds(tmp_path / "pets", features, [example])
    source, drop = f"tfds:{tmp_path / 'pets'}", ["--drop", "objects/pose"]
    assert run("mix", source, mixed, "--format", "coco") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--format coco cannot hold pose of objects" in line
    assert "--drop objects/pose" in line
    assert not mixed.exists()
    options = [*OPTIONS, "--format", "coco", "--vault", tmp_path / "vault"]
    assert run("mix", source, mixed, *options, *drop) == 0
    assert run("verify", mixed, "--vault", tmp_path / "vault") == 0
    ((_, _, objects),) = strangers.read_coco(mixed)
    # Classes without names are called by their numbers.
    assert [name for name, _ in objects] == ["0"]
    assert objects[0][1] == pytest.approx([0, 0, 8, 8])


def test_images_without_boxes_become_such_of_no_objects(tmp_path):
    write_tree(tmp_path / "photos", {f"{i}.png": encoded(noise(i)) for i in range(3)})
    mixed, vault = tmp_path / "mixed", ["--vault", tmp_path / "vault"]
    options = [*OPTIONS, "--format", "coco", *vault]
    assert run("mix", tmp_path / "photos", mixed, *options) == 0
    assert run("verify", mixed, *vault) == 0
    assert run("unmix", mixed, tmp_path / "back", *vault) == 0
    back = list(strangers.read_coco(tmp_path / "back"))
    assert [name for name, *_ in back] == [f"train/{i}.png" for i in range(3)]
    for number, (_, image, objects) in enumerate(back):
        np.testing.assert_array_equal(image, noise(number))
        assert objects == []


def test_faults_are_told_counted_and_left_out(tmp_path, capsys):
    root = write_coco(tmp_path / "set", train=4)
    path = root / "annotations" / "instances_train.json"
    said = json.loads(path.read_text())
    said["annotations"][-1]["bbox"][2] = 500
    said["annotations"][0]["image_id"] = 1
    said["images"].pop(0)
    write_json(path, said)
    mixed = tmp_path / "mixed"
    assert run("mix", root, mixed, *OPTIONS, "--strict") == 2
    assert "which reaches out" not in capsys.readouterr().err
    assert not mixed.exists()
    assert run("mix", root, mixed, *OPTIONS, "--json") == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["images"] == 2
    left_out = json.loads(out)["left_out"]
    assert len(left_out) == 3
    for line, words in zip(
        left_out,
        ("objects in 1 images", "named by no annotations", "reaches out of it"),
        strict=True,
    ):
        assert words in line
        assert line in err
    assert len(list(strangers.read_coco(mixed))) == 2
    assert run("verify", mixed) == 0


def test_other_labels_are_another_source(coco, tmp_path, capsys):
    root = write_coco(tmp_path / "set", train=3)
    vault = ["--vault", tmp_path / "vault"]
    assert run("mix", root, tmp_path / "mixed", *OPTIONS, *vault) == 0
    path = root / "annotations" / "instances_train.json"
    said = json.loads(path.read_text())
    write_json(path, said | {"info": {}})
    assert run("mix", root, tmp_path / "mixed", *OPTIONS, *vault) == 0
    capsys.readouterr()
    said["annotations"][0]["bbox"][0] += 1
    write_json(path, said)
    assert run("mix", root, tmp_path / "mixed", *OPTIONS, *vault) == 2
    said = capsys.readouterr().err
    assert "1 changed (train/000000000001.png)" in said
    assert "--update" not in said


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"iscrowd":0}', b'"iscrowd":0,"name":"Anna"}'),
        (b'"info":{', b'"info":{"contributor":"Anna",'),
        (b'"width":60', b'"width":60,"coco_url":"http://x"'),
        (b'{"id":1,"file_name"', b'{"id":7,"file_name"'),
        (b'"name":"cat"', b'"name":"cat","supercategory":"animal"'),
    ],
)
def test_what_annotations_hold_beyond_a_release_is_found(made, tmp_path, old, new):
    mixed = tmp_path / "mixed"
    write_tree(mixed, tree(made / "mixed"))
    assert list(open_release(mixed)[0].loose()) == []
    path = mixed / "annotations" / "instances_train.json"
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new))
    (line,) = open_release(mixed)[0].loose()
    assert "annotations/instances_train.json holds more than images of the" in line


def test_other_boxes_and_classes_are_not_restored(made, tmp_path, capsys):
    for number, (old, new) in enumerate(
        [(b'"category_id":1', b'"category_id":2'), (b'"name":"cat"', b'"name":"bat"')]
    ):
        mixed = write_tree(tmp_path / f"{number}", tree(made / "mixed"))
        for split in ("train", "val", "test"):
            path = mixed / "annotations" / f"instances_{split}.json"
            path.write_bytes(path.read_bytes().replace(old, new))
        vault = ["--vault", made / "vault"]
        assert run("verify", mixed, *vault) == 1
        capsys.readouterr()
        assert run("unmix", mixed, tmp_path / f"back-{number}", *vault) != 0
        assert "has another label, or other things beside" in capsys.readouterr().err


def test_mutants_of_annotations_are_found(made, tmp_path, capsys):
    """Whatever they hold: a line says so, and what is not as it was is not restored."""
    path = tmp_path / "mixed/annotations/instances_train.json"
    write_tree(tmp_path / "mixed", tree(made / "mixed"))
    good = path.read_bytes()
    vault = ["--vault", made / "vault"]
    originals = {
        name: (image.tobytes(), objects)
        for name, image, objects in strangers.read_coco(made / "back")
    }
    for number in range(MUTANTS):
        dice = mutants.chance("coco release", number)
        bad = mutants.mutate_json(good, dice, ["../secret.png", "/dev/zero"])
        if bad == good:
            continue
        path.write_bytes(bad)
        assert run("verify", tmp_path / "mixed", *vault) == 1
        back = tmp_path / f"back-{number}"
        status = run("unmix", tmp_path / "mixed", back, *vault)
        assert "Traceback" not in capsys.readouterr().err
        there = list(strangers.read_coco(back)) if back.exists() else []
        assert (len(there) == len(originals)) == (status == 0)
        for name, image, objects in there:
            assert originals[name] == (image.tobytes(), objects)


class Stop(KeyboardInterrupt):
    """Somebody stops a run."""


def stopping(patch, place):
    """Makes what ends a release stop before it begins, half-way, or once it is done."""
    finish, entries = CocoSink.finish, CocoSink._entries

    def stopped(self, counts):
        if place == "before":
            raise Stop
        finish(self, counts)
        raise Stop

    def half(self, split, numbers):
        if split == "val":
            raise Stop
        return entries(self, split, numbers)

    if place == "half-way":
        patch.setattr(CocoSink, "_entries", half)
    else:
        patch.setattr(CocoSink, "finish", stopped)


@pytest.mark.parametrize("place", ["before", "half-way", "after"])
def test_stopped_at_the_end_it_goes_on_to_the_same_bytes(
    made, coco, tmp_path, place, capsys
):
    keep = ["--vault", tmp_path / "vault", "--secret-file", made / "secret"]
    arguments = ["mix", coco, tmp_path / "mixed", *OPTIONS, *keep]
    with pytest.MonkeyPatch.context() as patch:
        stopping(patch, place)
        assert run(*arguments) == 130
    assert (tmp_path / "mixed" / WORK).exists()
    assert not list((tmp_path / "mixed" / WORK).glob("*.part"))
    capsys.readouterr()
    assert run(*arguments) == 0
    assert "7 images are there" in capsys.readouterr().err
    assert tree(tmp_path / "mixed") == tree(made / "mixed")


def test_what_a_shard_has_laid_aside_is_checked(made, coco, tmp_path, capsys):
    keep = ["--vault", tmp_path / "vault", "--secret-file", made / "secret"]
    arguments = ["mix", coco, tmp_path / "mixed", *OPTIONS, *keep]
    with pytest.MonkeyPatch.context() as patch:
        stopping(patch, "before")
        assert run(*arguments) == 130
    work = tmp_path / "mixed" / WORK
    aside = sorted(work.glob("*.aside"))
    assert [path.name for path in aside] == [
        "train-000000.aside",
        "train-000001.aside",
        "train-000002.aside",
        "val-000000.aside",
    ]
    aside[0].write_bytes(aside[0].read_bytes().replace(b"00000.png", b"00009.png"))
    aside[3].unlink()
    capsys.readouterr()
    assert run(*arguments) == 0
    assert "3 images are there" in capsys.readouterr().err
    assert tree(tmp_path / "mixed") == tree(made / "mixed")


def test_a_secret_that_is_forgotten_starts_over(coco, tmp_path, capsys):
    arguments = ["mix", coco, tmp_path / "mixed", *OPTIONS]
    with pytest.MonkeyPatch.context() as patch:
        stopping(patch, "after")
        assert run(*arguments) == 130
    capsys.readouterr()
    assert run(*arguments) == 0
    assert "that secret is forgotten" in capsys.readouterr().err
    assert run("verify", tmp_path / "mixed") == 0


def test_restoring_leaves_nothing_behind(made, tmp_path):
    back, vault = tmp_path / "back", ["--vault", made / "vault"]
    with pytest.MonkeyPatch.context() as patch:
        stopping(patch, "before")
        assert run("unmix", made / "mixed", back, *vault) == 130
    assert not (back / WORK).exists()
    # Killed, it could not clear up.
    (back / WORK).mkdir()
    (back / WORK / "train-000007.aside").write_text("Anna")
    assert run("unmix", made / "mixed", back, *vault, "--overwrite") == 0
    assert tree(back) == tree(made / "back")


@pytest.mark.parametrize("number", range(KILLS))
def test_killed_at_random_it_goes_on_to_the_same_bytes(made, coco, tmp_path, number):
    chance = random.Random(number)
    mixed = tmp_path / "mixed"
    keep = ["--vault", tmp_path / "vault", "--secret-file", made / "secret"]
    arguments = [*map(str, (coco, mixed, *OPTIONS, *keep))]
    command = [sys.executable, "-m", "vmixjax.cli", "mix", *arguments]
    killed = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    shards = chance.randrange(4)
    while killed.poll() is None and (
        len(list((mixed / WORK).glob("*-*.json"))) <= shards
    ):
        time.sleep(0.0005)
    time.sleep(chance.uniform(0, 0.05))
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    wanted = tree(made / "mixed")
    for name, data in tree(mixed).items():
        if not name.startswith(WORK):
            assert wanted[name] == data, f"{name} is partial"
    assert run("mix", *arguments) == 0
    assert tree(mixed) == wanted


def test_boxes_are_shares_of_the_padded_image(made, coco):
    """As any reader has them, and as whoever learns from the release does."""
    source = open_source(f"coco:{made / 'mixed'}", released=True)
    expected = {len(one): one for one in (shares(annotations(5), n) for n in range(5))}
    for number in range(5):
        corners = source.read("train", number).values["objects"].corners
        right = expected[len(corners)] * np.array([32 / 40, 48 / 60] * 2, np.float32)
        np.testing.assert_allclose(corners, right, rtol=1e-6)

"""Releases as Pascal VOC and YOLO have data sets: mixed, verified, killed, restored."""

import io
import shutil
import signal
import subprocess
import sys
import time

import box_sets
import numpy as np
import pytest
import tensorflow_datasets as tfds
from box_sets import MAKE, READ, write_voc
from small_folders import tree
from stills import after_each_flush
from strangers import write_tfds

from vmixjax.cli import main
from vmixjax.data import encode_png, open_source
from vmixjax.data.writing import WORK

OPTIONS = ["--tile-size", "8", "--shard-size", "2"]
SPLITS = {"train": ["b-anna", "a-anna", "c-anna"], "val": ["e-anna"], "test": []}
NAMES = ["zebra", "ant", "bee"]


def boxes_of(number):
    """Boxes of an example, at places that padding to whole tiles rounds."""
    ends = [(1, 2, 9, 13), (3, 5, 20, 18)][: number % 3]
    return [(NAMES[(number + k) % 3], *end) for k, end in enumerate(ends)]


def write_pets(folder, height=20, width=18):
    """A TFDS data set whose images are not whole tiles."""
    features = {
        "image": tfds.features.Image(shape=(height, width, 3), encoding_format="png"),
        "objects": tfds.features.Sequence(
            {
                "bbox": tfds.features.BBoxFeature(),
                "label": tfds.features.ClassLabel(names=NAMES),
            }
        ),
    }
    examples = [
        {
            "image": io.BytesIO(encode_png(box_sets.picture(number, height, width))),
            "objects": [
                {
                    "bbox": tfds.features.BBox(
                        ymin / height, xmin / width, ymax / height, xmax / width
                    ),
                    "label": name,
                }
                for name, ymin, xmin, ymax, xmax in boxes_of(number)
            ],
        }
        for number in range(5)
    ]
    return write_tfds(folder, features, examples)


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret"
    path.write_bytes(bytes(range(32)))
    path.chmod(0o600)
    return ["--secret-file", str(path)]


def run(*arguments):
    return main([str(argument) for argument in arguments])


def in_shares(found, kind):
    """Boxes as shares, whatever they are read as: {name: (class, corners...)}."""
    boxes = {}
    for name, (_, image, some) in found.items():
        height, width = image.shape[:2]
        sides = (height, width, height, width) if kind == "voc" else (1, 1, 1, 1)
        boxes[name] = [
            (one[0], *(end / side for end, side in zip(one[1:5], sides, strict=True)))
            for one in some
        ]
    return boxes


def as_set(boxes):
    """Boxes of images in any order, as float32 has them."""
    return sorted(
        str([(name, *map(float, np.float32(ends))) for name, *ends in some])
        for some in boxes
    )


@pytest.mark.parametrize("kind", ["voc", "yolo"])
def test_as_it_came_it_comes_back(tmp_path, capsys, kind):
    src = MAKE[kind](tmp_path / "anna", SPLITS)
    mixed, vault, back = (tmp_path / name for name in ("mixed", "vault", "back"))
    assert run("mix", f"{kind}:{src}", mixed, *OPTIONS, "--vault", vault) == 0
    there, wanted = READ[kind](mixed), READ[kind](src)
    assert as_set(in_shares(there, kind).values()) == as_set(
        in_shares(wanted, kind).values()
    )
    assert sorted(split for split, *_ in there.values()) == ["train"] * 3 + ["val"]
    if kind == "voc":
        assert sorted(there) == ["00000", "00001", "00002", "val_00000"]
        assert (mixed / "ImageSets/Main/test.txt").read_bytes() == b""
        # Flags go with their boxes.
        assert {box[5] for _, _, some in there.values() for box in some} == {"0", "1"}
    written = b"".join(tree(mixed).values()).lower()
    assert not any(word in written for word in (b"anna", b"/home", b"left", b"head"))
    capsys.readouterr()
    assert run("verify", mixed, "--vault", vault, "--source", f"{kind}:{src}") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "good"
    assert run("unmix", mixed, back, "--vault", vault) == 0
    restored = READ[kind](back)
    assert restored.keys() == wanted.keys()
    for name, (split, image, boxes) in wanted.items():
        assert split == restored[name][0]
        shares = [in_shares({"": found[name]}, kind) for found in (wanted, restored)]
        assert as_set(shares[0].values()) == as_set(shares[1].values())
        assert kind == "yolo" or boxes == restored[name][2]
        np.testing.assert_array_equal(restored[name][1], image)
    if kind == "voc":
        lists = "ImageSets/Main/train.txt"
        assert (back / lists).read_bytes() == (src / lists).read_bytes()
    # One alone, by its old name.
    old = next(iter(wanted)) if kind == "yolo" else "JPEGImages/e-anna.png"
    one = tmp_path / "one"
    assert run("unmix", mixed, one, "--vault", vault, "--id", old) == 0
    assert [name for name in tree(one) if name.endswith(".png")] == [old]


@pytest.mark.parametrize("kind", ["voc", "yolo"])
@pytest.mark.parametrize("fit", ["pad", "crop"])
def test_boxes_of_tfds_go_there_and_back(tmp_path, kind, fit):
    src = write_pets(tmp_path / "pets")
    mixed, vault, back = (tmp_path / name for name in ("mixed", "vault", "back"))
    keep = ["--vault", vault, "--format", kind, "--fit", fit, "--keep-order"]
    assert run("mix", f"tfds:{src}", mixed, *OPTIONS, *keep) == 0
    height, width = (24, 24) if fit == "pad" else (16, 16)
    found = READ[kind](mixed)
    assert len(found) == 5
    for number, (name, (_, image, _)) in enumerate(sorted(found.items())):
        assert image.shape == (height, width, 3)
        cut = [
            (label, *np.minimum(ends, [height, width] * 2))
            for label, *ends in boxes_of(number)
        ]
        expected = [
            (label, *(np.array(ends) / ([height, width] * 2))) for label, *ends in cut
        ]
        there = in_shares(found, kind)[name]
        assert [box[0] for box in there] == [box[0] for box in expected]
        corners = [[box[1:] for box in some] for some in (there, expected)]
        np.testing.assert_allclose(*corners, rtol=0, atol=2**-22)
    if kind == "voc":
        texts = [path.read_text() for path in mixed.glob("Annotations/*.xml")]
        assert not any(
            "." in line for text in texts for line in text.split("<name>")[1:]
        )
    assert run("verify", mixed, "--vault", vault) == 0
    assert run("unmix", mixed, back, "--vault", vault) == 0
    restored = READ[kind](back)
    prefix, suffix = ("train/", "") if kind == "voc" else ("images/train/", ".png")
    for number in range(5):
        _, image, _ = restored[f"{prefix}{number}{suffix}"]
        np.testing.assert_array_equal(image, box_sets.picture(number, 20, 18))
        there = in_shares(restored, kind)[f"{prefix}{number}{suffix}"]
        right = [
            (name, a / 20, b / 18, c / 20, d / 18)
            for name, a, b, c, d in boxes_of(number)
        ]
        assert as_set([there]) == as_set([right])


def test_each_format_gives_the_next_its_boxes(tmp_path):
    """What VOC has becomes YOLO, TFDS, and VOC again: the same boxes and classes."""
    src = write_voc(tmp_path / "voc", SPLITS)
    chain = [
        (f"voc:{src}", "yolo", ["--drop", "objects/is_difficult"]),
        (None, "tfds", []),
    ]
    place = None
    for source, kind, more in [*chain, (None, "voc", [])]:
        mixed = tmp_path / f"{kind}-again"
        arguments = [source or place, mixed, "--format", kind, "--keep-order", *more]
        assert run("mix", *arguments, *OPTIONS) == 0
        place = f"{kind}:{mixed}"
    first = in_shares(box_sets.read_voc(src), "voc")
    last = in_shares(box_sets.read_voc(tmp_path / "voc-again"), "voc")
    assert as_set(first.values()) == as_set(last.values())


@pytest.mark.parametrize("kind", ["voc", "yolo"])
def test_names_and_order_are_kept_where_asked(tmp_path, kind):
    src, mixed = MAKE[kind](tmp_path / "src", SPLITS), tmp_path / "mixed"
    keep = ["--keep-names", "--keep-order"]
    assert run("mix", f"{kind}:{src}", mixed, *OPTIONS, *keep) == 0
    assert READ[kind](mixed).keys() == READ[kind](src).keys()
    if kind == "voc":
        lists = "ImageSets/Main/train.txt"
        assert (mixed / lists).read_text() == (src / lists).read_text()


@pytest.mark.parametrize("kind", ["voc", "yolo"])
def test_splits_have_the_names_that_they_had(tmp_path, kind):
    splits = {"train": ["a", "b"], "validation": ["c"]}
    src = MAKE[kind](tmp_path / "src", splits)
    mixed, vault, back = (tmp_path / name for name in ("mixed", "vault", "back"))
    assert run("mix", f"{kind}:{src}", mixed, *OPTIONS, "--vault", vault) == 0
    if kind == "yolo":
        about = (mixed / "data.yaml").read_text().splitlines()
        assert 'val: "images/validation"' in about
    assert run("verify", mixed, "--vault", vault) == 0
    assert run("unmix", mixed, back, "--vault", vault) == 0
    restored = [{*open_source(f"{kind}:{root}").splits} for root in (mixed, back)]
    assert restored == [{*splits}] * 2


@pytest.mark.parametrize("kind", ["voc", "yolo"])
def test_interrupted_anywhere_it_goes_on_to_the_same_bytes(
    tmp_path, secret, monkeypatch, kind
):
    src = MAKE[kind](tmp_path / "src", {"train": "abcd", "val": "e", "test": []})
    whole, copies = tmp_path / "whole", []

    def copy():
        copies.append(tmp_path / f"copy-{len(copies)}")
        shutil.copytree(whole, copies[-1])

    options = [*OPTIONS, *secret, "--workers", "1"]
    with monkeypatch.context() as patch:
        after_each_flush(patch, copy)
        assert run("mix", f"{kind}:{src}", whole, *options) == 0
    wanted = tree(whole)
    assert len(copies) > 15
    for left in copies[1::4] + copies[-3:]:
        assert run("mix", f"{kind}:{src}", left, *options) == 0
        assert tree(left) == wanted


def test_killed_it_goes_on_and_is_restored(tmp_path):
    src = write_voc(tmp_path / "src", {"train": [f"{n:02d}" for n in range(40)]})
    mixed, vault, back = (tmp_path / name for name in ("mixed", "vault", "back"))
    arguments = [f"voc:{src}", mixed, *OPTIONS, "--vault", vault, "--allow-overlaps"]
    command = [sys.executable, "-m", "vmixjax.cli", "mix", *map(str, arguments)]
    killed = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while killed.poll() is None and len(list((mixed / WORK).glob("*-*.json"))) < 3:
        time.sleep(0.001)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (mixed / "release.json").exists()
    assert run("mix", *arguments) == 0
    assert run("verify", mixed, "--vault", vault) == 0
    assert run("unmix", mixed, back, "--vault", vault) == 0
    restored, wanted = box_sets.read_voc(back), box_sets.read_voc(src)
    assert restored.keys() == wanted.keys()
    for name, (_, image, _) in wanted.items():
        np.testing.assert_array_equal(restored[name][1], image)

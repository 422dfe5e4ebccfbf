"""Soft labels of a teacher go with their images, in every format that has room."""

import io
import json

import numpy as np
import pytest
import tensorflow_datasets as tfds
from small_folders import picture, tree
from strangers import encoded, read_tars, write_tar, write_tfds

from vmixjax.cli import main
from vmixjax.data import Probabilities, open_source, write_png
from vmixjax.release import mix as mixing

CLASSES = ("cats", "dogs", "frogs")
COUNT = 9
SMALL = ["--tile-size", "8", "--shard-size", "4"]


def row(number):
    """Other probabilities for each image."""
    weights = np.random.default_rng(number).random(len(CLASSES), np.float32)
    return weights / weights.sum()


def write_soft(path, names, rows=None, classes=CLASSES):
    rows = [row(number) for number in range(len(names))] if rows is None else rows
    np.savez(path, names=np.array(names), probabilities=rows, classes=classes)
    return path


@pytest.fixture
def photos(tmp_path):
    """A folder of images, and its soft labels in another order."""
    names = [f"{CLASSES[n % 3]}/{n}.png" for n in range(COUNT)]
    for number, name in enumerate(names):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_png(path, picture(number))
    # What is no image needs no row; who has one too many, has one too many.
    (tmp_path / "photos" / "cats" / "notes.txt").write_text("no image")
    order = np.random.default_rng(0).permutation(COUNT)
    rows = [row(number) for number in [*order, 99]]
    write_soft(tmp_path / "soft.npz", [*(names[n] for n in order), "cats/x.png"], rows)
    return tmp_path / "photos"


def mix(*arguments, status=1):
    """One file of the folder is no image, so the usual status is 1."""
    assert main(["mix", *map(str, arguments), *SMALL]) == status


def refused(capsys, *arguments):
    capsys.readouterr()
    mix(*arguments, status=2)
    (line,) = capsys.readouterr().err.splitlines()
    return line


def strangers_pairs(folder, split="train"):
    """Lists (image, soft label), as TFDS and `tarfile` read them without our code."""
    if (folder / "features.json").exists():
        builder = tfds.builder_from_directory(folder)
        feature = builder.info.features["soft_label"]
        assert type(feature) is tfds.features.Tensor
        assert (feature.shape, feature.np_dtype) == ((3,), np.float32)
        for example in builder.as_data_source(split):
            yield example["image"], example["soft_label"]
    else:
        for _, image, beside in read_tars(folder):
            yield image, np.load(io.BytesIO(beside["soft_label.npy"]))


def values_of(image):
    """What no shuffle changes: the values of each channel."""
    return np.sort(image.reshape(-1, 3), axis=0).tobytes()


@pytest.mark.parametrize("kind", ["tfds", "webdataset"])
@pytest.mark.parametrize("order", [[], ["--keep-order"]])
def test_each_soft_label_stays_with_its_image(photos, tmp_path, capsys, kind, order):
    mixed, vault, back = (tmp_path / name for name in ("mixed", "vault", "back"))
    soft = ["--soft-labels", tmp_path / "soft.npz", "--vault", vault]
    mix(photos, mixed, "--format", kind, *soft, *order)
    told = [line for line in capsys.readouterr().out.splitlines() if "soft" in line]
    assert len(told) == 1
    expected = {values_of(picture(n)): n for n in range(COUNT)}
    assert len(expected) == COUNT
    found = [(expected[values_of(i)], soft) for i, soft in strangers_pairs(mixed)]
    numbers = [number for number, _ in found]
    assert sorted(numbers) == list(range(COUNT))
    # By class, as folders are read.
    in_order = sorted(range(COUNT), key=lambda n: (n % 3, n))
    assert (numbers == in_order) == bool(order)
    for number, probabilities in found:
        assert probabilities.dtype == np.float32
        np.testing.assert_array_equal(probabilities, row(number))

    manifest = json.loads((mixed / "release.json").read_text())
    assert "soft_label" in manifest["fields"]
    assert manifest["about"]["soft_labels"] is True
    text = b"".join(tree(mixed).values())
    assert b"soft.npz" not in text
    assert str(tmp_path).encode() not in text

    source = open_source(str(mixed))
    names = CLASSES if kind == "tfds" else None
    assert source.fields["soft_label"] == Probabilities(3, names)
    for index, number in enumerate(numbers):
        for values in (
            source.values("train", index),
            source.read("train", index).values,
        ):
            assert values["soft_label"].dtype == np.float32
            np.testing.assert_array_equal(values["soft_label"], row(number))

    assert main(["verify", str(mixed), "--vault", str(vault)]) == 0
    assert main(["unmix", str(mixed), str(back), "--vault", str(vault)]) == 0
    assert (
        main(
            [
                "unmix",
                str(mixed),
                f"{back}-one",
                "--vault",
                str(vault),
                "--id",
                "cats/3.png",
            ]
        )
        == 0
    )
    restored = {image.tobytes(): soft for image, soft in strangers_pairs(back)}
    assert restored.keys() == {picture(n).tobytes() for n in range(COUNT)}
    for number in range(COUNT):
        np.testing.assert_array_equal(restored[picture(number).tobytes()], row(number))
    ((image, soft),) = strangers_pairs(tmp_path / "back-one")
    np.testing.assert_array_equal(image, picture(3))
    np.testing.assert_array_equal(soft, row(3))


@pytest.fixture
def pets(tmp_path):
    """A TFDS data set and tar files that have soft labels already, and two splits."""
    examples = [
        {"image": io.BytesIO(encoded(picture(n))), "label": n % 3, "soft_label": row(n)}
        for n in range(COUNT)
    ]
    features = {
        "image": tfds.features.Image(shape=(16, 16, 3)),
        "label": tfds.features.ClassLabel(names=CLASSES),
        "soft_label": tfds.features.Tensor(shape=(3,), dtype=np.float32),
    }
    write_tfds(tmp_path / "pets", features, examples)
    for split, numbers in (("train", range(6)), ("test", range(6, COUNT))):
        members = []
        for n in numbers:
            buffer = io.BytesIO()
            np.save(buffer, row(n))
            # Others call members as they like.
            members += [
                (f"{n}.png", encoded(picture(n))),
                (f"{n}.cls", b"%d" % (n % 3)),
                (f"{n}.Soft_Label.npy", buffer.getvalue()),
            ]
        (tmp_path / "tars").mkdir(exist_ok=True)
        write_tar(tmp_path / "tars" / f"pets-{split}.tar", members)
    return {"pets": f"tfds:{tmp_path / 'pets'}", "tars": str(tmp_path / "tars")}


@pytest.mark.parametrize("kind", ["tfds", "webdataset"])
@pytest.mark.parametrize("source", ["pets", "tars"])
def test_those_of_a_source_go_along_unless_they_are_dropped(
    pets, tmp_path, capsys, source, kind
):
    mixed, bare = tmp_path / "mixed", tmp_path / "bare"
    mix(pets[source], mixed, "--format", kind, status=0)
    said = capsys.readouterr().out.splitlines()
    assert [line for line in said if line.startswith("soft labels: ")]
    splits = (
        ["train"] if source == "pets" or kind == "webdataset" else ["train", "test"]
    )
    expected = {values_of(picture(n)): n for n in range(COUNT)}
    pairs = [pair for split in splits for pair in strangers_pairs(mixed, split)]
    found = {expected[values_of(image)]: soft for image, soft in pairs}
    assert sorted(found) == list(range(COUNT))
    for number, probabilities in found.items():
        np.testing.assert_array_equal(probabilities, row(number))
    mix(pets[source], bare, "--format", kind, "--drop", "soft_label", status=0)
    assert "soft" not in capsys.readouterr().out
    assert open_source(str(bare)).fields.keys() == open_source(
        str(mixed)
    ).fields.keys() - {"soft_label"}
    # Those of a file would be others.
    soft = write_soft(tmp_path / "soft.npz", [f"train/{n}" for n in range(COUNT)])
    line = refused(capsys, pets["pets"], tmp_path / "x", "--soft-labels", soft)
    assert line.endswith("leave that behind with --drop soft_label")
    line = refused(capsys, pets[source], tmp_path / "x", "--format", "folder")
    assert "cannot hold the field soft_label: choose --format tfds or web" in line
    assert not (tmp_path / "x" / "release.json").exists()


def test_parts_of_splits_find_their_rows(pets, tmp_path):
    soft = write_soft(tmp_path / "soft.npz", [f"train/{n}" for n in range(COUNT)])
    options = ["--soft-labels", soft, "--splits", "train[2:5]", "--keep-order"]
    mixed = tmp_path / "mixed"
    mix(pets["pets"], mixed, "--drop", "soft_label", *options, status=0)
    found = [probabilities for _, probabilities in strangers_pairs(mixed)]
    np.testing.assert_array_equal(found, [row(n) for n in (2, 3, 4)])
    # The second of two tar files, whose keys say which.
    soft = write_soft(tmp_path / "tar.npz", [f"test/{n}" for n in (6, 7, 8)])
    options = ["--soft-labels", soft, "--splits", "test", "--keep-order"]
    mix(pets["tars"], tmp_path / "other", "--drop", "soft_label", *options, status=0)
    found = [probabilities for _, probabilities in strangers_pairs(tmp_path / "other")]
    np.testing.assert_array_equal(found, [row(n) for n in range(3)])


def test_it_goes_on_with_the_same_file_only(photos, tmp_path, monkeypatch, capsys):
    class Crash(BaseException):
        pass

    def crash(*_):
        raise Crash

    mixed, vault = tmp_path / "mixed", ["--vault", tmp_path / "vault"]
    soft = ["--format", "tfds", "--soft-labels", tmp_path / "soft.npz"]
    mix(photos, tmp_path / "whole", *soft, *vault)
    with monkeypatch.context() as patch:
        patch.setattr(mixing, "write_manifest", crash)
        with pytest.raises(Crash):
            mix(photos, mixed, *soft, *vault)
    before = tree(mixed)
    begun = before["UNFINISHED/begun.json"]
    assert b"soft.npz" not in begun
    names = [f"{CLASSES[n % 3]}/{n}.png" for n in range(COUNT)]
    other = write_soft(
        tmp_path / "other.npz", names, [row(n + 1) for n in range(COUNT)]
    )
    others = [*soft[:2], "--soft-labels", other]
    line = refused(capsys, photos, mixed, *others, *vault)
    assert "was begun with another file of soft labels; go on with that one" in line
    assert tree(mixed) == before
    mix(photos, mixed, *soft, *vault)
    assert tree(mixed) == tree(tmp_path / "whole")
    # Nor is a finished one taken for that of another file, or of none.
    line = refused(capsys, photos, mixed, *others, *vault)
    assert "holds a finished release with other soft labels; name another" in line
    assert "another soft_labels" in refused(capsys, photos, mixed, *soft[:2], *vault)
    capsys.readouterr()
    assert main(["mix", *map(str, [photos, mixed, *soft, *vault, *SMALL])]) == 1
    said = capsys.readouterr()
    assert "is finished, and SRC is as it was" in said.err
    assert "soft labels: " in said.out
    assert tree(mixed) == tree(tmp_path / "whole")


@pytest.mark.parametrize("kind", ["tfds", "webdataset"])
def test_workers_on_beam_find_the_file(photos, tmp_path, kind):
    (tmp_path / "secret").write_bytes(bytes(range(32)))
    (tmp_path / "secret").chmod(0o600)
    options = ["--format", kind, "--secret-file", tmp_path / "secret"]
    options += ["--soft-labels", tmp_path / "soft.npz"]
    mix(photos, tmp_path / "here", *options)
    beam = [photos, tmp_path / "there", *SMALL, *options, "--engine", "beam"]
    assert main(["mix", *map(str, beam)]) == 1
    assert tree(tmp_path / "there") == tree(tmp_path / "here")


def test_what_has_no_room_for_them_is_refused_first(photos, tmp_path, capsys):
    soft = ["--soft-labels", tmp_path / "soft.npz"]
    line = refused(capsys, photos, tmp_path / "mixed", *soft)
    assert (
        "--format folder cannot hold the field soft_label: choose --format tfds" in line
    )
    vault = ["--vault", tmp_path / "vault"]
    line = refused(capsys, photos, tmp_path / "mixed", "--update", *soft, *vault)
    assert line.startswith("vmixjax: --update is for folders of image files")
    inside = tmp_path / "mixed" / "soft.npz"
    inside.parent.mkdir(exist_ok=True)
    (tmp_path / "soft.npz").rename(inside)
    soft = ["--soft-labels", inside, "--format", "tfds"]
    line = refused(capsys, photos, tmp_path / "mixed", *soft)
    assert "lies inside DST" in line
    assert not (tmp_path / "vault").exists()


def test_soft_labels_that_were_exchanged_are_noticed(photos, tmp_path, capsys):
    mixed, vault = tmp_path / "mixed", ["--vault", str(tmp_path / "vault")]
    soft = ["--soft-labels", tmp_path / "soft.npz", "--format", "webdataset"]
    mix(photos, mixed, *soft, *vault)
    (tar,) = mixed.glob("*-000000.tar")
    members = [row(n).tobytes() for n in range(COUNT)]
    data = tar.read_bytes()
    there = [one for one in members if one in data][:2]
    spoilt = data.replace(there[0], there[1])
    tar.write_bytes(spoilt)
    capsys.readouterr()
    assert main(["verify", str(mixed), *vault]) == 1
    assert (
        "has another label, or other things beside its image" in capsys.readouterr().out
    )
    # A header with room for a message, which says the same to NumPy.
    hidden = data.replace(b"'shape': (3,), }    ", b"'shape': (3,),    } ", 1)
    assert hidden != data
    tar.write_bytes(hidden)
    capsys.readouterr()
    assert main(["verify", str(mixed)]) == 1
    assert "more than numbers in .soft_label.npy" in capsys.readouterr().out

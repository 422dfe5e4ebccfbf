"""Which splits and classes are learned from, and that people are told."""

import io
import itertools
import shutil
import tarfile

import numpy as np
import pytest

from train import data
from train.__main__ import main as train
from train.config import Config, Data
from vmixjax.cli import main
from vmixjax.data import encode_png, write_png
from vmixjax.errors import RunError

SMALL = ["--tile-size", "8"]


def picture(seed, channels=3):
    values = np.random.default_rng(seed).integers(0, 256, (8, 8, channels))
    return values.astype(np.uint8)


def write_folders(root, *folders, count=4):
    """Folders of pictures, no two alike."""
    for number, folder in enumerate(folders):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            write_png(root / folder / f"{i}.png", picture(100 * number + i))
    return root


def write_tar(path, labels, seed=0, key=0):
    with tarfile.open(path, "w") as tar:
        for i, label in enumerate(labels):
            image = encode_png(picture(seed + i))
            for suffix, content in (("png", image), ("cls", b"%d" % label)):
                member = tarfile.TarInfo(f"{key + i:03}.{suffix}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return path


def loaded(source, split, **options):
    return data.load(Config(data=Data(source, **options)), split)


def test_fit_says_first_what_it_learns_from(tmp_path, capsys, monkeypatch):
    folders = itertools.product(("train", "valid"), ("cat", "dog"))
    root = write_folders(tmp_path / "in", *map("/".join, folders))

    def stop(*_):
        raise RunError("stopped")

    # Before the model is compiled, which takes seconds.
    monkeypatch.setattr("train.checkpoints.open_checkpoints", stop)
    options = ["--data.source", f"folder:{root}", "--batch-size", "2"]
    options += ["--mixing.tile-size", "8", "--mixing.ladder", "8", "1"]
    assert train(["fit", *options, "--workdir", str(tmp_path / "run")]) == 2
    err = capsys.readouterr().err.replace("\r", "\n")
    first, last = (line for line in err.splitlines() if line.startswith("train: "))
    assert last == "train: stopped"
    assert first == (
        "train: splits: train (8), valid (8); learning from train, 8 images: cat (4), "
        "dog (4); testing on valid, 8 images: cat (4), dog (4)"
    )


@pytest.mark.parametrize("test", ["valid", "validation", "val", "dev", "eval", "test"])
def test_any_split_for_tests_is_for_tests(tmp_path, test):
    root = write_folders(tmp_path, "train/cat", "train/dog", f"{test}/cat", count=2)
    shutil.copytree(root / test / "cat", root / test / "dog")
    training, tests = (loaded(f"folder:{root}", split) for split in ("train", "test"))
    assert (training.origin, tests.origin) == ("train", test)
    assert training.classes == tests.classes == ("cat", "dog")
    assert training.splits == {"train": 4, test: 4}


def test_a_lone_split_is_no_class(tmp_path):
    root = write_folders(tmp_path, "train/cat", "train/dog", count=11)
    training, tests = (loaded(f"folder:{root}", split) for split in ("train", "test"))
    assert training.classes == ("cat", "dog")
    assert (len(training), len(tests)) == (18, 4)
    assert str(tests) == "every tenth image of train, 4 images: cat (2), dog (2)"
    many = loaded(f"folder:{root}", "train", image_size=8, cache_mib=0)
    assert str(many) == "nine tenths of train, 18 images: 2 classes"


def test_splits_are_those_that_are_named(tmp_path):
    parts = itertools.product(("train", "valid", "test"), ("cat", "dog"))
    root = write_folders(tmp_path / "folders", *map("/".join, parts), count=2)
    (tmp_path / "tars").mkdir()
    for seed, name in enumerate(("train", "valid", "test")):
        write_tar(tmp_path / "tars" / f"{name}-0.tar", [0, 0, 1, 1], seed=200 * seed)
    for source in (f"folder:{root}", f"webdataset:{tmp_path / 'tars'}"):
        both = {"train_split": "train+valid"}
        training, tests = (loaded(source, one, **both) for one in ("train", "test"))
        assert (training.origin, len(training)) == ("train+valid", 8)
        assert (tests.origin, len(tests)) == ("test", 4)
        labels = [int(training[i]["label"]) for i in range(8)]
        assert sorted(labels) == [0] * 4 + [1] * 4
        alone = {
            one: loaded(source, "test", test_split=one) for one in ("valid", "test")
        }
        assert [str(one).split(",")[0] for one in alone.values()] == ["valid", "test"]
        images = [
            {one[i]["image"].tobytes() for i in range(len(one))}
            for one in (loaded(source, "train"), *alone.values(), training)
        ]
        # What is learned from is both, and none of what is for tests.
        assert images[0] | images[1] == images[3]
        assert not images[3] & images[2]


def test_what_is_learned_from_is_not_for_tests_by_itself(tmp_path):
    root = write_folders(tmp_path, "train/cat", "valid/cat", count=10)
    tests = loaded(f"folder:{root}", "test", train_split="train+valid")
    assert str(tests) == "every tenth image of train+valid, 2 images: cat (2)"


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"train_split": "train+dev"}, "but no dev: name others with --data.train-sp"),
        ({"test_split": "exam"}, "but no exam: name others with --data.test-split"),
        ({"test_split": "train"}, "name each split once"),
        ({"train_split": "train+train"}, "name each split once"),
    ],
)
@pytest.mark.parametrize("kind", ["folder", "webdataset"])
def test_splits_that_there_are_not_are_told(tmp_path, options, line, kind):
    if kind == "folder":
        write_folders(tmp_path, "train/cat", "valid/cat")
    else:
        write_tar(tmp_path / "train-0.tar", [0])
        write_tar(tmp_path / "valid-0.tar", [0])
    with pytest.raises(RunError, match=line):
        loaded(f"{kind}:{tmp_path}", "train", **options)


def test_folders_of_any_names_are_splits_if_both_are_named(tmp_path):
    parts = itertools.product(("learn", "exam"), ("cat", "dog"))
    root = write_folders(tmp_path, *map("/".join, parts), count=2)
    named = {"train_split": "learn", "test_split": "exam"}
    tests = loaded(f"folder:{root}", "test", **named)
    assert str(tests) == "exam, 4 images: cat (2), dog (2)"


@pytest.mark.parametrize(
    ("folders", "line"),
    [
        (
            ["train/cat", "extra/cat"],
            "has extra beside train, as splits are called: mo",
        ),
        (
            ["Training/cat", "Testing/cat"],
            "Testing, which looks like a split: rename i",
        ),
        (["cat/train", "dog/train"], "inside of cat, dog, where they would be classes"),
        (["valid/cat", "test/cat"], "has the splits test, valid, but no train"),
    ],
)
def test_what_leaves_doubt_is_asked_about(tmp_path, folders, line):
    root = write_folders(tmp_path, *folders, count=1)
    with pytest.raises(RunError, match=line) as caught:
        loaded(f"folder:{root}", "train")
    # There is no such option here.
    assert "--splits" not in str(caught.value)


def test_tar_files_say_of_which_split_they_are(tmp_path):
    (tmp_path / "tars").mkdir()
    write_tar(tmp_path / "tars" / "pets-train-0.tar", [0, 1, 0])
    write_tar(tmp_path / "tars" / "pets-train-1.tar", [1], seed=10, key=3)
    write_tar(tmp_path / "tars" / "pets-val-0.tar", [1, 0], seed=20)
    source = f"webdataset:{tmp_path / 'tars'}"
    training, tests = (loaded(source, split) for split in ("train", "test"))
    assert str(training) == "train, 4 images: 0 (2), 1 (2)"
    assert str(tests) == "val, 2 images: 0 (1), 1 (1)"
    np.testing.assert_array_equal(training[3]["image"], picture(10))
    np.testing.assert_array_equal(tests[1]["image"], picture(21))
    write_tar(tmp_path / "tars" / "more.tar", [0], key=9)
    with pytest.raises(RunError, match=r"more\.tar, which is not: name the tar files"):
        loaded(source, "train")
    # What the line says to do.
    (tmp_path / "list.txt").write_text("tars/pets-train-0.tar\ntars/pets-train-1.tar")
    assert loaded(f"webdataset:{tmp_path / 'list.txt'}", "train").splits == {"train": 4}


@pytest.mark.parametrize("format", ["folder", "tfds", "webdataset"])
@pytest.mark.parametrize("names", [[], ["--keep-names"]])
def test_a_release_keeps_splits_apart(tmp_path, format, names):
    (tmp_path / "tars").mkdir()
    # Both have the same keys.
    write_tar(tmp_path / "tars" / "train.tar", [0, 1, 0, 1])
    write_tar(tmp_path / "tars" / "dev.tar", [0, 1], seed=10)
    mixed, vault, back = (tmp_path / name for name in ("mixed", "vault", "back"))
    options = [*SMALL, "--format", format, "--vault", str(vault), *names]
    assert main(["mix", str(tmp_path / "tars"), str(mixed), *options]) == 0
    assert main(["verify", str(mixed), "--vault", str(vault)]) == 0
    assert main(["unmix", str(mixed), str(back), "--vault", str(vault)]) == 0
    restored = {
        split: loaded(f"{format}:{back}", split, cache_mib=1)
        for split in ("train", "test")
    }
    assert restored["train"].splits == {"train": 4, "dev": 2}
    for split, count, seed in (("train", 4, 0), ("test", 2, 10)):
        images = restored[split].examples.images
        expected = [picture(seed + i) for i in range(count)]
        assert sorted(map(bytes, images)) == sorted(map(bytes, expected))


def test_tar_files_as_tfds_are_learned_from(tmp_path, capsys):
    tar = write_tar(tmp_path / "a.tar", [i % 2 for i in range(12)])
    mixed = tmp_path / "mixed"
    assert main(["mix", str(tar), str(mixed), "--format", "tfds", *SMALL]) == 0
    assert "splits: train (12); classes: 0 (6), 1 (6)\n" in capsys.readouterr().out
    training, tests = (loaded(f"tfds:{mixed}", split) for split in ("train", "test"))
    assert training.classes == tests.classes == ("0", "1")
    assert str(tests) == "every tenth image of train, 2 images: 0 (1), 1 (1)"


@pytest.mark.parametrize("grey", [("train", "cat"), ("test", "cat")])
def test_greys_among_colours_become_colours_wherever_they_are(tmp_path, grey):
    folders = itertools.product(("train", "test"), ("cat", "dog"))
    root = write_folders(tmp_path, *map("/".join, folders))
    write_png(root.joinpath(*grey) / "0.png", picture(7, 1))
    for split in ("train", "test"):
        found = loaded(f"folder:{root}", split)
        assert found.shape == (8, 8, 3)
    image = loaded(f"folder:{root}", grey[0])[0]["image"]
    np.testing.assert_array_equal(image, np.repeat(picture(7, 1), 3, axis=2))


def test_a_colour_among_greys_is_the_one_that_is_named(tmp_path):
    root = write_folders(tmp_path, "train/cat", "train/dog", "test/cat", "test/dog")
    for path in root.rglob("*.png"):
        write_png(path, picture(1, 1))
    assert loaded(f"folder:{root}", "train").shape == (8, 8, 1)
    write_png(root / "test" / "dog" / "3.png", picture(1))
    with pytest.raises(RunError, match=r"dog/3\.png has colours where the others are"):
        loaded(f"folder:{root}", "test")

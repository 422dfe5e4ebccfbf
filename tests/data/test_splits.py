"""Folders are splits or classes, and where names leave doubt, it is asked."""

import itertools
import shutil

import numpy as np
import pytest

from vmixjax.cli import main
from vmixjax.data import open_source, write_png
from vmixjax.data.splits import SPLIT_NAMES, meant_split
from vmixjax.data.words import words
from vmixjax.errors import RunError

SMALL = ["--tile-size", "8"]


def write_tree(root, *folders):
    """A folder with as many images in each of the others as their number says."""
    numbers = itertools.count(1)
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
        for i in range(next(numbers)):
            image = np.random.default_rng(i).integers(0, 256, (8, 8, 3))
            write_png(root / folder / f"{i}.png", image.astype(np.uint8))
    return root


def splits(root, **options):
    return dict(open_source(str(root), **options).splits)


def classes(root, **options):
    fields = open_source(str(root), **options).fields
    return fields["label"].names if fields else ()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("imageId", ["image", "id"]),
        ("imageID", ["image", "id"]),
        ("image_IDs", ["image", "ids"]),
        ("HTTPServer2", ["http", "server"]),
        ("patient-number/7", ["patient", "number"]),
        ("fname", ["fname"]),
        ("NameÄpfel", ["nameäpfel"]),
        ("2017", []),
    ],
)
def test_words_of_names(name, expected):
    assert words(name) == expected


def test_names_that_look_like_splits():
    like = "Train TESTING train_2017 val2017 trainset Test-Images devData train_1"
    for name in (*SPLIT_NAMES, *like.split()):
        assert meant_split(name) in SPLIT_NAMES
    unlike = "cat testudo trains steam_train contest evaluate set data 7"
    for name in unlike.split():
        assert meant_split(name) is None


@pytest.mark.parametrize("names", list(itertools.combinations(SPLIT_NAMES, 2)))
def test_all_names_of_splits_are_splits(tmp_path, names):
    folders = [f"{split}/{name}" for split in names for name in ("cat", "dog")]
    write_tree(tmp_path, *folders)
    first, second = names
    expected = {first: 3, second: 7}
    assert splits(tmp_path) == dict(sorted(expected.items()))
    assert classes(tmp_path) == ("cat", "dog")


def test_what_stands_beside_splits_is_asked_about(tmp_path, capsys):
    write_tree(tmp_path / "in", "train/cat", "valid/cat", "extra/cow")
    (tmp_path / "in" / "README.txt").write_text("where these are from")
    mixed = tmp_path / "out"
    assert main(["mix", str(tmp_path / "in"), str(mixed), *SMALL]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "has extra, README.txt beside train, valid, as splits are called" in line
    assert not mixed.exists()
    # All mends: --splits, another one, moved.
    (option,) = [part for part in line.split(": ") if "--splits" in part]
    asked = option.partition("--splits ")[2].partition(",")[0].split()
    assert asked == ["train", "valid"]
    options = [*SMALL, "--splits", *asked]
    assert main(["mix", str(tmp_path / "in"), str(mixed), *options]) == 0
    assert "splits: train (1), valid (2); classes: cat (3)\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("folders", "splits_named", "line"),
    [
        (["bus", "car", "train"], ["train"], "has bus, car beside train, as splits"),
        (["Training", "Testing"], ["Testing", "Training"], "folder Testing, which"),
        (["train2017", "val2017"], ["train2017"], "looks like a split: name splits"),
        (
            ["cat/train", "cat/test", "dog/train", "dog/test"],
            None,
            "inside of cat, dog",
        ),
        (["train/train", "test/test"], None, "class test in the split test, which"),
    ],
)
def test_what_could_be_either_is_asked_about(tmp_path, folders, splits_named, line):
    write_tree(tmp_path, *folders)
    with pytest.raises(RunError, match=line):
        open_source(str(tmp_path))
    # A release may have splits of any name, and is only restored.
    assert sum(splits(tmp_path, released=True).values()) == sum(
        range(1, len(folders) + 1)
    )
    if splits_named:
        assert sorted(splits(tmp_path, splits=splits_named)) == splits_named
        assert classes(tmp_path, splits=splits_named) == ()
    for number, folder in enumerate(folders):
        (tmp_path / folder).rename(tmp_path / f"renamed-{number}")
    for folder in folders:
        shutil.rmtree(tmp_path / folder.split("/")[0], ignore_errors=True)
    assert len(classes(tmp_path)) == len(folders)


def test_a_vehicle_may_be_a_class_of_a_split_and_a_folder_anywhere(tmp_path):
    write_tree(tmp_path / "a", "train/bus", "train/train", "test/train")
    assert classes(tmp_path / "a") == ("bus", "train")
    write_tree(tmp_path / "b", "holidays/test", "work")
    assert splits(tmp_path / "b") == {"train": 3}

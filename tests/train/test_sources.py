"""WebDatasets to learn from: what `vmixjax mix` wrote, and what others do."""

import io
import re
import tarfile

import numpy as np
import pytest

from train import data
from train.__main__ import main as train
from train.config import Config, Data
from train.metrics import read
from vmixjax.cli import main as vmixjax
from vmixjax.data import encode_png, write_png
from vmixjax.errors import RunError


def picture(seed, shape=(8, 12, 3)):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def write_tar(path, samples):
    """A tar file of (key, image, {suffix: content})."""
    with tarfile.open(path, "w") as tar:
        for key, image, others in samples:
            for suffix, content in {"png": encode_png(image), **others}.items():
                member = tarfile.TarInfo(f"{key}.{suffix}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return path


def samples(labels, start=0, **others):
    return [
        (f"{start + i:03}", picture(start + i), {"cls": str(label).encode(), **others})
        for i, label in enumerate(labels)
    ]


def loaded(path, split, **options):
    return data.load(Config(data=Data(f"webdataset:{path}", **options)), split)


def test_a_release_of_tar_files_is_data(tmp_path):
    for name, count in (("cats", 12), ("dogs", 11)):
        (tmp_path / "plain" / name).mkdir(parents=True)
        for i in range(count):
            write_png(tmp_path / "plain" / name / f"{i:02}.png", picture(i))
    mixed = tmp_path / "mixed"
    arguments = [str(tmp_path / "plain"), str(mixed), "--format", "webdataset"]
    assert vmixjax(["mix", *arguments, "--tile-size", "4", "--keep-order"]) == 0
    (tar,) = mixed.glob("*.tar")
    (tmp_path / "list.txt").write_text(f"mixed/{tar.name}\n")
    for path in (mixed, tar, tmp_path / "list.txt"):
        training, test = (loaded(path, split) for split in ("train", "test"))
        assert (len(training), len(test)) == (19, 4)
        assert training.shape == test.shape == (8, 12, 3)
        # Tar files hold numbers of classes, no names.
        assert training.classes == test.classes == ("0", "1")
        assert [int(test[i]["label"]) for i in range(4)] == [0, 0, 1, 1]
        for i, original in enumerate((0, 10, 0, 10)):
            image = test[i]["image"]
            assert (image != picture(original)).mean() > 0.3
            kept = np.sort(picture(original), None)
            np.testing.assert_array_equal(np.sort(image, None), kept)


def test_twenty_steps_on_a_release_of_tar_files_improve(tmp_path, capsys):
    digits = data.load(Config(data=Data(train_images=640)), "train")
    for example in (digits[i] for i in range(len(digits))):
        folder = tmp_path / "plain" / str(example["label"])
        folder.mkdir(parents=True, exist_ok=True)
        write_png(folder / f"{example['id']}.png", example["image"])
    mixed = tmp_path / "mixed"
    options = ["--format", "webdataset", "--tile-size", "8", "--ladder", "8:1"]
    assert vmixjax(["mix", str(tmp_path / "plain"), str(mixed), *options]) == 0
    source = ["--data.source", f"webdataset:{mixed}", "--mixing.where", "done"]
    options = ["--preset", "digits", "--batch-size", "64", "--steps", "20"]
    options += ["--every", "2", "--workdir", str(tmp_path / "run")]
    assert train(["fit", *source, *options]) == 0
    losses = [
        line["test_loss"] for line in read(tmp_path / "run") if "test_loss" in line
    ]
    assert losses[-1] < 0.8 * losses[0]
    accuracy = re.search(r"test accuracy ([\d.]+)%", capsys.readouterr().out)
    assert float(accuracy[1]) > 30
    assert train(["evaluate", "--workdir", str(tmp_path / "run")]) == 0


def test_classes_are_the_labels_that_there_are(tmp_path):
    tar = write_tar(tmp_path / "a.tar", samples([7, 3, 7, 10**15, 7, 3]))
    training, test = (loaded(tar, split) for split in ("train", "test"))
    assert training.classes == ("3", "7", str(10**15))
    assert [int(test[i]["label"]) for i in range(len(test))] == [1, 0]
    assert [int(training[i]["label"]) for i in range(len(training))] == [1, 2, 1, 0]
    np.testing.assert_array_equal(test[0]["image"], picture(0))


def test_several_files_are_one_data_set(tmp_path):
    for number in range(2):
        path = tmp_path / f"{number}.tar"
        write_tar(path, samples([0, 1] * 10, start=20 * number))
    assert len(loaded(tmp_path, "train")) == 36
    test = loaded(tmp_path, "test")
    assert len(test) == 4
    np.testing.assert_array_equal(test[3]["image"], picture(21))


def test_members_that_are_not_needed_may_be_anything(tmp_path):
    others = {"npy": b"\x93NUMPY\xff", "json": b"{}"}
    tar = write_tar(tmp_path / "a.tar", samples([0, 1, 0, 1], **others))
    assert len(loaded(tar, "train")) == 2


def test_one_of_several_images_is_learned_from(tmp_path):
    tar = write_tar(tmp_path / "a.tar", samples([0, 1, 0, 1], jpg=b"x"))
    with pytest.raises(RunError, match="several images, jpg, png"):
        loaded(tar, "train")
    assert len(loaded(tar, "train", image="png")) == 2


def test_grey_images_stay_grey(tmp_path):
    grey = [(str(i), picture(i, (8, 8, 1)), {"cls": b"%d" % (i % 2)}) for i in range(4)]
    assert loaded(write_tar(tmp_path / "a.tar", grey), "train").shape == (8, 8, 1)
    mixed = [*grey, ("9", picture(9, (8, 8, 3)), {"cls": b"1"})]
    write_tar(tmp_path / "a.tar", mixed)
    assert loaded(tmp_path / "a.tar", "train").shape == (8, 8, 3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda others: {}, "image and label are needed"),
        (lambda others: {"cls": b"-1"}, "has the label -1: number the classes from 0"),
        (lambda others: {"cls": b"cat"}, "002 has a .cls that is no number"),
        (
            lambda others: {**others, "jpg": b"x"},
            "002 has several images, jpg, png; choose",
        ),
        (lambda others: {**others, "png": b"x"}, "002 is not a JPEG, PNG"),
    ],
)
def test_what_is_wrong_with_samples_is_one_line(tmp_path, change, words):
    of = samples([0, 1, 0, 1])
    if "needed" in words:
        of = [(key, image, {}) for key, image, _ in of]
    else:
        key, image, others = of[2]
        of[2] = key, image, change(others)
    tar = write_tar(tmp_path / "a.tar", of)
    with pytest.raises(RunError, match=words) as error:
        loaded(tar, "train")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["none.tar", "photo.png", "."])
def test_what_holds_no_tar_files_is_refused(tmp_path, name):
    write_png(tmp_path / "photo.png", picture(0))
    with pytest.raises(RunError, match=r"--data\.source.*(no tar file|not exist)"):
        loaded(tmp_path / name, "train")

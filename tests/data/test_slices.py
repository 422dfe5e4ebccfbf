"""Parts of splits: the same examples as TFDS would take, under numbers of their own."""

import numpy as np
import oracle
import pytest
import tensorflow_datasets as tfds

from vmixjax.cli import main
from vmixjax.data import open_source, write_png
from vmixjax.data.slices import Slice
from vmixjax.errors import RunError


def picture(number):
    """One shape for all tests: every other one takes seconds to compile."""
    return np.roll(oracle.smooth_image(16, 16), number, (0, 1)) ^ np.uint8(number)


@pytest.fixture
def photos(tmp_path):
    for split, count in (("train", 6), ("test", 2)):
        folder = tmp_path / "photos" / split
        folder.mkdir(parents=True)
        for number in range(count):
            write_png(folder / f"{number}.png", picture(number))
    return tmp_path / "photos"


@pytest.mark.parametrize("count", [1, 3, 7, 10, 101])
@pytest.mark.parametrize(
    "text", ["train[:50%]", "train[33%:]", "train[1:]", "train[:2]", "train[10%:99%]"]
)
def test_they_are_those_of_tfds(text, count):
    info = tfds.core.SplitInfo(
        name="train",
        shard_lengths=[count],
        num_bytes=0,
        filename_template=tfds.core.ShardedFileTemplate(
            data_dir="x", dataset_name="x", filetype_suffix="tfrecord"
        ),
    )
    try:
        expected = tfds.core.SplitDict([info])[text].num_examples
    except (ValueError, AssertionError):
        expected = 0
    try:
        assert len(Slice.parse(text).range(count)) == expected
    except RunError:
        assert expected == 0


@pytest.mark.parametrize("text", ["train[", "train[1]", "train[:x]", "[:1]", "a]"])
def test_what_is_no_part_is_refused(photos, text):
    with pytest.raises(RunError, match=r"is named as train\[:50%\]"):
        open_source(str(photos), splits=[text])


def test_empty_and_double_parts_are_refused(photos):
    with pytest.raises(RunError, match="leaves none of the 6 images of train"):
        open_source(str(photos), splits=["train[6:]"])
    with pytest.raises(RunError, match="goes beyond the 6 images of train"):
        open_source(str(photos), splits=["train[:7]"])
    with pytest.raises(RunError, match="mixed one by one"):
        open_source(str(photos), splits=["train[:1]", "train[2:]"])
    with pytest.raises(RunError, match=r"--splits val: SRC .* has "):
        open_source(str(photos), splits=["val[:1]"])


def test_a_part_is_mixed_and_restored(photos, tmp_path, capsys):
    vault = ["--vault", str(tmp_path / "vault")]
    options = ["--splits", "train[2:5]", "test", "--tile-size", "8"]
    command = ["mix", str(photos), str(tmp_path / "mixed"), *vault, *options]
    assert main(command) == 0
    back = tmp_path / "back"
    assert main(["unmix", str(tmp_path / "mixed"), str(back), *vault]) == 0
    restored = sorted(p.relative_to(back).as_posix() for p in back.rglob("*.png"))
    assert restored == [*(f"test/{n}.png" for n in (0, 1))] + [
        f"train/{n}.png" for n in (2, 3, 4)
    ]
    # What lies outside of the part may change.
    write_png(photos / "train/0.png", picture(9))
    assert main(command) == 0
    write_png(photos / "train/3.png", picture(9))
    capsys.readouterr()
    assert main(command) == 2
    assert "0 new, 1 changed (train/3.png), 0 gone" in capsys.readouterr().err


def test_a_part_is_found_by_name(photos):
    source = open_source(str(photos), splits=["train[2:5]"])
    assert dict(source.splits) == {"train": 3}
    assert list(source.candidates("train/3.png")) == [("train", 1)]
    assert list(source.candidates("train/1.png")) == []
    assert (source.read("train", 1).image == picture(3)).all()
    small = source.look("train", 1, 8)
    assert (small.height, small.width) == (16, 16)

"""Which fields of a TFDS data set go along, become numbers, or are asked about."""

import io

import numpy as np
import pytest
import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordWriter

from vmixjax.cli import main
from vmixjax.data import encode_png

SMALL = ["--tile-size", "8"]
SCALAR, TEXT = tfds.features.Scalar(np.int64), tfds.features.Text()


def picture(seed, shape=(16, 16, 3)):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def write_set(folder, features, *examples, shape=(16, 16, 3)):
    """A data set as TFDS prepares it, each example with a picture."""
    folder.mkdir()
    image = tfds.features.Image(shape=(None, None, 3))
    features = tfds.features.FeaturesDict({"image": image, **features})
    writer = ArrayRecordWriter(
        str(folder / "pets-train.array_record-00000-of-00001"), "group_size:1"
    )
    for number, example in enumerate(examples):
        file = io.BytesIO(encode_png(picture(number, shape)))
        encoded = features.encode_example({"image": file, **example})
        writer.write(features.serialize_example(encoded))
    writer.close()
    info = tfds.core.SplitInfo(name="train", shard_lengths=[len(examples)], num_bytes=0)
    tfds.folder_dataset.write_metadata(
        data_dir=folder, features=features, split_infos=[info], check_data=False
    )
    return f"tfds:{folder}"


def released(folder):
    return list(tfds.builder_from_directory(folder).as_data_source("train"))


def refused(capsys, *arguments):
    capsys.readouterr()
    assert main(["mix", *map(str, arguments), *SMALL]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_texts_that_name_images_become_numbers_and_come_back(tmp_path):
    texts = ("fname", "filepath", "imageId", "patient", "image_hash")
    names = [dict.fromkeys(texts, f"Jane-{number}") for number in range(2)]
    source = write_set(tmp_path / "in", dict.fromkeys(texts, TEXT), *names)
    mixed, vault, back = (tmp_path / name for name in ("mixed", "vault", "back"))
    assert main(["mix", source, str(mixed), "--vault", str(vault), *SMALL]) == 0
    for number, example in enumerate(released(mixed)):
        assert {example[name] for name in texts} == {b"%05d" % number}
    written = b"".join(path.read_bytes() for path in mixed.rglob("*") if path.is_file())
    assert b"Jane" not in written
    assert main(["unmix", str(mixed), str(back), "--vault", str(vault)]) == 0
    for number, example in enumerate(released(back)):
        assert {example[name] for name in texts} == {b"Jane-%d" % number}


@pytest.mark.parametrize(
    ("features", "asked"),
    [
        ({"patient_number": SCALAR, "caption": TEXT}, ["patient_number"]),
        ({"imageId": SCALAR, "width": SCALAR}, ["imageId"]),
        ({"label_name": TEXT, "source": TEXT}, ["label_name", "source"]),
        (
            {"celebrity": tfds.features.ClassLabel(names=["x", "y"]), "age": SCALAR},
            ["celebrity"],
        ),
    ],
)
def test_what_leaves_doubt_is_asked_about(tmp_path, capsys, features, asked):
    of = {SCALAR: 1, TEXT: "Jane"}
    example = {name: of.get(feature, 1) for name, feature in features.items()}
    source = write_set(tmp_path / "in", features, example)
    line = refused(capsys, source, tmp_path / "mixed")
    named = " ".join(asked)
    assert line.startswith(f"vmixjax: the feature{'s' * (len(asked) > 1)} {asked[0]}")
    assert f"behind with --drop {named}, or let" in line
    assert line.endswith(f"through with --keep {named}")
    assert not (tmp_path / "mixed").exists()
    for option, left in (("--keep", set(features)), ("--drop", {*features} - {*asked})):
        mixed = tmp_path / option
        assert main(["mix", source, str(mixed), option, *asked, *SMALL]) == 0
        (made,) = released(mixed)
        assert made.keys() == {"image", *left}
        assert all(made[name] in (1, b"Jane") for name in left)


@pytest.mark.parametrize("fit", ["pad", "crop"])
@pytest.mark.parametrize(
    ("feature", "value"),
    [
        (
            tfds.features.Sequence({"bbox": tfds.features.BBoxFeature(), "is": TEXT}),
            [{"bbox": tfds.features.BBox(0.0, 0.0, 0.5, 0.5), "is": "a cat"}],
        ),
        (tfds.features.BBoxFeature(), tfds.features.BBox(0.0, 0.0, 0.5, 0.5)),
        (
            tfds.features.FeaturesDict(
                {"mask": tfds.features.Image(shape=(20, 16, 1))}
            ),
            {"mask": np.zeros((20, 16, 1), np.uint8)},
        ),
    ],
)
def test_what_only_tfds_knows_goes_with_images_of_whole_tiles_only(
    tmp_path, capsys, feature, value, fit
):
    if isinstance(value, dict):
        value = {"mask": io.BytesIO(encode_png(value["mask"]))}
    source = write_set(
        tmp_path / "in", {"objects": feature}, {"objects": value}, shape=(20, 16, 3)
    )
    keep, mixed = ["--keep", "objects", "--fit", fit], tmp_path / "mixed"
    line = refused(capsys, source, mixed, *keep)
    becomes = "24 x 16" if fit == "pad" else "16 x 16"
    assert f"train/0 is 20 x 16 and becomes {becomes}, which is whole tiles" in line
    assert "so that objects would no longer fit it" in line
    assert not (mixed / "release.json").exists()
    # Both mends.
    other = [str(tmp_path / "other"), "--tile-size", "4", *keep]
    assert main(["mix", source, *other]) == 0
    dropped = [str(tmp_path / "dropped"), "--drop", "objects", *SMALL]
    assert main(["mix", source, *dropped]) == 0
    (made,) = released(tmp_path / "other")
    assert made["image"].shape == (20, 16, 3)

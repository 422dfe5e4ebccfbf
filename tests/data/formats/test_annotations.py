"""Boxes and masks of data sets as TFDS and tar files have them, read."""

import io
import itertools
import json

import numpy as np
import pytest
import tensorflow_datasets as tfds
from annotated import OBJECTS, PARTS, boxes_of, mask_of, rewrite, same, write_pets
from mutants import chance, mutate_bytes, mutate_png
from PIL import Image
from strangers import encoded, noise, write_tar, write_tfds

from vmixjax.data import (
    RELEASED_CODECS,
    Mask,
    Objects,
    Raw,
    Text,
    open_source,
)
from vmixjax.errors import ImageError, RunError

FEATURES = tfds.features
OTHERS = (("area", "float"), ("is_crowd", "bool"))


def flat(boxes):
    return {"bbox": boxes.corners, "label": boxes.labels, **boxes.others}


@pytest.mark.parametrize("keep", [None, ()])
def test_boxes_are_read_as_they_are(tmp_path, keep):
    source = open_source(write_pets(tmp_path / "pets", 6), keep=keep)
    assert source.fields == {"objects": Objects(OBJECTS, OTHERS)}
    for number in range(6):
        read = source.read("train", number)
        np.testing.assert_array_equal(read.image, noise(number, height=16, width=16))
        for values in (read.values, source.values("train", number)):
            assert same(flat(values["objects"]), boxes_of(number))


def test_masks_are_decoded(tmp_path):
    name = write_pets(tmp_path / "pets", 3, height=9, width=20, mask=True)
    source = open_source(name, keep=None)
    assert source.fields["parts"] == Mask(3, PARTS)
    for number in range(3):
        mask = source.read("train", number).values["parts"]
        assert mask.dtype == np.uint8
        np.testing.assert_array_equal(mask, mask_of(number, 9, 20))


def one_of(tmp_path, feature, value, name="objects"):
    features = {"image": FEATURES.Image(shape=(None, None, 3)), name: feature}
    image = io.BytesIO(encoded(noise(0, height=16, width=16)))
    write_tfds(tmp_path / "one", features, [{"image": image, name: value}])
    return f"tfds:{tmp_path / 'one'}"


BOX = FEATURES.BBoxFeature()
LABEL = FEATURES.ClassLabel(names=["x", "y"])
HERE = FEATURES.BBox(0.0, 0.25, 0.5, 1.0)


@pytest.mark.parametrize(
    ("name", "feature", "value", "expected"),
    [
        (
            "objects",
            FEATURES.Dataset({"bbox": BOX, "label": LABEL}),
            [{"bbox": HERE, "label": 1}],
            Objects(("x", "y")),
        ),
        # Called otherwise, it is the same, and has no class.
        (
            "faces",
            FEATURES.Sequence({"bbox": BOX, "blur": np.uint8}),
            [{"bbox": HERE, "blur": 1}],
            Objects(None, (("blur", "int"),)),
        ),
        (
            "objects",
            FEATURES.Sequence({"bbox": BOX, "label": LABEL, "pose": LABEL}),
            [{"bbox": HERE, "label": 1, "pose": 0}],
            Objects(("x", "y"), (("pose", "int"),)),
        ),
    ],
)
def test_sequences_of_a_box_and_numbers_are_boxes(
    tmp_path, name, feature, value, expected
):
    source = open_source(one_of(tmp_path, feature, value, name))
    assert source.fields == {"objects": expected}
    boxes = source.read("train", 0).values["objects"]
    np.testing.assert_array_equal(boxes.corners, np.float32([[0, 0.25, 0.5, 1]]))
    assert boxes.labels.tolist() == [value[0].get("label", 0)]
    # By either name they are left behind.
    for called in {name, "objects"}:
        assert not open_source(f"tfds:{tmp_path / 'one'}", drop=[called]).fields


@pytest.mark.parametrize(
    ("feature", "value"),
    [
        (FEATURES.Sequence({"bbox": BOX, "is": FEATURES.Text()}), {"is": "a cat"}),
        (FEATURES.Sequence({"bbox": BOX, "other": BOX}), {"other": HERE}),
        (
            FEATURES.Sequence(
                {"bbox": BOX, "p": FEATURES.Tensor(shape=(2,), dtype=np.float32)}
            ),
            {"p": np.zeros(2, np.float32)},
        ),
        (
            FEATURES.Sequence(
                {"bbox": FEATURES.BBoxFeature(bbox_format="XYXY"), "n": np.int64}
            ),
            {"n": 1},
        ),
    ],
)
def test_sequences_of_anything_else_are_not(tmp_path, feature, value):
    name = one_of(tmp_path, feature, [{"bbox": HERE, **value}])
    with pytest.raises(RunError, match="objects may show what the images show: leave"):
        open_source(name)
    field = open_source(name, keep=["objects"]).fields["objects"]
    assert isinstance(field, Raw)
    assert field.placed


def test_what_is_said_of_each_object_can_be_left_behind(tmp_path):
    feature = FEATURES.Sequence({"bbox": BOX, "label": LABEL, "is": FEATURES.Text()})
    value = [{"bbox": HERE, "label": 1, "is": "Jane's cat"}]
    name = one_of(tmp_path, feature, value)
    with pytest.raises(RunError) as refused:
        open_source(name)
    enough = "; --drop objects/is is enough for boxes to pass"
    assert str(refused.value).endswith(f"through with --keep objects{enough}")
    source = open_source(name, drop=["objects/is"])
    assert source.fields == {"objects": Objects(("x", "y"))}
    assert len(source.read("train", 0).values["objects"]) == 1
    with pytest.raises(RunError, match=r"--drop objects/bbox: .* has objects be"):
        open_source(name, drop=["objects/bbox"])


def test_numbers_of_objects_that_may_tell_whose_they_are_are_asked_about(tmp_path):
    name = write_pets(tmp_path / "pets", 3, id=(np.int64, 17), score=(np.int64, 3))
    with pytest.raises(RunError) as refused:
        open_source(name)
    assert str(refused.value) == (
        "the feature objects/id may tell whose image it is: leave it behind with "
        "--drop objects/id, or let it through with --keep objects/id"
    )
    kept = {
        option: open_source(name, **option_of(option)) for option in ("drop", "keep")
    }
    assert [n for n, _ in kept["drop"].fields["objects"].others] == [
        *("area", "is_crowd", "score")
    ]
    boxes = kept["keep"].read("train", 1).values["objects"]
    assert boxes.others["id"].tolist() == [17]
    # All of them, whatever it is.
    assert open_source(name, keep=["objects"]).fields == kept["keep"].fields


def option_of(option):
    return {option: ["objects/id"]}


def test_of_several_none_is_chosen_but_by_its_name(tmp_path):
    sequence = FEATURES.Sequence({"bbox": BOX})
    features = {
        "image": FEATURES.Image(shape=(16, 16, 3)),
        "faces": sequence,
        "hands": sequence,
    }
    image = io.BytesIO(encoded(noise(0, height=16, width=16)))
    example = {"image": image, "faces": [{"bbox": HERE}], "hands": []}
    name = f"tfds:{write_tfds(tmp_path / 'two', features, [example])}"
    with pytest.raises(RunError, match="the features faces, hands may show what"):
        open_source(name)
    source = open_source(name, drop=["hands"])
    assert source.fields == {"objects": Objects()}
    assert len(source.read("train", 0).values["objects"]) == 1


def test_what_is_called_so_and_is_no_boxes_can_be_left_behind(tmp_path):
    features = {
        "image": FEATURES.Image(shape=(16, 16, 3)),
        "objects": FEATURES.Sequence({"label": LABEL, "confidence": np.int64}),
        "bobjects": FEATURES.Sequence({"bbox": BOX, "label": LABEL}),
    }
    example = {
        "image": io.BytesIO(encoded(noise(0, height=16, width=16))),
        "objects": [{"label": 0, "confidence": 1}],
        "bobjects": [{"bbox": HERE, "label": 1}],
    }
    name = f"tfds:{write_tfds(tmp_path / 'two', features, [example])}"
    with pytest.raises(RunError, match="the feature objects may show what"):
        open_source(name)
    both = open_source(name, keep=None)
    assert isinstance(both.fields["objects"], Raw)
    assert both.fields["bobjects"] == Objects(("x", "y"))
    source = open_source(name, drop=["objects"])
    assert source.fields == {"objects": Objects(("x", "y"))}
    assert source.read("train", 0).values["objects"].labels.tolist() == [1]
    assert not open_source(name, drop=["objects", "bobjects"]).fields


@pytest.mark.parametrize(
    ("name", "feature", "expected"),
    [
        ("segmentation_mask", FEATURES.Image(shape=(None, None, 1)), Mask()),
        ("labelMap", FEATURES.Image(shape=(16, 16, 1)), Mask()),
        ("parts", FEATURES.LabeledImage(labels=7, shape=(16, 16, 1)), Mask(7, None)),
        ("depth", FEATURES.Image(shape=(16, 16, 1)), None),
        ("mask", FEATURES.Image(shape=(16, 16, 1), dtype=np.uint16), None),
    ],
)
def test_masks_are_known_by_type_or_name(tmp_path, name, feature, expected):
    mask = mask_of(0, 16, 16).astype(feature.np_dtype)
    source = open_source(
        one_of(tmp_path, feature, io.BytesIO(encoded(mask)), name),
        keep=None,
        image="image",
    )
    if expected is None:
        assert isinstance(source.fields[name], Raw)
        return
    field = source.fields[name]
    assert (field.count, field.cells) == (expected.count, 1)
    np.testing.assert_array_equal(source.read("train", 0).values[name], mask)


@pytest.mark.parametrize(
    "change",
    [
        lambda features: features["objects/bbox"].float_list.value.append(0.5),
        lambda features: features["objects/label"].int64_list.value.append(0),
        lambda features: features["objects/area"].float_list.value.pop(),
        lambda features: features.pop("objects/bbox"),
        lambda features: features.pop("objects/is_crowd"),
        lambda features: features["objects/label"].Clear(),
        lambda features: features["objects/bbox"].bytes_list.value.append(b"x"),
    ],
)
def test_records_of_other_numbers_are_refused_one_by_one(tmp_path, change):
    name = write_pets(tmp_path / "pets", 2)
    rewrite(
        tmp_path / "pets",
        lambda f: change(f) if f["objects/area"].float_list.value else None,
    )
    source = open_source(name)
    source.read("train", 0)
    with pytest.raises(ImageError, match="train/1 has no objects as its data set prom"):
        source.read("train", 1)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (encoded(mask_of(0, 8, 16)), "is 8 x 16, and its image 16 x 16"),
        (encoded(mask_of(0, 64, 64)), "has more pixels than its image; make them fit"),
        (encoded(mask_of(0, 16, 16) + np.uint8(3)), "which is no class, of 3"),
        (encoded(noise(0, height=16, width=16)), "has 3 channels of uint8"),
        (encoded(mask_of(0, 16, 16))[:-20], "parts is truncated"),
        (b"", "parts is"),
    ],
)
def test_masks_that_are_none_are_refused_one_by_one(tmp_path, content, fault):
    name = write_pets(tmp_path / "pets", 1, mask=True)

    def change(features):
        features["parts"].bytes_list.value[0] = content

    rewrite(tmp_path / "pets", change)
    source = open_source(name, keep=None)
    with pytest.raises(ImageError) as refused:
        source.read("train", 0)
    assert str(refused.value).startswith("train/0: parts ")
    assert fault in str(refused.value)


def test_masks_of_a_release_are_png_alone(tmp_path):
    name = write_pets(tmp_path / "pets", 1, mask=True)
    file = io.BytesIO()
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(file, "JPEG")

    def change(features):
        features["parts"].bytes_list.value[0] = file.getvalue()

    rewrite(tmp_path / "pets", change)
    open_source(name, keep=None).read("train", 0)
    source = open_source(name, keep=None, codecs=RELEASED_CODECS, released=True)
    with pytest.raises(ImageError, match="train/0: parts is JPEG, where only PNG can"):
        source.read("train", 0)


def worsen(features, dice):
    """Some of the features of a record become something else."""
    # Sorted, since a map of protobuf has another order in every process.
    name = dice.choice(sorted(name for name in features if name != "image"))
    numbers = (0, 1, -1, 2**31, 2**63 - 1, -(2**63), 7)
    floats = (0.0, 0.5, -1.0, 1e30, float("nan"), float("inf"), 0.9999)
    kind = features[name].WhichOneof("kind")
    if name == "parts":
        content = features[name].bytes_list.value[0]
        mutate = dice.choice((mutate_png, mutate_bytes))
        features[name].bytes_list.value[0] = mutate(content, dice)
        return
    stored = getattr(features[name], kind).value
    how = dice.choice(("set", "set", "set", "add", "drop", "clear", "other", "many"))
    of = floats if kind == "float_list" else numbers
    if how == "set" and stored:
        stored[dice.randrange(len(stored))] = dice.choice(of)
    elif how == "add":
        stored.extend(dice.choice(of) for _ in range(dice.choice((1, 4, 8))))
    elif how == "drop" and stored:
        del stored[dice.randrange(len(stored)) :]
    elif how == "other":
        features[name].bytes_list.value.append(b"x" * dice.randrange(5))
    elif how == "many":
        stored.extend([dice.choice(of)] * 10_000)
    else:
        del features[name]


def test_mutants_of_records_are_fit_or_refused(tmp_path):
    count, number = 150, itertools.count()
    name = write_pets(tmp_path / "pets", count, mask=True)
    rewrite(
        tmp_path / "pets",
        lambda features: worsen(features, chance("record", next(number))),
    )
    source = open_source(name, keep=None)
    fit, told = 0, []
    for index in range(count):
        try:
            values = source.read("train", index).values
        except ImageError as error:
            told.append((index, str(error)))
            continue
        fit += 1
        boxes, mask = values["objects"], values["parts"]
        assert mask.shape == (16, 16)
        assert boxes.corners.shape == (len(boxes), 4)
        assert ((boxes.corners > -0.01) & (boxes.corners < 1.01)).all()
        assert ((boxes.labels >= 0) & (boxes.labels < 3)).all()
        assert {len(values) for values in boxes.others.values()} == {len(boxes)}
        for extra in source.extras("train", index):
            assert isinstance(extra, str)
    assert all(text.startswith(f"train/{index}") for index, text in told)
    assert not any("\n" in text for _, text in told)
    assert 15 < fit < 120


def sample(number, **more):
    boxes = boxes_of(number)
    rows = [
        {name: values[n].tolist() for name, values in boxes.items()}
        for n in range(len(boxes["label"]))
    ]
    # As anybody may write it.
    form = {"objects": rows, "classes": OBJECTS, "others": dict(OTHERS)}
    members = {
        "png": encoded(noise(number, height=16, width=16)),
        "objects.json": json.dumps(form, indent=2).encode(),
        "mask.png": encoded(mask_of(number, 16, 16)),
        **more,
    }
    return [(f"{number}.{suffix}", data) for suffix, data in members.items()]


def test_tar_files_have_boxes_and_masks(tmp_path):
    members = [member for number in range(3) for member in sample(number)]
    source = open_source(str(write_tar(tmp_path / "pets.tar", members)))
    assert source.fields == {"objects": Objects(OBJECTS, OTHERS), "mask": Mask()}
    for number in range(3):
        read = source.read("train", number)
        np.testing.assert_array_equal(read.image, noise(number, height=16, width=16))
        for values in (read.values, source.values("train", number)):
            assert same(flat(values["objects"]), boxes_of(number))
            np.testing.assert_array_equal(values["mask"], mask_of(number, 16, 16))
    bare = open_source(str(tmp_path / "pets.tar"), drop=["objects", "mask"])
    assert not bare.fields
    bare.read("train", 1)


def test_a_mask_may_still_be_the_image(tmp_path):
    members = [("0.mask.png", encoded(noise(0))), ("0.cls", b"1")]
    source = open_source(str(write_tar(tmp_path / "odd.tar", members)))
    assert list(source.fields) == ["cls"]
    np.testing.assert_array_equal(source.read("train", 0).image, noise(0))


def test_json_that_says_something_else_is_text(tmp_path):
    member = {"objects.json": b'[{"category": "cat", "bbox": [1, 2, 3, 4]}]'}
    tar = str(write_tar(tmp_path / "pets.tar", sample(0, **member)))
    with pytest.raises(RunError, match=r"members \.objects, which may show what"):
        open_source(tar)
    assert open_source(tar, keep=["objects"]).fields["objects"] == Text()


@pytest.mark.parametrize(
    ("member", "fault"),
    [
        (
            {"objects.json": b'{"objects": []}'},
            "has a .objects that is no JSON of boxes",
        ),
        ({"objects.json": b"{"}, "has a .objects that is no JSON of boxes"),
        ({"mask.png": encoded(mask_of(0, 8, 8))}, "mask is 8 x 8, and its image 16 x"),
        (
            {"mask.png": encoded(noise(0, height=16, width=16))},
            "has 3 channels of uint8",
        ),
        ({"mask.png": b"GIF89a"}, "where only PNG can be"),
    ],
)
def test_samples_that_differ_are_refused_one_by_one(tmp_path, member, fault):
    members = [*sample(0), *sample(1, **member)]
    source = open_source(str(write_tar(tmp_path / "pets.tar", members)))
    source.read("train", 0)
    with pytest.raises(ImageError) as refused:
        source.read("train", 1)
    assert fault in str(refused.value)

"""Boxes are checked, moved with their images, and written as JSON and back."""

import json

import numpy as np
import pytest
from mutants import chance, mutate_bytes, mutate_json

from vmixjax.data.objects import Boxes, Objects, check_boxes, resize_boxes
from vmixjax.data.objects_json import encode_objects, parse_objects
from vmixjax.errors import ImageError

FIELD = Objects(("cat", "dog"), (("is_crowd", "bool"), ("area", "float"), ("n", "int")))


def boxes(*corners, labels=None, **others):
    count = len(corners)
    return Boxes(
        np.array(corners, np.float32).reshape(count, 4),
        np.array([0] * count if labels is None else labels, np.int64),
        {name: np.array(values) for name, values in others.items()},
    )


def some(count=5):
    rng = np.random.default_rng(count)
    least = rng.random((count, 2), np.float32) / 2
    return Boxes(
        np.hstack([least, least + np.float32(0.3)]),
        rng.integers(0, 2, count),
        {
            "is_crowd": rng.integers(0, 2, count).astype(bool),
            "area": rng.random(count, np.float32) * np.float32(1e30),
            "n": rng.integers(-(2**63), 2**63 - 1, count),
        },
    )


@pytest.mark.parametrize(
    "corners",
    [
        (0, 0, 1, 1),
        (0.2, 0.3, 0.20001, 0.30001),
        # Rounded to whole pixels of something else.
        (-0.0009, 0, 1.0009, 0.5),
    ],
)
def test_boxes_in_their_images_pass_as_they_are(corners):
    given = boxes((0.5, 0.5, 0.6, 0.6), corners, labels=[0, 1])
    assert check_boxes(given, FIELD, "x") is given
    none = boxes()
    assert check_boxes(none, FIELD, "x") is none


@pytest.mark.parametrize(
    ("corners", "label", "fault"),
    [
        ((np.nan, 0, 1, 1), 0, "not of finite numbers"),
        ((0, 0, np.inf, 1), 0, "not of finite numbers"),
        ((-0.01, 0, 1, 1), 0, "lies outside of the image"),
        ((0, 0, 1, 1.01), 0, "lies outside of the image"),
        ((10, 20, 300, 400), 0, "lies outside of the image"),
        ((0.5, 0, 0.5, 1), 0, "has no area"),
        ((0, 0.7, 1, 0.6), 0, "has no area"),
        ((0, 0, 1, 1), 2, "label 2 is no class, of 2"),
        ((0, 0, 1, 1), -1, "label -1 is no class, of 2"),
    ],
)
def test_a_box_that_is_none_is_named_with_its_values(corners, label, fault):
    given = boxes((0.1, 0.1, 0.2, 0.2), corners, (0, 0, 0, 0), labels=[1, label, 0])
    with pytest.raises(ImageError) as refused:
        check_boxes(given, FIELD, "train/7")
    told = str(refused.value)
    values = ", ".join(f"{value:.6g}" for value in np.float32(corners))
    assert told.startswith(f"train/7 has box 1, [{values}] as ymin, xmin, ymax, xmax,")
    assert fault in told
    assert told.endswith(
        "mend or remove that box, or leave all behind with --drop objects"
    )
    assert "\n" not in told


def test_classes_without_names_may_have_any_number_but_less_than_none():
    check_boxes(boxes((0, 0, 1, 1), labels=[2**40]), Objects(), "x")
    with pytest.raises(ImageError, match="label -3 is no class;"):
        check_boxes(boxes((0, 0, 1, 1), labels=[-3]), Objects(), "x")


def test_what_else_is_known_has_to_be_finite():
    given = boxes((0, 0, 1, 1), (0, 0, 1, 1), area=np.float32([1, np.nan]))
    with pytest.raises(ImageError, match="x has box 1 with area nan, which is not fin"):
        check_boxes(given, Objects((), (("area", "float"),)), "x")


def in_pixels(given, height, width):
    return given.corners.astype(np.float64) * (height, width, height, width)


def test_padded_boxes_stay_at_the_same_pixels():
    given = some(50)
    moved, gone = resize_boxes(given, (20, 33), (24, 40))
    assert gone == 0
    assert moved.corners.dtype == np.float32
    np.testing.assert_allclose(
        in_pixels(moved, 24, 40), in_pixels(given, 20, 33), rtol=0, atol=1e-5
    )
    assert moved.labels is not None
    np.testing.assert_array_equal(moved.labels, given.labels)
    # What did not change is the very same.
    assert resize_boxes(given, (24, 40), (24, 40)) == (given, 0)
    taller, _ = resize_boxes(given, (20, 40), (24, 40))
    np.testing.assert_array_equal(taller.corners[:, 1::2], given.corners[:, 1::2])


def test_cut_boxes_end_at_the_edge_and_those_beyond_it_are_counted():
    given = boxes(
        (0, 0, 0.5, 0.5),  # inside
        (0.5, 0.5, 1, 1),  # cut both ways
        (0.8, 0, 1, 1),  # below all that is left
        (0, 0.8, 1, 0.9),  # right of it
        (0, 0, 1, 1),
        labels=[0, 1, 2, 3, 4],
        n=[5, 6, 7, 8, 9],
    )
    moved, gone = resize_boxes(given, (20, 20), (16, 16))
    assert gone == 2
    expected = [(0, 0, 10, 10), (10, 10, 16, 16), (0, 0, 16, 16)]
    np.testing.assert_allclose(in_pixels(moved, 16, 16), expected, atol=1e-5)
    np.testing.assert_array_equal(moved.labels, [0, 1, 4])
    np.testing.assert_array_equal(moved.others["n"], [5, 6, 9])


@pytest.mark.parametrize("count", [0, 1, 40])
@pytest.mark.parametrize("field", [FIELD, Objects(None, FIELD.others)])
def test_json_gives_back_every_bit(count, field):
    given = some(count)
    content = encode_objects(field, given)
    found, again = parse_objects(content)
    assert found == field
    assert again.alike(given)
    assert encode_objects(found, again) == content
    # Others read it with nothing but a parser of JSON.
    rows = json.loads(content)["objects"]
    assert (
        np.float32([row["bbox"] for row in rows]).tobytes() == given.corners.tobytes()
    )
    assert [row["label"] for row in rows] == given.labels.tolist()


def test_alike_tells_the_last_bit_and_the_type():
    given = some()
    other = Boxes(
        np.nextafter(given.corners, np.float32(2)), given.labels, given.others
    )
    assert not given.alike(other)
    assert not given.alike(Boxes(given.corners, given.labels))
    assert not given.alike(
        Boxes(given.corners, given.labels.astype(int) + 1, given.others)
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b'{"objects": {}}',
        b'{"objects": [1]}',
        b'{"objects": [{}]}',
        b'{"objects": [{"bbox": [0, 0, 1], "label": 0}]}',
        b'{"objects": [{"bbox": [0, 0, 1, 1, 1], "label": 0}]}',
        b'{"objects": [{"bbox": [0, 0, 1, true], "label": 0}]}',
        b'{"objects": [{"bbox": [0, 0, 1, "1"], "label": 0}]}',
        b'{"objects": [{"bbox": [0, 0, 1, NaN], "label": 0}]}',
        b'{"objects": [{"bbox": [0, 0, 1, 1], "label": 0.5}]}',
        b'{"objects": [{"bbox": [0, 0, 1, 1], "label": true}]}',
        b'{"objects": [{"bbox": [0, 0, 1, 1], "label": 9223372036854775808}]}',
        b'{"objects": [{"bbox": [0, 0, 1, 1], "label": 0, "name": "Jane"}]}',
        b'{"objects": [], "classes": []}',
        b'{"objects": [], "classes": [1]}',
        b'{"objects": [], "others": {"a": "text"}}',
        b'{"objects": [], "others": {"bbox": "int"}}',
        b'{"objects": [], "others": {"a/b": "int"}}',
        b'{"objects": [], "note": "Jane"}',
        b'{"objects":[{"bbox":[0,0,1,1],"label":0,"a":1}],"others":{"a":"bool"}}',
    ],
)
def test_other_json_is_refused(content):
    with pytest.raises(ValueError):  # noqa: PT011 (parsers have their own words)
        parse_objects(content)


def test_more_than_there_can_be_is_not_parsed():
    with pytest.raises(ValueError, match="bytes, over"):
        parse_objects(b'{"objects": []}' + b" " * 2**24)


def test_mutants_are_boxes_or_refused():
    content = encode_objects(FIELD, some(3))
    boxed = refused = 0
    for number in range(1500):
        dice = chance("objects", number)
        mutate = mutate_bytes if number % 2 else mutate_json
        mutant = mutate(content, dice)
        try:
            field, found = parse_objects(mutant)
        except ValueError:
            refused += 1
            continue
        boxed += 1
        count = len(found)
        assert found.corners.shape == (count, 4)
        assert found.corners.dtype == np.float32
        assert found.labels.dtype == np.int64
        kinds = {"int": np.int64, "float": np.float32, "bool": np.bool_}
        assert {n: a.dtype for n, a in found.others.items()} == {
            name: np.dtype(kinds[kind]) for name, kind in field.others
        }
        assert all(array.shape == (count,) for array in found.others.values())
        try:
            check_boxes(found, field, "x")
        except ImageError:
            continue
        # What passes is written as it is.
        assert parse_objects(encode_objects(field, found))[1].alike(found)
    assert boxed > 30
    assert refused > 700


def test_of_too_many_the_largest_are_taken_in_their_order_and_fewer_are_filled_up():
    three = boxes(
        [0, 0, 0.5, 0.5], [0, 0, 0.1, 0.1], [0, 0, 1, 1], labels=[1, 0, 1], n=[1, 2, 3]
    )
    corners, labels = three.padded(2)
    np.testing.assert_array_equal(corners, three.corners[[0, 2]])
    assert labels.tolist() == [1, 1]
    corners, labels = three.padded(5)
    np.testing.assert_array_equal(corners[:3], three.corners)
    assert not corners[3:].any()
    assert labels.tolist() == [1, 0, 1, -1, -1]
    assert (corners.dtype, labels.dtype) == (np.float32, np.int32)
    assert boxes().padded(1)[1].tolist() == [-1]

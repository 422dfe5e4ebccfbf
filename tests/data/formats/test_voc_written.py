"""VOC's XML as it is written: numbers that come back, and what cannot be held."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from vmixjax.data.example import Schema
from vmixjax.data.formats.voc.annotation import boxes_of, parse, render
from vmixjax.data.formats.voc.writer import VocSink
from vmixjax.data.objects import Boxes, Objects
from vmixjax.errors import RunError


@pytest.mark.parametrize("side", [16, 500, 640, 1333, 40_000])
def test_numbers_come_back_and_whole_ones_are_written_so(side):
    rng = np.random.default_rng(side)
    whole = np.sort(rng.integers(0, side + 1, (200, 4)), axis=1)
    whole = whole[(whole[:, 0] < whole[:, 1]) & (whole[:, 2] < whole[:, 3])]
    pixels = whole[:, [0, 2, 1, 3]]
    some = np.sort(rng.random((200, 4), np.float32), axis=1)[:, [0, 2, 1, 3]]
    for corners, is_whole in ((pixels / side, True), (some, False)):
        corners = corners.astype(np.float32)
        corners = corners[(corners[:, :2] < corners[:, 2:]).all(axis=1)]
        boxes = Boxes(corners, np.zeros(len(corners), np.int64))
        data = render(boxes, ["<a&b>"], (side, side, 1), "é<&>.png")
        root = ET.fromstring(data)
        assert root.find("filename").text == "é<&>.png"
        assert root.find("object/name").text == "<a&b>"
        texts = [
            [one.find(f"bndbox/{end}").text for end in ("ymin", "xmin", "ymax", "xmax")]
            for one in root.findall("object")
        ]
        if is_whole:
            assert texts == [[str(number) for number in row] for row in pixels.tolist()]
        again = boxes_of(parse(data), Objects(("<a&b>",)))
        # Near whole numbers, what rounding makes of them is taken for them.
        near = abs(corners * side - np.round(corners * side)) < 1e-3
        np.testing.assert_array_equal(again.corners[~near], corners[~near])
        if is_whole:
            assert again.alike(boxes)
        np.testing.assert_allclose(again.corners, corners, rtol=0, atol=2**-23)
        assert render(again, ["<a&b>"], (side, side, 1), "é<&>.png") == data


def test_what_padding_rounds_is_whole_again():
    whole = np.arange(1, 481)
    shares = (np.float32(whole / 481) * (481 / 512)).astype(np.float32)
    # Rounded twice, some are others than those of whole numbers.
    assert (shares != np.float32(whole / 512)).any()
    corners = np.stack([shares * 0, shares * 0, shares, shares], axis=1)
    boxes = Boxes(corners, np.zeros(480, np.int64))
    data = render(boxes, ["a"], (512, 512, 3), "a.png")
    ends = [one.text for one in ET.fromstring(data).iter("xmax")]
    assert ends == [str(number) for number in whole]


def test_boxes_thinner_than_what_is_rounded_keep_their_area():
    low = np.float32(0.5)
    high = np.nextafter(low, np.float32(1))
    boxes = Boxes(np.array([[low, low, high, high]]), np.zeros(1, np.int64))
    again = boxes_of(parse(render(boxes, ["a"], (16, 16, 3), "a")), Objects(("a",)))
    assert again.alike(boxes)


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({}, "is for boxes of objects, and SRC has no field objects"),
        ({"objects": Objects()}, "whose classes have no names"),
        ({"objects": Objects(("a", "a"))}, "two classes of objects called a"),
        ({"objects": Objects(("a\n",))}, r"the class 'a\\n' of objects"),
        ({"objects": Objects(("a\x1b",))}, r"the class 'a\\x1b' of objects"),
        (
            {"objects": Objects(("a",), (("area", "float"),))},
            "cannot hold objects/area: .* --drop objects/area",
        ),
    ],
)
def test_what_the_format_cannot_hold_is_refused(tmp_path, fields, fault):
    with pytest.raises(RunError, match=f"--format voc .*{fault}"):
        VocSink(tmp_path, Schema("mixed", fields, None))

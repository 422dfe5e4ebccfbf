import numpy as np
import pytest
from PIL import Image

from train.config import Config
from train.drawing import beside, coloured, palette
from train.tasks.detect import Detect
from train.tasks.segment import Segment
from train.tasks.task import Letterbox

FOUND = {
    "corners": np.array([[0.25, 0.5, 0.75, 0.75], [0, 0, 0.1, 0.1]], np.float32),
    "labels": np.array([1, 0]),
    "scores": np.array([0.9, 0.01], np.float32),
}
"""A box, and one that is hardly likely."""


def test_small_pictures_are_enlarged_and_large_ones_are_not():
    image = np.random.default_rng(0).integers(0, 256, (60, 100, 1), np.uint8)
    picture = np.asarray(coloured(image))
    assert picture.shape == (240, 400, 3)
    np.testing.assert_array_equal(picture[::4, ::4], image.repeat(3, 2))
    large = np.zeros((240, 500, 3), np.uint8)
    assert coloured(large).size == (500, 240)


def test_boxes_are_drawn_where_they_are():
    image = np.zeros((60, 80, 3), np.uint8)
    drawn = Detect(Config(task="detect"), image.shape, 2).drawn(image, FOUND)
    pixels = np.asarray(drawn)
    rows, columns = pixels.any(-1).nonzero()
    assert (rows.min(), rows.max()) == (60, 180)
    assert (columns.min(), columns.max()) == (160, 240)
    assert (pixels[60, 200] == palette()[1]).all()
    assert not pixels[120, 200].any()


def test_masks_lie_over_their_images():
    image = np.full((4, 6, 3), 100, np.uint8)
    classes = np.arange(24).reshape(4, 6) % 3
    drawn = Segment(Config(task="segment"), image.shape, 3).drawn(image, classes)
    pixels = np.asarray(drawn)[30::60, 30::60].astype(int)
    expected = (palette()[classes].astype(int) + 100) / 2
    assert np.abs(pixels - expected).max() <= 1


def test_pictures_lie_beside_each_other():
    one, other = Image.new("RGB", (5, 7), "red"), Image.new("RGB", (6, 4), "blue")
    both = beside([one, other])
    assert both.size == (5 + 8 + 6, 7)
    assert both.getpixel((0, 6)) == (255, 0, 0)
    assert both.getpixel((13, 3)) == (0, 0, 255)
    assert both.getpixel((7, 0)) == both.getpixel((18, 6)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("size", "mixed", "expected"),
    [
        ((64, 64), False, (16, 32, 48, 48)),
        # Half as large and above grey, or as it is: in pixels of the image itself.
        ((96, 128), False, (32, 64, 96, 96)),
        ((40, 64), True, (16, 32, 40, 48)),
    ],
)
def test_boxes_are_told_in_pixels_of_the_image(size, mixed, expected):
    shape = (64, 64)
    task = Detect(Config(task="detect"), (*shape, 3), 2)
    box = Letterbox(size, shape, mixed=mixed)
    found = task.answer("x.png", FOUND, ("red", "blue"), box)
    assert found.classes == ("blue",)
    np.testing.assert_allclose(found.boxes, [expected])


def test_shares_are_those_of_the_image():
    task = Segment(Config(task="segment"), (64, 64, 3), 3)
    classes = np.full((64, 64), 2)
    classes[:48] = 0
    classes[:12] = 1
    box = Letterbox((96, 128), (64, 64))
    told = task.answer("x.png", classes, ("road", "sky", "car"), box)
    assert (told.classes, told.shares) == (("road", "sky"), (0.75, 0.25))

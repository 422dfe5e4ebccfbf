"""The one form that all images of a data set get, where its format has no other."""

import numpy as np
import pytest
from strangers import noise

from vmixjax.data.example import Example, Pixels
from vmixjax.data.forms import find_form, from_form, is_formed, to_form
from vmixjax.errors import ImageError


class Images:
    """A source of images; None is one that cannot be read."""

    def __init__(self, images):
        self.images, self.splits = images, {"train": 1, "test": len(images) - 1}
        self.looked_at = 0

    def read(self, split, index):
        self.looked_at += 1
        image = self.images[index + (split == "test")]
        if image is None:
            raise ImageError("it is damaged")
        return Example(name="", folder="", stem="", image=image)


GREY, COLOUR = noise(0, channels=1), noise(1)
DEEP = COLOUR.astype(np.uint16)


@pytest.mark.parametrize(
    ("images", "channels", "dtype"),
    [
        ([COLOUR, GREY], 3, "u1"),
        ([None, GREY, GREY, COLOUR], 3, "u1"),
        ([GREY, GREY], 1, "u1"),
        ([GREY, DEEP], 1, "u1"),
        ([DEEP, COLOUR], 3, "u2"),
        ([noise(2, channels=4), COLOUR], 4, "u1"),
        ([noise(2, channels=2), COLOUR], 2, "u1"),
    ],
)
def test_the_form_is_that_of_the_first_or_of_colour(images, channels, dtype):
    assert find_form(Images(images)) == Pixels((None, None, channels), np.dtype(dtype))


def test_no_more_is_read_than_it_takes():
    source = Images([COLOUR] * 500)
    find_form(source)
    assert source.looked_at == 1
    source = Images([GREY, COLOUR, *[GREY] * 500])
    find_form(source)
    assert source.looked_at < 100
    assert find_form(Images([None, None])) is None


def test_greys_become_colours_and_greys_again():
    pixels = Pixels((None, None, 3), np.dtype("u1"))
    formed = to_form(GREY, pixels, "a.png")
    assert formed.shape == (8, 8, 3)
    assert (formed == GREY).all()
    np.testing.assert_array_equal(from_form(formed, 1), GREY)
    assert is_formed(formed, 1)
    assert is_formed(formed, 3)
    assert not is_formed(COLOUR, 1)
    assert not is_formed(formed, 2)
    assert to_form(COLOUR, pixels, "a.png") is COLOUR
    assert to_form(GREY, None, "a.png") is GREY


@pytest.mark.parametrize(
    ("image", "channels"),
    [(DEEP, 3), (noise(2, channels=4), 3), (COLOUR, 1), (GREY, 4)],
)
def test_other_forms_are_refused_by_name(image, channels):
    with pytest.raises(ImageError, match=r"a\.png has . channels of uint"):
        to_form(image, Pixels((None, None, channels), np.dtype("u1")), "a.png")

"""Fewer bits, squares as Pillow makes them, and a digest that vaults depend on."""

import hashlib
import tracemalloc

import numpy as np
import pytest
from PIL import Image, ImageOps

from vmixjax.data import eight_bits, pixels_digest, square, without_alpha

LANCZOS, BILINEAR = Image.Resampling.LANCZOS, Image.Resampling.BILINEAR


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def test_of_16_bits_the_upper_8_are_left():
    np.testing.assert_array_equal(
        eight_bits(np.array([[[0, 255, 256, 65535]]], np.uint16)), [[[0, 0, 1, 255]]]
    )
    image = noise(2, 3, 1)
    assert eight_bits(image) is image


@pytest.mark.parametrize(("channels", "left"), [(1, 1), (2, 1), (3, 3), (4, 3)])
def test_alpha_goes(channels, left):
    image = noise(4, 5, channels)
    np.testing.assert_array_equal(without_alpha(image), image[..., :left])


@pytest.mark.parametrize("shape", [(40, 57, 3), (57, 40, 3), (20, 20, 3), (9, 80, 3)])
def test_a_square_is_what_pillow_cuts_out_of_the_middle(shape):
    image = noise(*shape)
    expected = ImageOps.fit(Image.fromarray(image), (24, 24), LANCZOS)
    np.testing.assert_array_equal(square(image, 24, LANCZOS), expected)


@pytest.mark.parametrize("shape", [(40, 57, 3), (57, 40, 3), (20, 20, 3), (9, 80, 3)])
def test_a_square_of_the_whole_is_cut_out_of_the_scaled_image(shape):
    image = noise(*shape)
    height, width = (max(24, round(side * 24 / min(shape[:2]))) for side in shape[:2])
    scaled = np.asarray(Image.fromarray(image).resize((width, height), BILINEAR))
    top, left = (height - 24) // 2, (width - 24) // 2
    np.testing.assert_array_equal(
        square(image, 24, BILINEAR, whole=True),
        scaled[top : top + 24, left : left + 24],
    )


@pytest.mark.parametrize("whole", [False, True])
def test_squares_have_any_number_of_channels_and_may_be_there_already(whole):
    assert square(noise(30, 50, 2), 8, LANCZOS, whole=whole).shape == (8, 8, 2)
    image = noise(8, 8, 5)
    assert square(image, 8, LANCZOS, whole=whole) is image


def test_digests_do_not_change():
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert pixels_digest(image).hex() == (
        "d2f521eeba3ea6e7a0526a5fe2fbed703f289321273e08a37d6e32c4f895dd8c"
    )
    assert pixels_digest(image.astype(np.uint16)).hex() == (
        "586a58f8be6899d20d6b840b13e6e89f6da0ba074595dddd625b60ba452ae6cb"
    )
    assert pixels_digest(image[:, ::-1][:, ::-1]) == pixels_digest(image)
    assert pixels_digest(image.reshape(4, 2, 3)) != pixels_digest(image)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3000, 700, 3), (2, 2_000_000, 1)])
@pytest.mark.parametrize("turned", [False, True])
def test_digests_are_of_shape_type_and_values_and_take_little_memory(shape, turned):
    image = noise(*shape)
    image = image.swapaxes(0, 1) if turned else image
    expected = hashlib.sha256(f"({image.shape}, '|u1')".encode() + image.tobytes())
    tracemalloc.start()
    assert pixels_digest(image) == expected.digest()
    assert tracemalloc.get_traced_memory()[1] < 3 << 20
    tracemalloc.stop()

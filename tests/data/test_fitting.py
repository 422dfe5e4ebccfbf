import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmixjax.data.pixels import cut_off, fit, unfit
from vmixjax.errors import ImageError


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    channels=st.integers(1, 4),
    tile=st.sampled_from([4, 7, 16]),
    how=st.sampled_from(["pad", "crop"]),
    dtype=st.sampled_from([np.uint8, np.uint16]),
)
def test_fitting_is_undone_exactly(height, width, channels, tile, how, dtype):
    if how == "crop" and min(height, width) < tile:
        return
    rng = np.random.default_rng(height * width)
    image = rng.integers(0, 256, (height, width, channels)).astype(dtype)
    fitted = fit(image, tile, how)
    assert fitted.shape[0] % tile == fitted.shape[1] % tile == 0
    assert abs(fitted.shape[0] - height) < tile
    assert abs(fitted.shape[1] - width) < tile
    shared = min(height, fitted.shape[0]), min(width, fitted.shape[1])
    assert (fitted[: shared[0], : shared[1]] == image[: shared[0], : shared[1]]).all()
    rest = cut_off(image, fitted)
    assert (rest == b"") == (how == "pad" or fitted.shape == image.shape)
    assert (unfit(fitted, height, width, rest) == image).all()


def test_too_small_to_crop_is_said():
    with pytest.raises(ValueError, match="is 7 x 20, smaller than one tile of 8"):
        fit(np.zeros((7, 20, 3), np.uint8), 8, "crop")


def test_a_line_is_refused_before_it_is_padded_beyond_the_limit():
    line = np.broadcast_to(np.uint8(0), (1, 80_000_000, 3))
    tracemalloc.start()
    with pytest.raises(ImageError, match="is 1 x 80000000, and 32 x 80000000 as"):
        fit(line, 32, "pad", "line.png")
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()
    assert fit(line[:, :50], 32, "pad").shape == (32, 64, 3)


@pytest.mark.parametrize("how", ["pad", "crop"])
def test_fitting_takes_no_more_than_its_result(how):
    image = np.zeros((1001, 1001, 3), np.uint8)
    tracemalloc.start()
    fitted = fit(image, 32, how)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < (fitted.nbytes if how == "pad" else 0) + 2**17

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmixjax.data.pixels import cut_off, fit, unfit


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

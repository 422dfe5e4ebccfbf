import numpy as np
import pytest
from skimage import filters
from small import PHOTO

from vmixjax import methods


@pytest.mark.parametrize("sigma", [0.5, 3.0])
def test_blur_is_scikit_images(sigma):
    ours = np.asarray(methods.gaussian_blur(PHOTO, sigma=sigma)).astype(float)
    theirs = filters.gaussian(
        PHOTO.astype(float), sigma, mode="nearest", truncate=4, channel_axis=-1
    )
    assert np.abs(ours - theirs).max() < 0.501

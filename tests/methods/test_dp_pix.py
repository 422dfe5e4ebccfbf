import math

import numpy as np
import pytest
from small import KEY, PHOTO, blocks

from vmixjax import methods


def test_dp_pix_is_pixelation_with_laplace_noise():
    grey = np.full((128, 96, 3), 128, np.uint8)
    # Any value of a pixel may differ, hence three times the noise of grey images.
    epsilon = 3 * 255 * 6 / (2 * 2 * 10)  # a scale of 10
    noisy = methods.dp_pix(KEY, grey, epsilon=epsilon, block=2, neighbours=6)
    found = np.array(blocks(noisy, 2))
    assert (found == found[:, :1, :1]).all()
    noise = found[:, 0, 0] - 128.0
    assert abs(noise.mean()) < 4 * 10 * math.sqrt(2 / noise.size)
    assert np.abs(noise).mean() == pytest.approx(10, rel=0.05)
    assert noise.std() == pytest.approx(10 * math.sqrt(2), rel=0.05)
    quiet = methods.dp_pix(KEY, PHOTO, epsilon=1e6, block=4)
    pixelated = np.asarray(methods.pixelate(PHOTO, block=4)).astype(int)
    assert np.abs(np.asarray(quiet) - pixelated).max() <= 1

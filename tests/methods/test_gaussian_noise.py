import math

import numpy as np
import pytest
from scipy import integrate, stats
from small import KEY

from vmixjax import methods


def test_noise_has_the_moments_that_it_says():
    grey = np.full((128, 96, 1), 128, np.uint8)
    noise = np.asarray(methods.gaussian_noise(KEY, grey, sigma=20)) - 128.0
    assert abs(noise.mean()) < 4 * 20 / math.sqrt(grey.size)
    assert noise.std() == pytest.approx(20, rel=0.03)
    assert stats.kurtosis(noise.ravel()) == pytest.approx(0, abs=0.2)
    dark = methods.gaussian_noise(KEY, grey * 0, sigma=20)
    assert np.mean(np.asarray(dark) == 0) == pytest.approx(0.51, abs=0.02)


@pytest.mark.parametrize(
    ("ratio", "delta"), [(0.1, 1e-3), (1, 1e-5), (4, 1e-2), (10, 1e-6)]
)
def test_epsilon_is_where_the_hockey_stick_divergence_is_delta(ratio, delta):
    epsilon = methods.noise_epsilon(255 / ratio, (1, 1, 1), delta=delta)
    start = epsilon / ratio + ratio / 2  # beyond it the one density exceeds the other
    divergence, _ = integrate.quad(
        lambda x: stats.norm.pdf(x - ratio) - np.exp(epsilon) * stats.norm.pdf(x),
        start,
        start + 40,
        points=[start + 1, start + 4],
        epsabs=1e-14,
    )
    assert divergence == pytest.approx(delta, rel=1e-5)


def test_epsilon_at_known_values():
    # The analytic Gaussian mechanism's noise for epsilon 1, delta 1e-5, sensitivity 1.
    sigma = 3.730632
    assert methods.noise_epsilon(255 * sigma, (1, 1, 1)) == pytest.approx(1, abs=1e-6)
    assert methods.noise_epsilon(255 * sigma * 8, (8, 8, 1)) == pytest.approx(1)
    assert methods.noise_epsilon(1e9, (8, 8, 3)) == 0
    # No overflow where epsilon is absurd, and half the noise is nearly four times it.
    absurd = [methods.noise_epsilon(s, (512, 512, 3)) for s in (1e-3, 2e-3)]
    assert absurd[0] == pytest.approx(4 * absurd[1], rel=1e-3)
    assert absurd[0] > 1e10

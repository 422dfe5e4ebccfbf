import numpy as np
import pytest

from vmixjax.networks import learning_rate


def test_the_rate_climbs_to_its_peak_and_falls_to_nothing():
    rates = [float(learning_rate(2.0, 100)(number)) for number in range(100)]
    assert np.argmax(rates) in (4, 5)
    assert max(rates) == 2
    assert rates[0] == pytest.approx(0.4)
    assert rates[-1] < 0.01
    assert float(learning_rate(2.0, 1)(0)) == 2

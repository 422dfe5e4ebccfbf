import numpy as np
import pytest
from small import KEY, NUMBERS

from vmixjax import methods


def test_pe_keeps_each_pixels_values_up_to_inversion_and_order():
    encrypted = np.asarray(methods.pe(KEY, NUMBERS))

    def folded(image):
        return np.sort(np.minimum(image, 255 - image), axis=2)

    assert (folded(encrypted) == folded(NUMBERS)).all()
    dark = np.asarray(methods.pe(KEY, NUMBERS // 4))
    assert np.mean(dark > 127) == pytest.approx(0.5, abs=0.07)
    mild = np.asarray(methods.pe(KEY, NUMBERS // 4, share=0.1))
    assert np.mean(mild > 127) == pytest.approx(0.1, abs=0.05)
    only_colours = np.asarray(methods.pe(KEY, NUMBERS, share=0))
    assert (np.sort(only_colours, 2) == np.sort(NUMBERS, 2)).all()
    assert np.mean(only_colours == NUMBERS) == pytest.approx(1 / 3, abs=0.08)

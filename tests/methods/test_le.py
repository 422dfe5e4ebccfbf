import itertools

import jax
import numpy as np
import pytest
from small import KEY, NUMBERS, PHOTO, blocks, half_bytes

from vmixjax import methods


def test_le_is_the_published_scramble_and_a_known_key_undoes_it():
    order = np.asarray(jax.random.permutation(KEY, 2 * 4 * 4 * 3))
    inverted = order > 48
    encrypted = np.asarray(methods.le(KEY, PHOTO))
    for plain, hidden in zip(blocks(PHOTO, 4), blocks(encrypted, 4), strict=True):
        halves = half_bytes(hidden).astype(int)
        halves[inverted] = 15 - halves[inverted]
        restored = np.empty_like(halves)
        restored[order] = halves
        restored[inverted] = 15 - restored[inverted]
        restored = restored[:48] + 16 * restored[48:]
        assert (restored == plain.reshape(-1)).all()
    assert np.mean(encrypted == PHOTO) < 0.1


@pytest.mark.parametrize("name", ["le", "ele"])
def test_each_half_byte_decides_one_half_byte(name):
    function = getattr(methods, name)
    before = np.asarray(function(KEY, NUMBERS))
    places = set()
    for value, bits in itertools.product([3, 100, 575], [1, 32]):
        other = NUMBERS.copy()
        other.reshape(-1)[value] ^= bits
        changed = np.asarray(function(KEY, other)) ^ before
        assert (changed > 0).sum() == 1
        assert bin(changed.max()).count("1") == 1
        places.add((int(changed.argmax()), int(changed.max()) > 15))
    assert len(places) == 6

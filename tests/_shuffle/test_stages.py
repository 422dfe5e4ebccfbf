import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.extend.random import threefry2x32_p

import vmixjax
from vmixjax._shuffle.cipher import threefry2x32
from vmixjax._shuffle.stages import Digit, factors, stage_count, stages

PAIRS_SEEN = 2**20


def differences(bases, start, count):
    """Exact odds of the difference of two blocks after so many stages, by digit."""
    odds = np.zeros(bases)
    odds[tuple(start)] = 1
    for stage in range(count):
        k = stage % len(bases)
        moved = np.moveaxis(odds, k, 0)
        alone = np.s_[(slice(None), *[0] * (len(bases) - 1))]
        kept = moved[alone].copy()
        moved[:] = moved.mean(0)
        moved[alone] = kept
    return odds


@pytest.mark.parametrize(
    "n",
    [
        (2, 2),
        (2,) * 4,
        (2,) * 6,
        (2,) * 8,
        (2,) * 10,
        (3, 3),
        (5, 5),
        (7, 7),
        (31, 31),
        (3, 2, 3, 2),
        (7, 2, 2, 7, 2, 2),
        (3, 2, 2, 2, 2, 2, 2, 2, 2),
    ],
)
def test_no_pair_of_blocks_shows_where_it_was(n):
    uniform = 1 / (math.prod(n) - 1)
    for k, base in enumerate(n):
        start = [0] * len(n)
        start[k] = base - 1
        odds = differences(n, start, stage_count(n))
        assert odds[(0,) * len(n)] == 0
        assert math.isclose(odds.sum(), 1)
        # Any one digit, and the likeliest difference, within the noise of a test.
        for axis in range(len(n)):
            digit = odds.sum(tuple(a for a in range(len(n)) if a != axis))
            even = np.full(n[axis], math.prod(n) / n[axis] * uniform)
            even[0] -= uniform
            noise = np.sqrt(even * (1 - even) / PAIRS_SEEN)
            assert (np.abs(digit - even) < 1.1 * noise).all()
        others = odds.ravel()[1:]
        noise = math.sqrt(uniform / PAIRS_SEEN)
        assert np.abs(others - uniform).max() < 1.1 * noise


def test_half_the_stages_would_show():
    n = (2,) * 8
    odds = differences(n, [1] + [0] * 7, stage_count(n) // 2)
    assert odds.max() > 1.5 / 255


def test_few_stages_whatever_the_number_of_blocks():
    counts = {n: stage_count(tuple(factors(n) * 2)) for n in (2, 4, 8, 16, 32, 64, 7)}
    assert counts == {2: 19, 4: 15, 8: 16, 16: 18, 32: 19, 64: 21, 7: 11}


@given(st.integers(1, 10_000))
def test_factors_multiply_up(number):
    found = factors(number)
    assert math.prod(found) == number
    assert found == sorted(found, reverse=True)
    assert all(p % d for p in found for d in range(2, math.isqrt(p) + 1))


@pytest.mark.parametrize("mode", ["independent", "shared", "joint"])
@pytest.mark.parametrize(
    ("tile", "ladder"),
    [
        (32, ((8, 2), (8, 1), (16, 1), (32, 1))),
        (28, ((14, 2), (4, 2), (28, 1))),
        (31, ((31, 1),)),
    ],
)
def test_no_two_stages_read_the_same_bits(tile, ladder, mode):
    config = vmixjax.MixConfig(tile, ladder, mode)
    network = stages(config, 3)
    for one, other in itertools.combinations(network, 2):
        if one.digit.base == other.digit.base == 2:
            apart = (one.byte, one.bit) != (other.byte, other.bit)
        else:
            apart = one.byte != other.byte
        if not apart:
            # Then they split the places of each group between them.
            assert one.digit == other.digit
            assert one.slot != other.slot
            assert max(one.slot, other.slot) < one.digit.base
    for level, (region, block) in enumerate(ladder, start=1):
        own = [s.digit for s in network if level in s.levels]
        n = region // block
        bases = factors(n) * 2 + (factors(3) if mode == "joint" else [])
        assert len(own) == stage_count(tuple(d.base for d in sorted(set(own))))
        assert sorted(d.base for d in set(own)) == sorted(bases)


def test_a_network_that_can_be_checked_by_eye():
    (first, *_) = stages(vmixjax.MixConfig(4, ((4, 2),)), 3)
    assert first.digit == Digit(down=False, stride=6, base=2)


def test_threefry_is_that_of_jax():
    words = jax.random.bits(jax.random.key(0), (4, 1000), jnp.uint32)
    ours = threefry2x32((words[0], words[1]), (words[2], words[3]))
    for mine, theirs in zip(ours, threefry2x32_p.bind(*words), strict=True):
        np.testing.assert_array_equal(mine, theirs)

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import vmixjax
from vmixjax._shuffle.stages import Digit, factors, stage_count, stages

PAIRS_SEEN = 2**20
SECRET = bytes(range(32))


def one(bases, start):
    """The odds of a difference that is known."""
    odds = np.zeros(bases)
    odds[tuple(start)] = 1
    return odds


def differences(bases, odds, count):
    """Exact odds of the difference of two blocks after so many stages, by digit."""
    odds = odds.copy()
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
        odds = differences(n, one(n, start), stage_count(n))
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
    odds = differences(n, one(n, [1] + [0] * 7), stage_count(n) // 2)
    assert odds.max() > 1.5 / 255


def test_few_stages_whatever_the_number_of_blocks():
    counts = {n: stage_count(tuple(factors(n) * 2)) for n in (2, 4, 8, 16, 32, 64, 7)}
    assert counts == {2: 19, 4: 15, 8: 16, 16: 18, 32: 20, 64: 24, 7: 11}


def halves_and_stripes(n):
    """Sets of half or a quarter of the blocks of a region, n to a side, by name."""
    y, x = np.mgrid[:n, :n]
    sets = {
        "top": y < n // 2,
        "left": x < n // 2,
        "top left": (y < n // 2) & (x < n // 2),
    }
    stride = 1
    while stride < n:
        sets[f"rows of {stride}"] = y // stride % 2 == 0
        sets[f"columns of {stride}"] = x // stride % 2 == 0
        stride *= 2
    sets["one row"], sets["one column"] = y == 0, x == 0
    return sets


def by_digits(values, n):
    """A map of blocks (n, n) as `differences` has them: an axis for each digit."""
    bases = factors(n)
    # Digits of a number are the axes of its array, the lowest last.
    grid = values.reshape(*bases[::-1], *bases[::-1])
    rows, columns = range(len(bases)), range(len(bases), 2 * len(bases))
    return grid.transpose(*reversed(columns), *reversed(rows))


def pairs(members, n):
    """How many pairs of a set of blocks have which difference, digit by digit."""
    transformed = np.fft.fftn(by_digits(members.astype(float), n))
    return np.fft.ifftn(np.abs(transformed) ** 2).real


def variance_over_uniform(members, n, count):
    """Variance of how many blocks of a set stay in it, over that of uniform shuffles.

    Of two blocks, one is anywhere, and their difference where `differences` has it.
    """
    blocks, size = n * n, int(members.sum())
    bases = tuple(factors(n) * 2)
    odds = differences(bases, pairs(members, n), count)
    square = float((odds * pairs(members, n)).sum()) / blocks
    mean = size**2 / blocks
    uniform = mean * (1 - size / blocks) ** 2 * blocks / (blocks - 1)
    return (square - mean**2) / uniform


@pytest.mark.parametrize("n", [2, 3, 4, 6, 7, 8, 14, 16, 32, 64, 96, 112, 128])
def test_sets_of_blocks_part_as_if_shuffled_uniformly(n):
    count = stage_count(tuple(factors(n) * 2))
    for name, members in halves_and_stripes(n).items():
        assert abs(variance_over_uniform(members, n, count) - 1) < 0.02, name


@pytest.mark.parametrize(("n", "count"), [(32, 19), (64, 21), (96, 21), (128, 23)])
def test_fewer_than_two_whole_passes_would_show_in_halves(n, count):
    worst = max(
        variance_over_uniform(members, n, count)
        for members in halves_and_stripes(n).values()
    )
    assert worst > 1.9


@pytest.mark.parametrize(("n", "shuffles"), [(8, 4096), (32, 1024), (64, 512)])
def test_sets_of_blocks_part_so_in_mixed_images(n, shuffles):
    config = vmixjax.MixConfig(n, ((n, 1),))
    for name, members in halves_and_stripes(n).items():
        if name not in ("top", "left", "rows of 1", f"columns of {n // 2}"):
            continue
        image = np.tile(members.astype(np.uint8), (1, shuffles))[..., None]
        plan = vmixjax.full_plan(image.shape, config)
        mixed = np.asarray(vmixjax.mix(vmixjax.key(SECRET), image, plan))[..., 0]
        stayed = (mixed.reshape(n, shuffles, n) & members[:, None]).sum((0, 2))
        size, blocks = int(members.sum()), n * n
        uniform = size**2 / blocks * (1 - size / blocks) ** 2 * blocks / (blocks - 1)
        # Of a variance of so many, four standard errors.
        assert abs(stayed.var() / uniform - 1) < 4 * math.sqrt(2 / shuffles), name


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

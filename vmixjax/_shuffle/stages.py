"""The stages of a shuffle: which digits of a block's number turn, when, by which bits.

Number the blocks of a region by digits: with n blocks to a side, row and column each
count in the prime factors of n (16 x 16 blocks: four binary digits down, four across;
7 x 7: one digit of base 7 each). Where blocks change channels, the channel counts
too. A stage takes one digit and turns it by a random amount, one amount for each group
of blocks that differ in that digit alone; for a binary digit: swap the two, or not. All
digits turn, again and again, until no pair of blocks shows where it was.

Two blocks that differ in one digit keep that difference as long as they turn as one
group: until another digit of theirs differs. Before its first turn that has happened
unless none of the digits that turned earlier came to differ, and before each later
one unless all others agree by chance. `stage_count` is where the product of these
chances is so small, for each digit, that it is lost in a test on 2^20 pairs: within
one standard error of it, as the exact odds show (in the tests).

The stages of a config serve all its levels at once: each says which take part.
"""

import functools
import math
from typing import NamedTuple

from vmixjax.config import MixConfig

_UNSEEN = 2.0**-9

LARGEST_BASE = 1021
"""A turn is scaled from 16 bits: below this, by at most 1.6 % off uniform at once."""


class Digit(NamedTuple):
    """One digit of a block's number; sorted, digits along rows come first.

    Attributes:
      down: whether it counts rows; otherwise places in a row.
      stride: how far apart neighbours in it are: in rows, or in values along a row.
      base: how many values it has, a prime.
    """

    down: bool
    stride: int
    base: int


class Stage(NamedTuple):
    """A digit that turns in the tiles of some levels.

    Attributes:
      digit: which.
      levels: the levels that take part.
      byte: which random byte of each place tells how far.
      bit: which bit of that byte, for a binary digit; others take
        `random_bytes(base)` whole bytes.
      slot: with which block of a group its bits lie: so stages share random bytes.
    """

    digit: Digit
    levels: tuple[int, ...]
    byte: int
    bit: int
    slot: int


@functools.lru_cache
def stages(config: MixConfig, channels: int) -> tuple[Stage, ...]:
    """All stages of a config, for images of so many channels, in order."""
    mixed = channels if config.crosses_channels else 1
    taking_part: dict[tuple[int, Digit], list[int]] = {}
    for level, (region, block) in enumerate(config.ladder, start=1):
        digits = _digits(region, block, channels, mixed)
        for turn in range(stage_count(tuple(d.base for d in digits))):
            number, place = divmod(turn, len(digits))
            taking_part.setdefault((number, digits[place]), []).append(level)
    in_order = sorted(taking_part.items())
    return _deal_bits([(digit, tuple(levels)) for (_, digit), levels in in_order])


def stage_count(bases: tuple[int, ...]) -> int:
    """Stages, digits in turn, after which no pair of blocks shows where it was.

    Two whole passes at least: a digit that turned once halves groups as they are.
    """
    count = 2 * len(bases)
    for k, base in enumerate(bases):
        others = math.prod(bases) // base
        together, visits = 1 / math.prod(bases[:k]), 1
        while together > _UNSEEN * (2 / base) ** 2:
            together /= others
            visits += 1
        count = max(count, (visits - 1) * len(bases) + k + 1)
    return count


def by_rolls(base: int) -> bool:
    """Whether turns of a base are done by rolling all rows, in few large operations.

    Small bases are done by picking, for each value of the digit, which is faster but
    makes programs that grow as the base does.
    """
    return base > 7


def random_bytes(base: int) -> int:
    """Bytes that a turn is scaled from.

    One byte is off uniform by base / 256 at most, and the turns of a digit, of which
    there are two or more where there are few blocks, by the product of that.
    """
    return 1 if base < 8 else 2


def steps(stage: Stage, inverse: bool = False) -> list[tuple[int, int]]:
    """Tells how a turn is done: by steps of a digit, each asked for by one bit.

    Returns:
      (how far the digit turns, the bit of the random number that asks for it).
    """
    sign = -1 if inverse else 1
    if stage.digit.base == 2:
        return [(sign, 1 << stage.bit)]
    count = (stage.digit.base - 1).bit_length()
    return [(sign << i, 1 << i) for i in range(count)]


def factors(number: int) -> list[int]:
    """Prime factors, largest first: so regions of 7 and 14 share their first digit."""
    primes = []
    divisor = 2
    while number > 1:
        while number % divisor == 0:
            primes.append(divisor)
            number //= divisor
        divisor += 1
    return primes[::-1]


def _digits(region: int, block: int, channels: int, mixed: int) -> list[Digit]:
    """Digits of a block's number, where so many of the channels are mixed."""
    bases = factors(region // block)
    down = _count_in(bases, down=True, first=block)
    across = _count_in(bases, down=False, first=block * channels)
    return sorted(down + across + _count_in(factors(mixed), down=False, first=1))


def _count_in(bases: list[int], *, down: bool, first: int) -> list[Digit]:
    return [Digit(down, first * math.prod(bases[:i]), b) for i, b in enumerate(bases)]


def _deal_bits(turns: list[tuple[Digit, tuple[int, ...]]]) -> tuple[Stage, ...]:
    """Gives each turn its bits: first the turns across, then those down, then others.

    A group of blocks needs one number, and has as many places for it as blocks: turns
    of the same digit in the same levels share them. Binary digits across do not: there
    it would cost more to tell the places apart than to draw more bits.
    """
    dealt: dict[int, tuple[int, int, int]] = {}
    used: dict[tuple[Digit, tuple[int, ...]], tuple[int, int, int]] = {}
    bits = 0
    for down in (False, True):
        for i, turn in enumerate(turns):
            if turn[0].down != down or turn[0].base > 2:
                continue
            if down and turn in used and used[turn][2] == 0:
                used[turn] = dealt[i] = (*used[turn][:2], 1)
            else:
                used[turn] = dealt[i] = (*divmod(bits, 8), 0)
                bits += 1
    byte = -(-bits // 8)
    for i, turn in enumerate(turns):
        base = turn[0].base
        if base == 2:
            continue
        if turn in used and used[turn][2] + 1 < base:
            used[turn] = dealt[i] = (used[turn][0], 0, used[turn][2] + 1)
        else:
            used[turn] = dealt[i] = (byte, 0, 0)
            byte += random_bytes(base)
    return tuple(Stage(*turn, *dealt[i]) for i, turn in enumerate(turns))

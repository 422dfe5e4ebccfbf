"""The stages of a shuffle: which digits of a block's number turn, when, by which bits.

Number the blocks of a region by digits: with n blocks to a side, row and column each
count in the prime factors of n (16 x 16 blocks: four binary digits down, four across;
7 x 7: one digit of base 7 each). In `"joint"` mode the channel counts too. A stage
takes one digit and turns it by a random amount, one amount for each group of blocks
that differ in that digit alone; for a binary digit: swap the two, or not. All digits
turn, again and again, until no pair of blocks shows where it was.

Two blocks that differ in one digit keep that difference as long as they turn as one
group: until another digit of theirs differs. Before its first turn that has happened
unless none of the digits that turned earlier came to differ, and before each later
one unless all others agree by chance. `stage_count` is where the product of these
chances has fallen to 2^-10 for each digit, which a test on 2^20 pairs would not see.

A network may serve several levels at once: a stage then says which take part.
"""

import functools
import math
from typing import NamedTuple

from vmixjax.config import MixConfig

_UNSEEN = 2.0**-10


class Digit(NamedTuple):
    """One digit of a block's number; sorted, digits across come first.

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
      upper: whether the bit of a pair lies with its second block, not its first:
        so two stages can share the bits of one place.
    """

    digit: Digit
    levels: tuple[int, ...]
    byte: int
    bit: int
    upper: bool


@functools.lru_cache
def stages(config: MixConfig, channels: int) -> tuple[Stage, ...]:
    """The network of a config, for images of so many channels, in order."""
    ladder = [_digits(s, b, channels, config.channels) for s, b in config.ladder]
    counts = [stage_count(tuple(d.base for d in digits)) for digits in ladder]
    passes = max(-(-n // len(d)) for n, d in zip(counts, ladder, strict=True))
    turns = []
    for number in range(passes):
        for digit in sorted(set().union(*ladder)):
            levels = tuple(
                level
                for level, (count, digits) in enumerate(
                    zip(counts, ladder, strict=True), start=1
                )
                if digit in digits
                and number * len(digits) + digits.index(digit) < count
            )
            if levels:
                turns.append((digit, levels))
    return _deal_bits(turns)


def stage_count(bases: tuple[int, ...]) -> int:
    """Stages, digits in turn, after which no pair of blocks shows where it was."""
    count = 0
    for k, base in enumerate(bases):
        others = math.prod(bases) // base
        together, visits = 1 / math.prod(bases[:k]), 1
        while together > _UNSEEN:
            together /= others
            visits += 1
        count = max(count, (visits - 1) * len(bases) + k + 1)
    return count


def random_bytes(base: int) -> int:
    """Bytes that a turn is scaled from.

    One byte is off uniform by base / 256 at most, and the turns of a digit, of which
    there are two or more where there are few blocks, by the product of that.
    """
    return 1 if base < 8 else 2


def factors(number: int) -> list[int]:
    """Prime factors, largest first: so regions of 7 and 14 share their first digit."""
    found = []
    divisor = 2
    while number > 1:
        while number % divisor == 0:
            found.append(divisor)
            number //= divisor
        divisor += 1
    return found[::-1]


def _digits(region: int, block: int, channels: int, mode: str) -> list[Digit]:
    bases = factors(region // block)
    found = _count_in(bases, down=True, first=block)
    found += _count_in(bases, down=False, first=block * channels)
    if mode == "joint":
        found += _count_in(factors(channels), down=False, first=1)
    return sorted(found)


def _count_in(bases: list[int], *, down: bool, first: int) -> list[Digit]:
    return [Digit(down, first * math.prod(bases[:i]), b) for i, b in enumerate(bases)]


def _deal_bits(turns: list[tuple[Digit, tuple[int, ...]]]) -> tuple[Stage, ...]:
    """Gives each turn its bits; across and down apart, since they are laid out apart.

    A binary digit needs a bit for each pair, and there is one at each place: two
    turns of the same digit in the same levels share, one taking the bits of first
    blocks, the other those of second ones.
    """
    dealt: dict[int, tuple[int, int, bool]] = {}
    byte = 0
    for down in (False, True):
        half_used: dict[tuple[Digit, tuple[int, ...]], tuple[int, int]] = {}
        bits = 0
        for i, turn in enumerate(turns):
            if turn[0].down != down or turn[0].base > 2:
                continue
            if turn in half_used:
                dealt[i] = (*half_used.pop(turn), True)
            else:
                half_used[turn] = (byte + bits // 8, bits % 8)
                dealt[i] = (*half_used[turn], False)
                bits += 1
        byte += -(-bits // 8)
    for i, (digit, _) in enumerate(turns):
        if digit.base > 2:
            dealt[i] = (byte, 0, False)
            byte += random_bytes(digit.base)
    return tuple(Stage(*turn, *dealt[i]) for i, turn in enumerate(turns))

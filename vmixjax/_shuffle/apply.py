"""Strips of tiles through the stages of a network, forwards or backwards."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vmixjax._shuffle import bits as _random_bits
from vmixjax._shuffle.stages import Stage, by_rolls, stages
from vmixjax.config import MixConfig

# Stages across that are cheaper done over than kept in memory for the next.
_IN_ONE = 2


class Strips(NamedTuple):
    """Rows of tiles, of one image or of many; k images may lie side by side.

    Attributes:
      values: (N, T, k * W * C).
      key: uint32 (N, k, 2), the words of the key of each image.
      number: uint32 (N, k), which strip of its image each is, from the top.
      levels: uint8 (N, k * W // T).
    """

    values: jax.Array
    key: jax.Array
    number: jax.Array
    levels: jax.Array


def turn_strips(
    strips: Strips, config: MixConfig, channels: int, *, inverse: bool, apart: bool
) -> jax.Array:
    """The values of strips, shuffled, or with `inverse` brought back.

    Args:
      strips: what to shuffle, by which keys and levels.
      config: tile size, ladder and channel mode.
      channels: C.
      inverse: whether to undo the shuffle.
      apart: whether to hold what is read several times in memory. Left alone, XLA on
        CPU computes it anew for each reader, and loses the vector units over it.
        Values must then be integers.

    Returns:
      (N, T, k * W * C), dtype of the values.
    """
    values = strips.values
    width = values.shape[2]
    network = stages(config, channels)
    runs = [list(run) for _, run in itertools.groupby(network, _manner)]
    reach = max(sum(map(_reach, run)) for run in runs)
    margin = -(-reach // width)
    bits = _random_bits.draw(
        strips[1:], network, config, channels, margin=margin, apart=apart
    )
    edge = _random_bits.zero_rows(strips.key, margin, width, values.dtype)
    if inverse:
        runs = [run[::-1] for run in reversed(runs)]
    # Across, the margin is joined on first, in memory; otherwise, nothing is.
    hold = _random_bits.in_memory if apart else (lambda x: x)
    if _manner(runs[0][0]) != "across":
        values = hold(values)
    for run in runs:
        if _manner(run[0]) == "rolls":
            for stage in run:
                values = _turn_by_rolls(values, stage, bits, inverse, hold)
        elif _manner(run[0]) == "down":
            for pair in _pairs(run):
                values = _turn_down(values, pair, bits, inverse)
        else:
            held = len(run) - (_IN_ONE if run is runs[-1] else 0) if apart else 0
            values = _turn_across(values, edge, run, bits, inverse, held)
    return hold(values) if _manner(runs[-1][0]) == "down" else values


def _manner(stage: Stage) -> str:
    if by_rolls(stage.digit.base):
        return "rolls"
    return "down" if stage.digit.down else "across"


def _reach(stage: Stage) -> int:
    """How far along a row a stage across looks, to either side."""
    if _manner(stage) != "across":
        return 0
    return len(_steps(stage)) * (stage.digit.base - 1) * stage.digit.stride


def _steps(stage: Stage) -> list[tuple[int, int]]:
    """(how far to turn, which bit of the random number asks for it), in turn."""
    if stage.digit.base == 2:
        return [(1, 1 << stage.bit)]
    return [(1 << i, 1 << i) for i in range((stage.digit.base - 1).bit_length())]


def _asked(random: jax.Array, bit: int) -> jax.Array:
    return (random & np.asarray(bit, random.dtype)) != 0


def _pairs(run: Sequence[Stage]) -> list[list[Stage]]:
    """Binary stages at strides d and 2d in twos, for one way through memory."""
    pairs: list[list[Stage]] = []
    for stage in run:
        before = pairs[-1] if pairs else []
        strides = sorted(s.digit.stride for s in (*before, stage))
        binary = all(s.digit.base == 2 for s in (*before, stage))
        if len(before) == 1 and binary and strides[1] == 2 * strides[0]:
            before.append(stage)
        else:
            pairs.append([stage])
    return pairs


def _turn_down(
    values: jax.Array, run: Sequence[Stage], bits: _random_bits.Bits, inverse: bool
) -> jax.Array:
    """Stages whose digits count rows: rows trade places, value by value."""
    count, tile, width = values.shape
    base = math.prod(s.digit.base for s in run)
    stride = min(s.digit.stride for s in run)
    shape = (count, tile // (stride * base), base, stride, width)
    grid = values.reshape(shape)
    rows = [grid[:, :, i] for i in range(base)]
    for stage in run:
        own, unit = stage.digit.base, stage.digit.stride // stride
        random = bits.down[stage.byte].reshape(shape)
        for number, (step, bit) in enumerate(_steps(stage)):
            if number:
                # In memory, or each step would do all before it over.
                grid = jnp.stack(rows, 2)
                rows = [grid[:, :, i] for i in range(base)]
            turned = []
            for i, here in enumerate(rows):
                digit = i // unit % own
                first = i - digit * unit
                there = rows[
                    first + (digit + (-step if inverse else step)) % own * unit
                ]
                asked = _asked(random[:, :, first + stage.slot * unit], bit)
                turned.append(jnp.where(asked, there, here))
            rows = turned
    return jnp.stack(rows, 2).reshape(count, tile, width)


def _turn_across(
    values: jax.Array,
    edge: jax.Array,
    run: Sequence[Stage],
    bits: _random_bits.Bits,
    inverse: bool,
    held: int,
) -> jax.Array:
    """Stages whose digits count along a row: neighbours at a distance trade places.

    The rows of a strip are laid end to end, with a margin for reading beyond; nothing
    comes from there, since the bits there are zero. The first `held` stages end up in
    memory: done for two halves of the strips and joined, a result is.
    """
    count, tile, width = values.shape
    margin = edge.shape[1] * width
    line = _Line(
        jnp.concatenate([edge, values, edge], 1).reshape(count, -1), margin, slice(None)
    )
    middle = count // 2
    held = max(held, 0) if middle else 0
    if held:
        halo = sum(map(_reach, run[held:]))
        halves = (slice(0, middle), slice(middle, count))
        done = [
            _turn_line(
                line._replace(strips=half), run[:held], bits, margin, halo, inverse
            )
            for half in halves
        ]
        line = _Line(jnp.concatenate([x.values for x in done]), halo, slice(None))
    line = _turn_line(line, run[held:], bits, margin, 0, inverse)
    return line.values.reshape(count, tile, width)


class _Line(NamedTuple):
    """Rows of strips end to end: which strips of them, and where they start.

    Attributes:
      values: (strips, start + T * W * C + start).
      start: margin before the first value.
      strips: which of all strips.
    """

    values: jax.Array
    start: int
    strips: slice


def _turn_line(
    line: _Line,
    run: Sequence[Stage],
    bits: _random_bits.Bits,
    margin: int,
    halo: int,
    inverse: bool,
) -> _Line:
    """Stages across, after which `halo` values to either side are still wanted."""
    length = line.values.shape[1] - 2 * line.start
    strips = line.strips
    wanted = halo + sum(map(_reach, run))
    for stage in run:
        base, stride = stage.digit.base, stage.digit.stride
        random = _Line(bits.across[stage.byte, stage.slot], margin, strips)
        for step, bit in _steps(stage):
            wanted -= (base - 1) * stride
            here = slice(-wanted, length + wanted)
            turned = _read(line, here, 0)
            for digit in range(base):
                other = (digit + (-step if inverse else step)) % base
                there = _read(line, here, (other - digit) * stride)
                drawn = _read(random, here, (stage.slot - digit) * stride)
                turned = jnp.where(_asked(drawn, bit), there, turned)
            line = _Line(turned, wanted, slice(None))
    return line


def _read(line: _Line, where: slice, offset: int) -> jax.Array:
    # One slice along both axes: XLA would move one of strips alone to before the
    # rows were laid end to end, and lay them anew.
    first, last = where.start + offset, where.stop + offset
    return line.values[line.strips, line.start + first : line.start + last]


def _turn_by_rolls(
    values: jax.Array,
    stage: Stage,
    bits: _random_bits.Bits,
    inverse: bool,
    hold: Callable[[jax.Array], jax.Array],
) -> jax.Array:
    """A stage of a larger base, by rolling all; what crosses groups is unused."""
    axis = 1 if stage.digit.down else 2
    base, stride = stage.digit.base, stage.digit.stride
    digit = _random_bits.digits(stage, values.shape[axis])
    digit = digit[:, None] if stage.digit.down else digit
    random = bits.rolls[stage.byte, stage.slot]
    for step, bit in _steps(stage):
        step = (-step if inverse else step) % base
        onward = jnp.roll(values, -step * stride, axis)
        around = jnp.roll(values, (base - step) * stride, axis)
        there = jnp.where(digit < base - step, onward, around)
        values = hold(jnp.where(_asked(random, bit), there, values))
    return values

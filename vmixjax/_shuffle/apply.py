"""Rows of tiles through the stages of a shuffle, forwards or backwards."""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vmixjax._shuffle.bits import Bits, digits, draw
from vmixjax._shuffle.layout import (
    Materialize,
    TileRows,
    as_it_comes,
    in_memory,
    zero_rows,
)
from vmixjax._shuffle.stages import Stage, by_rolls, stages
from vmixjax.config import MixConfig

# Last stages across that are cheaper computed anew for each reader than materialized.
_RECOMPUTED = 2


def apply_stages(
    rows: TileRows,
    config: MixConfig,
    channels: int,
    *,
    inverse: bool,
    materialized: bool,
) -> jax.Array:
    """The values of rows of tiles, shuffled, or with `inverse` brought back.

    Args:
      rows: what to shuffle, by which keys and levels.
      config: tile size, ladder and channel mode.
      channels: C.
      inverse: whether to undo the shuffle.
      materialized: whether to put in memory what is read several times, as XLA on CPU
        has to be made to. Values must then be integers.

    Returns:
      (N, T, k * W * C), dtype of the values.
    """
    values = rows.values
    width = values.shape[2]
    in_order = stages(config, channels)
    runs = [list(run) for _, run in itertools.groupby(in_order, _manner)]
    reach = max(sum(map(_reach, run)) for run in runs)
    margin = -(-reach // width)
    materialize = in_memory if materialized else as_it_comes
    bits = draw(
        rows, in_order, config, channels, margin=margin, materialize=materialize
    )
    edge = zero_rows(rows.key, margin, width, values.dtype)
    if inverse:
        runs = [run[::-1] for run in reversed(runs)]
    # Across, the margin is joined on first, in memory; otherwise, nothing is.
    if _manner(runs[0][0]) != "across":
        values = materialize(values)
    for run in runs:
        if _manner(run[0]) == "rolls":
            for stage in run:
                values = _apply_by_rolls(values, stage, bits, inverse, materialize)
        elif _manner(run[0]) == "down":
            for pair in _pairs(run):
                values = _apply_down(values, pair, bits, inverse)
        else:
            recomputed = _RECOMPUTED if run is runs[-1] else 0
            stored = max(len(run) - recomputed, 0) if materialized else 0
            values = _apply_across(values, edge, run, bits, inverse, stored)
    return materialize(values) if _manner(runs[-1][0]) == "down" else values


def _manner(stage: Stage) -> str:
    if by_rolls(stage.digit.base):
        return "rolls"
    return "down" if stage.digit.down else "across"


def _reach(stage: Stage) -> int:
    """How far along a row a stage across looks, to either side."""
    if _manner(stage) != "across":
        return 0
    return len(_steps(stage)) * (stage.digit.base - 1) * stage.digit.stride


def _steps(stage: Stage, inverse: bool = False) -> list[tuple[int, int]]:
    """(how far the digit turns, which bit of the random number asks for it)."""
    sign = -1 if inverse else 1
    if stage.digit.base == 2:
        return [(sign, 1 << stage.bit)]
    count = (stage.digit.base - 1).bit_length()
    return [(sign << i, 1 << i) for i in range(count)]


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


def _apply_down(
    values: jax.Array, run: Sequence[Stage], bits: Bits, inverse: bool
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
        for number, (step, bit) in enumerate(_steps(stage, inverse)):
            if number:
                # In memory, or each step would do all before it over.
                grid = jnp.stack(rows, 2)
                rows = [grid[:, :, i] for i in range(base)]
            moved = []
            for i, here in enumerate(rows):
                digit = i // unit % own
                first = i - digit * unit
                there = rows[first + (digit + step) % own * unit]
                asked = _asked(random[:, :, first + stage.slot * unit], bit)
                moved.append(jnp.where(asked, there, here))
            rows = moved
    return jnp.stack(rows, 2).reshape(count, tile, width)


def _apply_across(
    values: jax.Array,
    edge: jax.Array,
    run: Sequence[Stage],
    bits: Bits,
    inverse: bool,
    stored: int,
) -> jax.Array:
    """Stages whose digits count along a row: neighbours at a distance trade places.

    The pixel rows of each row of tiles are laid end to end, with a margin for reading
    beyond; nothing comes from there, since the bits there are zero. What the first
    `stored` stages make is put in memory: computed in two halves and joined, it is.
    """
    count, tile, width = values.shape
    margin = edge.shape[1] * width
    line = _Line(
        jnp.concatenate([edge, values, edge], 1).reshape(count, -1), margin, slice(None)
    )
    middle = count // 2
    stored = stored if middle else 0
    if stored:
        halo = sum(map(_reach, run[stored:]))
        halves = (slice(0, middle), slice(middle, count))
        results = [
            _apply_to_line(
                line._replace(rows=half), run[:stored], bits, margin, halo, inverse
            )
            for half in halves
        ]
        line = _Line(jnp.concatenate([x.values for x in results]), halo, slice(None))
    line = _apply_to_line(line, run[stored:], bits, margin, 0, inverse)
    return line.values.reshape(count, tile, width)


class _Line(NamedTuple):
    """Rows of tiles, the pixel rows of each laid end to end between two margins.

    Attributes:
      values: (N, start + T * W * C + start).
      start: length of a margin.
      rows: which of the N are read.
    """

    values: jax.Array
    start: int
    rows: slice


def _apply_to_line(
    line: _Line,
    run: Sequence[Stage],
    bits: Bits,
    margin: int,
    halo: int,
    inverse: bool,
) -> _Line:
    """Stages across, after which `halo` values to either side are still wanted."""
    length = line.values.shape[1] - 2 * line.start
    rows = line.rows
    wanted = halo + sum(map(_reach, run))
    for stage in run:
        base, stride = stage.digit.base, stage.digit.stride
        random = _Line(bits.across[stage.byte, stage.slot], margin, rows)
        for step, bit in _steps(stage, inverse):
            wanted -= (base - 1) * stride
            here = slice(-wanted, length + wanted)
            moved = _read(line, here, 0)
            for digit in range(base):
                other = (digit + step) % base
                there = _read(line, here, (other - digit) * stride)
                drawn = _read(random, here, (stage.slot - digit) * stride)
                moved = jnp.where(_asked(drawn, bit), there, moved)
            line = _Line(moved, wanted, slice(None))
    return line


def _read(line: _Line, where: slice, offset: int) -> jax.Array:
    # One slice along both axes: XLA would move one along the first alone to before
    # pixel rows were laid end to end, and lay them anew.
    first, last = where.start + offset, where.stop + offset
    return line.values[line.rows, line.start + first : line.start + last]


def _apply_by_rolls(
    values: jax.Array,
    stage: Stage,
    bits: Bits,
    inverse: bool,
    materialize: Materialize,
) -> jax.Array:
    """A stage of a larger base, by rolling all; what crosses groups is unused."""
    axis = 1 if stage.digit.down else 2
    base, stride = stage.digit.base, stage.digit.stride
    digit = digits(stage, values.shape[axis])
    digit = digit[:, None] if stage.digit.down else digit
    random = bits.rolls[stage.byte, stage.slot]
    for step, bit in _steps(stage, inverse):
        ahead = step % base
        onward = jnp.roll(values, -ahead * stride, axis)
        around = jnp.roll(values, (base - ahead) * stride, axis)
        there = jnp.where(digit < base - ahead, onward, around)
        values = materialize(jnp.where(_asked(random, bit), there, values))
    return values

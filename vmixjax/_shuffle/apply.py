"""Rows of tiles through the stages of a shuffle, forwards or backwards.

What is done once for each stage is written in `jax.lax`: what `jax.numpy` has for it
are compiled functions, which take several times as long to trace.
"""

import functools
import itertools
import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from vmixjax._shuffle.bits import DIGIT_BITS, Bits, digits, draw
from vmixjax._shuffle.layout import Materialize, TileRows, in_memory, zero_rows
from vmixjax._shuffle.stages import Stage, by_rolls, stages, steps
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
    """The values of rows of tiles (N, T, k * W * C), shuffled, or brought back.

    With `materialized`, what is read several times is put in memory, as XLA on CPU has
    to be made to. Values must then be integers.
    """
    values = rows.values
    width = values.shape[2]
    in_order = stages(config, channels)
    runs = [list(run) for _, run in itertools.groupby(in_order, _manner)]
    reach = max(sum(map(_reach, run)) for run in runs)
    margin = -(-reach // width)
    materialize: Materialize = in_memory if materialized else lambda x: x
    zeros = materialize(zero_rows(rows.key, margin, width))
    bits = draw(rows, in_order, config, channels, zeros=zeros, materialize=materialize)
    edge = zeros.astype(values.dtype)
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
    return (stage.digit.base - 1) * stage.digit.stride


def _asked(random: jax.Array, bit: int) -> jax.Array:
    nothing = np.zeros((), random.dtype)
    return lax.ne(lax.bitwise_and(random, np.asarray(bit, random.dtype)), nothing)


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
    rows = _slices(grid, 2)
    for stage in run:
        own, unit = stage.digit.base, stage.digit.stride // stride
        random = _slices(bits.down[stage.byte].reshape(shape), 2)
        for number, (step, bit) in enumerate(steps(stage, inverse)):
            if number:
                # In memory, or each step would do all before it over.
                grid = jnp.stack(rows, 2)
                rows = _slices(grid, 2)
            moved = []
            for i, here in enumerate(rows):
                digit = i // unit % own
                first = i - digit * unit
                there = rows[first + (digit + step) % own * unit]
                asked = _asked(random[first + stage.slot * unit], bit)
                moved.append(lax.select(asked, there, here))
            rows = moved
    return jnp.stack(rows, 2).reshape(count, tile, width)


def _slices(values: jax.Array, axis: int) -> list[jax.Array]:
    count = values.shape[axis]
    return [lax.index_in_dim(values, i, axis, keepdims=False) for i in range(count)]


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
    beyond; no group reaches there. What the first `stored` stages make is put in
    memory: computed in two halves and joined, it is.
    """
    count, tile, width = values.shape
    line = jnp.concatenate([edge, values, edge], 1).reshape(count, -1)
    apply = functools.partial(
        _apply_to_line, bits=bits, length=tile * width, inverse=inverse
    )
    middle = count // 2
    while stored and middle:
        # What is costly to compute is put in memory by itself.
        costly = (i for i, s in enumerate(run[:stored], 1) if s.digit.base > 2)
        some = next(costly, stored)
        halo = sum(map(_reach, run[some:]))
        halves = (slice(0, middle), slice(middle, count))
        results = [apply(line, rows, run[:some], halo=halo) for rows in halves]
        line, run, stored = jnp.concatenate(results), run[some:], stored - some
        # Were it split there again, XLA would see that halves need no joining.
        middle -= 1
    return apply(line, slice(None), run, halo=0).reshape(count, tile, width)


def _apply_to_line(
    values: jax.Array,
    rows: slice,
    run: Sequence[Stage],
    *,
    bits: Bits,
    length: int,
    halo: int,
    inverse: bool,
) -> jax.Array:
    """Stages across, after which `halo` values to either side are still wanted.

    Values, like bits, are those of rows of tiles, each `length` of them end to end, in
    the middle of a margin. Of both, only `rows` are read.
    """
    wanted = halo + sum(map(_reach, run))

    def read(line: jax.Array, rows: slice, offset: int) -> jax.Array:
        # One slice along both axes: XLA would move one along the first alone to before
        # pixel rows were laid end to end, and lay them anew.
        first = (line.shape[1] - length) // 2 - wanted + offset
        start, stop, _ = rows.indices(line.shape[0])
        return lax.slice(line, (start, first), (stop, first + length + 2 * wanted))

    unread = rows
    for stage in run:
        wanted -= _reach(stage)
        random = functools.partial(read, bits.across[stage.byte], rows)
        moved = read(values, unread, 0)
        for far, asked in _sources(stage, random, inverse):
            moved = lax.select(asked, read(values, unread, far), moved)
        values, unread = moved, slice(None)
    return values


def _sources(
    stage: Stage, read: Callable[[int], jax.Array], inverse: bool
) -> list[tuple[int, jax.Array]]:
    """Tells from where a stage across takes values that do not stay.

    All turns of a digit are done at once, though told by bits as they are done step by
    step elsewhere: so a value is looked for once, and not at each step among all.

    Args:
      stage: The stage.
      read: Reads its bits, so far along from each place.
      inverse: Whether to undo it.

    Returns:
      (how far along, which places take their values from there), each place once.
    """
    base, stride = stage.digit.base, stage.digit.stride
    if base == 2:
        bit = 1 << stage.bit
        return [(d * stride, _asked(read(min(d, 0) * stride), bit)) for d in (1, -1)]
    nought, digit_bits = np.uint8(0), np.uint8(DIGIT_BITS)
    digit = lax.shift_right_logical(read(0), digit_bits)
    turn = read(stage.slot * stride)
    for own in range(1, base):
        there = read((stage.slot - own) * stride)
        turn = lax.select(lax.eq(digit, np.uint8(own)), there, turn)
    turn = lax.bitwise_and(turn, np.uint8((1 << DIGIT_BITS) - 1))
    if inverse:
        turn = lax.select(lax.eq(turn, nought), turn, lax.sub(np.uint8(base), turn))
    beyond = lax.ge(lax.add(digit, turn), np.uint8(base))
    turn = lax.bitwise_or(
        turn, lax.shift_left(lax.convert_element_type(beyond, np.uint8), digit_bits)
    )
    return [
        (far * stride, lax.eq(turn, np.uint8(code)))
        for ahead in range(1, base)
        for far, code in ((ahead, ahead), (ahead - base, ahead | 1 << DIGIT_BITS))
    ]


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
    for step, bit in steps(stage, inverse):
        ahead = step % base
        onward = jnp.roll(values, -ahead * stride, axis)
        around = jnp.roll(values, (base - ahead) * stride, axis)
        there = jnp.where(digit < base - ahead, onward, around)
        values = materialize(jnp.where(_asked(random, bit), there, values))
    return values

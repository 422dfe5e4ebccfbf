"""Strips of tiles through the stages of a network, forwards or backwards."""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vmixjax import _random_bits
from vmixjax._network import Stage, stages
from vmixjax.config import MixConfig

# Stages across that are cheaper done over than kept in memory for the next.
_IN_ONE = 2


class Strips(NamedTuple):
    """Rows of tiles, of one image or of many.

    Attributes:
      values: (N, T, W * C).
      key: uint32 (N, 2), the words of the key of each strip's image.
      number: uint32 (N,), which strip of its image each is, from the top.
      levels: uint8 (N, W // T).
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
      (N, T, W * C), dtype of the values.
    """
    values = strips.values
    width = values.shape[2]
    network = stages(config, channels)
    runs = [list(run) for _, run in itertools.groupby(network, lambda s: s.digit.down)]
    reach = max(sum(map(_reach, run)) for run in runs if not run[0].digit.down)
    margin = -(-reach // width)
    bits = _random_bits.draw(
        strips[1:], network, config, channels, margin=margin, apart=apart
    )
    edge = _random_bits.zero_rows(strips.key, margin, width, values.dtype)
    if inverse:
        runs = [run[::-1] for run in reversed(runs)]
    # Across, the margin is joined on first, in memory; down, nothing is.
    hold = _random_bits.in_memory if apart else (lambda x: x)
    if runs[0][0].digit.down:
        values = hold(values)
    for run in runs:
        if run[0].digit.down:
            for pair in _pairs(run):
                values = _turn_down(values, pair, bits, inverse)
        else:
            held = len(run) - (_IN_ONE if run is runs[-1] else 0) if apart else 0
            values = _turn_across(values, edge, run, bits, inverse, held)
    return hold(values) if runs[-1][0].digit.down else values


def _reach(stage: Stage) -> int:
    """How far along a row a stage looks, to either side."""
    return len(_steps(stage)) * (stage.digit.base - 1) * stage.digit.stride


def _steps(stage: Stage) -> list[tuple[int, np.uint8]]:
    """(how far to turn, which bits of the random byte ask for it), one after another."""
    if stage.digit.base == 2:
        return [(1, np.uint8(1 << stage.bit))]
    length = (stage.digit.base - 1).bit_length()
    return [(1 << i, np.uint8(1 << i)) for i in range(length)]


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
        for number, (step, test) in enumerate(_steps(stage)):
            if number:
                # In memory, or each step would do all before it over.
                grid = jnp.stack(rows, 2)
                rows = [grid[:, :, i] for i in range(base)]
            turned = []
            for i, here in enumerate(rows):
                digit = i // unit % own
                first = i - digit * unit
                there = rows[first + (digit + (-step if inverse else step)) % own * unit]
                asked = (random[:, :, first + stage.slot * unit] & test) != 0
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
        random = bits.across[stage.byte, stage.slot]
        for step, test in _steps(stage):
            wanted -= (base - 1) * stride
            here = slice(-wanted, length + wanted)
            turned = _read(line, here, 0)
            for digit in range(base):
                other = (digit + (-step if inverse else step)) % base
                there = _read(line, here, (other - digit) * stride)
                drawn = _Line(random, margin, strips)
                bit = _read(drawn, here, (stage.slot - digit) * stride)
                turned = jnp.where((bit & test) != 0, there, turned)
            line = _Line(turned, wanted, slice(None))
    return line


def _read(line: _Line, where: slice, offset: int) -> jax.Array:
    # One slice along both axes: XLA would move one of strips alone to before the
    # rows were laid end to end, and lay them anew.
    first, last = where.start + offset, where.stop + offset
    return line.values[line.strips, line.start + first : line.start + last]

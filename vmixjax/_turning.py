"""Strips of tiles through the stages of a network, forwards or backwards."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vmixjax import _random_bits
from vmixjax._network import Stage, stages
from vmixjax.config import MixConfig


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
      apart: whether to keep results that are read several times in memory; what is
        read thrice would be computed thrice on CPU, and worse, out of order.

    Returns:
      (N, T, W * C), dtype of the values.
    """
    width = strips.values.shape[2]
    network = stages(config, channels)
    runs = [
        list(run) for _, run in itertools.groupby(network, lambda s: s.digit.down)
    ]
    reach = max(sum(map(_reach, run)) for run in runs if not run[0].digit.down)
    margin = -(-reach // width)
    bits = _random_bits.draw(
        strips.key, strips.number, strips.levels, network, config, channels, margin,
        apart,
    )
    values = strips.values
    for number, run in enumerate(reversed(runs) if inverse else runs, start=1):
        last = number == len(runs)
        run = run[::-1] if inverse else run
        if run[0].digit.down:
            for pair in _pairs(run):
                values = _turn_down(values, pair, bits, inverse)
            values = _random_bits.in_memory(values) if last and apart else values
        else:
            edge = _random_bits.margin_of(strips.key, values, margin)
            values = _turn_across(values, edge, run, bits, inverse, apart and not last)
    return values


def _reach(stage: Stage) -> int:
    """How far along a row a stage looks to either side."""
    return len(_steps(stage)) * (stage.digit.base - 1) * stage.digit.stride


def _steps(stage: Stage) -> list[tuple[int, np.uint8]]:
    """(how far a turn goes, which bits of the random byte call for it), in turn."""
    if stage.digit.base == 2:
        return [(1, np.uint8(1 << stage.bit))]
    length = (stage.digit.base - 1).bit_length()
    return [(1 << i, np.uint8(1 << i)) for i in range(length)]


def _pairs(run: Sequence[Stage]) -> list[list[Stage]]:
    """Binary stages at strides d and 2d in twos, for one way through memory."""
    pairs: list[list[Stage]] = []
    for stage in run:
        strides = {stage.digit.stride, pairs[-1][0].digit.stride} if pairs else {0}
        binary = pairs and pairs[-1][0].digit.base == stage.digit.base == 2
        if binary and len(pairs[-1]) == 1 and max(strides) == 2 * min(strides):
            pairs[-1].append(stage)
        else:
            pairs.append([stage])
    return pairs


def _turn_down(
    values: jax.Array,
    run: Sequence[Stage],
    bits: _random_bits.Bits,
    inverse: bool,
) -> jax.Array:
    """Stages whose digits count rows: whole rows trade places, value by value."""
    count, tile, width = values.shape
    base = math.prod(s.digit.base for s in run)
    stride = min(s.digit.stride for s in run)
    shape = (count, tile // (stride * base), base, stride, width)
    for stage in run:
        own = stage.digit.base
        unit = stage.digit.stride // stride
        random = bits.down[stage.byte].reshape(shape)
        for step, test in _steps(stage):
            if stage is run[0] or own > 2:
                grid = values.reshape(shape)
                rows = [grid[:, :, i] for i in range(base)]
            step = own - step if inverse else step
            turned = []
            for i, here in enumerate(rows):
                digit = i // unit % own
                first = i - digit * unit
                there = rows[first + (digit + step) % own * unit]
                at = first + unit if stage.upper else first
                turned.append(jnp.where((random[:, :, at] & test) != 0, there, here))
            rows = turned
            if stage is run[-1] or own > 2:
                values = jnp.stack(rows, 2)
    return values.reshape(count, tile, width)


def _turn_across(
    values: jax.Array,
    edge: jax.Array,
    run: Sequence[Stage],
    bits: _random_bits.Bits,
    inverse: bool,
    apart: bool,
) -> jax.Array:
    """Stages whose digits count along the row: neighbours at a distance trade places.

    Rows are laid end to end. At the ends of a strip there is a margin for reading
    beyond; the bits there are zero, so that nothing comes from it.
    """
    count, tile, width = values.shape
    margin = edge.shape[1] * width
    padded = jnp.concatenate([edge, values, edge], 1).reshape(count, -1)
    # Done by halves and joined, a result is in memory for whoever reads it next.
    middle = count // 2 if apart else 0
    halves = [slice(0, middle), slice(middle, count)] if middle else [slice(None)]
    done = []
    for half in halves:
        line, start = padded[half], margin
        for number, stage in enumerate(run):
            halo = sum(map(_reach, run[number + 1 :]))
            line = _turn_line(
                line,
                start,
                bits.across[stage.byte, stage.upper][half],
                margin,
                stage,
                (halo, tile * width),
                inverse,
            )
            start = halo
        done.append(line)
    return jnp.concatenate(done).reshape(count, tile, width)


def _turn_line(
    line: jax.Array,
    start: int,
    random: jax.Array,
    margin: int,
    stage: Stage,
    wanted: tuple[int, int],
    inverse: bool,
) -> jax.Array:
    """One stage; of values from `start` on, those of (halo, length) are wanted."""
    halo, length = wanted
    base, stride = stage.digit.base, stage.digit.stride
    steps = _steps(stage)
    for number, (step, test) in enumerate(steps, start=1):
        reach = halo + (len(steps) - number) * (base - 1) * stride

        def read(x: jax.Array, origin: int, offset: int, reach: int = reach) -> jax.Array:
            first = origin + offset - reach
            return x[:, first : first + length + 2 * reach]

        step = base - step if inverse else step
        turned = read(line, start, 0)
        for digit in range(base):
            at = stride * (int(stage.upper) - digit)
            there = read(line, start, ((digit + step) % base - digit) * stride)
            asked = (read(random, margin, at) & test) != 0
            turned = jnp.where(asked, there, turned)
        line, start = turned, reach
    return line

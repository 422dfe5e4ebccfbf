"""Sums over images for GPU and TPU: all of them while an image is read once.

What their compilers want, found in their HLO. They fuse what becomes of an image into
one kernel only where its axes are split first, in a way that leaves values where they
lie: rows on a TPU, where columns lie on lanes. There a neighbour is the image itself,
padded on one side and cut off on the other, before it is made wider. Several sums over
the same values are one reduction with several results. Rows are summed first, all
columns apart; by then there is little left. On a GPU rows and columns are summed in
blocks, few enough for one thread, or what is summed would be written to memory.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from vmixjax._sums.parts import (
    Intensity,
    Sums,
    integers,
    smallest_regions,
    sum_exactly,
)
from vmixjax._sums.rows import sums_of_blocks
from vmixjax.config import MixConfig


def tile_squares(
    image: jax.Array, tile: int, intensity: Intensity, *, in_blocks: bool = False
) -> jax.Array:
    """See `vmixjax._sums.tile_squares`."""
    (squares,) = _sums_down([_squares(_strips(image, tile), intensity)], in_blocks)
    return _cells(squares, image.shape, tile).sum((1, 3))


def image_sums(
    image: jax.Array,
    quantise: Intensity,
    config: MixConfig,
    bits: int,
    *,
    in_blocks: bool = False,
) -> Sums:
    """See `vmixjax._sums.image_sums`."""
    tile, shape = config.tile_size, image.shape

    def wide(side: int) -> Intensity:
        # Two squares of differences, each one bit longer than values.
        dtype = integers(2 * bits + 3, math.prod(_at_once(side, in_blocks)))
        return lambda x: quantise(x).astype(dtype)

    def of_pixels(side: int) -> list[jax.Array]:
        strips = _strips(image, side)
        return [quantise(strips), jnp.square(wide(side)(strips))]

    strips = _strips(image, tile)
    parts = [_squares(strips, wide(tile)), _border(strips, wide(tile))]
    regions = smallest_regions(config)
    # What is summed at once in tiles may serve regions, too.
    alike = [
        region
        for region in regions
        if _at_once(region, in_blocks) == _at_once(tile, in_blocks)
    ]
    if alike:
        parts += of_pixels(tile)
    squares, border, *rest = _sums_down(parts, in_blocks)
    sums = {
        region: rest if region in alike else _sums_down(of_pixels(region), in_blocks)
        for region in regions
    }

    def in_tiles(sums: jax.Array) -> jax.Array:
        count = tile**2 * shape[2]
        cells = _cells(sums, shape, tile)
        return sum_exactly(cells, (1, 3, 4), 2 * bits + 3, count).astype(jnp.int64)

    def in_regions(sums: jax.Array, region: int, bits: int) -> jax.Array:
        return sum_exactly(_cells(sums, shape, region), (1, 3), bits, region**2)

    return Sums(
        inside=in_tiles(squares) - in_tiles(border),
        border=in_tiles(border),
        pixels={
            region: (
                in_regions(values, region, bits),
                in_regions(squares, region, 2 * bits),
            )
            for region, (values, squares) in sums.items()
        },
        blocks=sums_of_blocks(quantise(image), config, bits),
    )


def _strips(image: jax.Array, rows: int) -> jax.Array:
    """(H, W, C) -> (H / rows, rows, W, C), before all else that is done to it."""
    height, width, channels = image.shape
    strips = image.reshape(height // rows, rows, width, channels)
    return jax.lax.optimization_barrier(strips)


def _squares(strips: jax.Array, intensity: Intensity) -> jax.Array:
    """Sums of two squared differences, to the right and down, for each value.

    Beyond the last row and column of a tile lies 0.
    """
    nought = jnp.zeros((), strips.dtype)
    still, shifted = (0, 0, 0), (-1, 1, 0)
    below = jax.lax.pad(strips, nought, [still, shifted, still, still])
    beside = jax.lax.pad(strips, nought, [still, still, shifted, still])
    here, below, beside = intensity(strips), intensity(below), intensity(beside)
    beside = jnp.where(_last(strips, 2), jnp.zeros((), here.dtype), beside)
    return jnp.square(below - here) + jnp.square(beside - here)


def _border(strips: jax.Array, intensity: Intensity) -> jax.Array:
    """The part of `_squares` where one of the two is 0 beyond a tile."""
    times = sum(_last(strips, axis).astype(jnp.int32) for axis in (1, 2))
    squared = jnp.square(intensity(strips))
    return squared * jnp.asarray(times).astype(squared.dtype)


def _last(strips: jax.Array, axis: int) -> jax.Array:
    """Where the last rows, or columns, of tiles are."""
    place = jax.lax.broadcasted_iota(jnp.int32, (1, *strips.shape[1:]), axis)
    return place % strips.shape[1] == strips.shape[1] - 1


def _sums_down(values: Sequence[jax.Array], in_blocks: bool) -> Sequence[jax.Array]:
    """Sums (N, side, W, C) over rows, or in blocks: (N * a, W / b, C).

    All in one reduction.
    """
    count, side, width, channels = values[0].shape
    high, wide = _at_once(side, in_blocks)
    axes: tuple[int, ...] = (1,)
    if in_blocks:
        # One axis at a time: under explicit sharding JAX follows only such reshapes.
        for shape in (
            (count, side // high, high, width, channels),
            (count * side // high, high, width, channels),
            (count * side // high, high, width // wide, wide, channels),
        ):
            values = [x.reshape(shape) for x in values]
        axes = (1, 3)
    if len(values) == 1:
        return [jnp.sum(x, axes, x.dtype) for x in values]

    def add(one: Sequence[jax.Array], other: Sequence[jax.Array]) -> list[jax.Array]:
        return [x + y for x, y in zip(one, other, strict=True)]

    noughts = [jnp.zeros((), x.dtype) for x in values]
    return jax.lax.reduce(list(values), noughts, add, axes)


def _at_once(side: int, in_blocks: bool) -> tuple[int, int]:
    """How many rows and columns of a side are summed at once."""
    if not in_blocks:
        return side, 1
    divisors = [d for d in range(1, side + 1) if side % d == 0]
    few = [d for d in divisors if 4 <= d <= 8]
    block = max(few) if few else next((d for d in divisors if d >= 4), side)
    return block, block


def _cells(sums: jax.Array, shape: tuple[int, ...], side: int) -> jax.Array:
    """What `_sums_down` gives of an image, by tile or region of a side."""
    down, across = shape[0] // side, shape[1] // side
    high, wide = sums.shape[0] // down, sums.shape[1] // across
    rows = sums.reshape(down, high, *sums.shape[1:])
    return rows.reshape(down, high, across, wide, shape[2])

"""Sums over images for a CPU: over whole lines as they lie, rows written out."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from vmixjax._grid import cut
from vmixjax._sums.parts import (
    BlockSums,
    Intensity,
    PixelSums,
    Sums,
    integers,
    smallest_regions,
    sum_exactly,
)
from vmixjax.config import MixConfig

# Rows of a tile that are written out; taller tiles are made of so many at a time.
_MOST_ROWS = 32


def tile_squares(image: jax.Array, tile: int, intensity: Intensity) -> jax.Array:
    """See `vmixjax._sums.tile_squares`."""
    _, width, channels = image.shape
    columns = squares_down(_lines(image, tile), tile, channels, intensity)
    return jnp.sum(columns.reshape(-1, width // tile, tile, channels), axis=2)


def image_sums(
    image: jax.Array, quantise: Intensity, config: MixConfig, bits: int
) -> Sums:
    """See `vmixjax._sums.image_sums`."""
    # Quantised anew by each that reads it: kept for all, it would be as wide an image.
    inside, border = _as_it_is(image, quantise, config.tile_size, bits)
    return Sums(
        inside=inside,
        border=border,
        pixels={
            region: _sums_of_regions(image, quantise, region, bits)
            for region in smallest_regions(config)
        },
        blocks=sums_of_blocks(quantise(image), config, bits),
    )


def _lines(image: jax.Array, rows: int) -> jax.Array:
    """(H, W, C) -> (H / rows, rows, W * C), whole lines as they are stored."""
    height, width, channels = image.shape
    # One axis at a time: under explicit sharding JAX follows only such reshapes.
    lines = image.reshape(height, width * channels)
    return lines.reshape(height // rows, rows, width * channels)


def _sum_of_squares(values: jax.Array, axes: tuple[int, ...], bits: int) -> jax.Array:
    """Exact sum of squares, in 32 bits as long as those suffice."""
    count = math.prod(values.shape[axis] for axis in axes)
    values = values.astype(integers(2 * bits, count))
    return jnp.sum(values * values, axis=axes, dtype=values.dtype).astype(jnp.int64)


def squares_down(
    lines: jax.Array,
    tile: int,
    channels: int,
    intensity: Intensity,
) -> jax.Array:
    """Squared differences of rows of tiles (N, T, W * C), summed down: (N, W * C).

    Rows are summed first, written out, over whole lines of the image as they are
    stored: so the compiler keeps no wide copy of it, nor sums over short axes.
    """
    count, _, length = lines.shape
    rows = max(d for d in range(1, _MOST_ROWS + 1) if tile % d == 0)
    lines = lines.reshape(count, tile // rows, rows, length)
    # What is below the last of some rows: the first of the next, or nothing.
    following = jnp.pad(lines[:, 1:, 0], [(0, 0), (0, 1), (0, 0)])
    last = np.arange(length) // channels % tile == tile - 1
    energy = edge = np.zeros((), intensity(lines).dtype)
    for i in range(rows):
        below = lines[:, :, i + 1] if i + 1 < rows else following
        here, below = intensity(lines[:, :, i]), intensity(below)
        down = jnp.square(below - here)
        beside = here[..., channels:] - here[..., :-channels]
        beside = jnp.where(last[:-channels], here[..., :-channels], beside)
        energy += down[..., :-channels] + jnp.square(beside)
        edge += down[..., -channels:] + jnp.square(here[..., -channels:])
    columns = jnp.concatenate([energy, edge], -1)
    return jnp.sum(columns, axis=1, dtype=columns.dtype)


def energies_of_rows(
    lines: jax.Array,
    tile: int,
    channels: int,
    bits: int,
    quantise: Intensity = lambda x: x,
) -> jax.Array:
    """Sums squared differences inside tiles, of all channels together.

    Args:
      lines: (N, T, k * T * C), rows of tiles.
      tile: Side T of a tile.
      channels: Channels C.
      bits: Bits of a value.
      quantise: Makes values integers, if they are none.

    Returns:
      int64 (N, k). Of unsigned integers it is C * (2^bits - 1)^2 times the VFE.
    """
    wide = integers(2 * (bits + 1), 2 * tile)
    columns = squares_down(lines, tile, channels, lambda x: quantise(x).astype(wide))
    return _of_tiles(columns, tile * channels)


def _as_it_is(
    image: jax.Array, quantise: Intensity, tile: int, bits: int
) -> tuple[jax.Array, jax.Array]:
    """Energy inside each tile and at its right and bottom border, as it is."""
    lines, channels = _lines(image, tile), image.shape[2]
    bottom = jnp.square(quantise(lines[:, -1]).astype(jnp.int64))
    border = _of_tiles(bottom, tile * channels)
    right = quantise(cut(image, tile)[:, :, :, -1])
    border += _sum_of_squares(right, (1, 3), bits)
    energies = energies_of_rows(lines, tile, channels, bits, quantise)
    return energies - border, border


def _of_tiles(columns: jax.Array, length: int) -> jax.Array:
    """Sums over tiles, so long, of rows of them (N, k * length): int64 (N, k)."""
    grid = columns.reshape(columns.shape[0], columns.shape[1] // length, length)
    return jnp.sum(grid, axis=2, dtype=jnp.int64)


def block_sums(
    values: jax.Array, region: int, block: int, crosses: bool, bits: int
) -> BlockSums:
    n, channels = region // block, values.shape[2]
    grid = cut(values, region)
    grid = grid.reshape(grid.shape[0], n, block, *grid.shape[2:])
    grid = grid.reshape(*grid.shape[:4], n, block, channels)
    left, right = grid[:, :, :, :, :, 0], grid[:, :, :, :, :, -1]

    def squares(x: jax.Array, axes: tuple[int, ...], bits: int) -> jax.Array:
        summed = _sum_of_squares(x, axes, bits)
        return summed.sum(-1, keepdims=True) if crosses else summed

    def totals(x: jax.Array) -> jax.Array:
        summed = jnp.sum(x, axis=(1, 4), dtype=jnp.int32).astype(jnp.int64)
        return summed.sum(-1, keepdims=True) if crosses else summed

    return BlockSums(
        within=squares(jnp.diff(grid, axis=5), (1, 2, 4, 5), bits + 1),
        left=squares(left, (1, 2, 4), bits),
        right=squares(right, (1, 2, 4), bits),
        paired=squares(right - left, (1, 2, 4), bits + 1),
        left_total=totals(left),
        right_total=totals(right),
    )


def sums_of_blocks(
    values: jax.Array, config: MixConfig, bits: int
) -> dict[tuple[int, int], tuple[BlockSums, BlockSums]]:
    """For each level with blocks above a pixel its sums, across and down."""

    def both(region: int, block: int) -> tuple[BlockSums, BlockSums]:
        crosses = config.crosses_channels
        # The vertical direction is the horizontal one of the transposed image.
        return (
            block_sums(values, region, block, crosses, bits),
            block_sums(values.swapaxes(0, 1), region, block, crosses, bits),
        )

    return {
        (region, block): both(region, block)
        for region, block in config.ladder
        if block > 1
    }


def _sums_of_regions(
    image: jax.Array, quantise: Intensity, region: int, bits: int
) -> PixelSums:
    height, width, channels = image.shape
    lines = quantise(_lines(image, region))
    wide = integers(2 * bits, region)

    def columns(x: jax.Array, bits: int) -> jax.Array:
        # Down first, over whole lines as they are stored: axes of a region are short.
        summed = jnp.sum(x, axis=1, dtype=x.dtype)
        grid = summed.reshape(height // region, width // region, region, channels)
        return sum_exactly(grid, (2,), bits, region**2)

    return columns(lines, bits), columns(jnp.square(lines.astype(wide)), 2 * bits)

"""What energies are made of, whichever way it was summed."""

import math
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

from vmixjax._grid import cut
from vmixjax.config import MixConfig

Intensity: TypeAlias = Callable[[jax.Array], jax.Array]
"""What values of an image are taken for: each by itself, and 0 for 0."""

PixelSums: TypeAlias = tuple[jax.Array, jax.Array]
"""Sums of values, and of squares, of regions: integers (H // s, W // s, C)."""


class BlockSums(NamedTuple):
    """Sums over the N blocks of each region, R and L their last and first columns.

    Integers. Over channels, too, where blocks cross them, so that the last axis is 1.

    Attributes:
      within: of squared differences inside blocks.
      left: of |L_p|^2.
      right: of |R_p|^2.
      paired: of |R_p - L_p|^2.
      left_total: of L_p, by row of a block on axis 1.
      right_total: of R_p, likewise.
    """

    within: jax.Array
    left: jax.Array
    right: jax.Array
    paired: jax.Array
    left_total: jax.Array
    right_total: jax.Array


class Sums(NamedTuple):
    """Exact sums over an image from which all its energies follow.

    Attributes:
      inside: int64 (H // T, W // T), of squared differences inside tiles, of all
        channels.
      border: of the squares at the right and bottom border of tiles, likewise.
      pixels: for some sizes of region, see `smallest_regions`, their sums.
      blocks: for each level with larger blocks, (region, block), its sums; and those
        of the transposed image.
    """

    inside: jax.Array
    border: jax.Array
    pixels: dict[int, PixelSums]
    blocks: dict[tuple[int, int], tuple[BlockSums, BlockSums]]


def integers(bits: int, count: int) -> jnp.dtype:
    """The narrowest type for sums of so many numbers below 2^bits."""
    enough = bits + math.log2(max(count, 1)) <= 31
    return jnp.dtype(jnp.int32 if enough else jnp.int64)


def smallest_regions(config: MixConfig) -> list[int]:
    """Sizes of regions of single pixels that are not made of smaller ones."""
    regions = sorted({region for region, block in config.ladder if block == 1})
    return [r for r in regions if not any(r % s == 0 for s in regions if s < r)]


def sums_of_pixels(
    sums: dict[int, PixelSums], config: MixConfig, bits: int
) -> dict[int, BlockSums]:
    """Sums where blocks are single pixels, by size of region, from `smallest_regions`.

    A pixel is its own first and last column, so there are two sums to a region, the
    same in both directions; those of large regions are sums of those of small ones.
    """
    known = dict(sums)
    for region in sorted({region for region, block in config.ladder if block == 1}):
        if region not in known:
            smaller = max(r for r in known if region % r == 0)
            total, squares = (cut(x, region // smaller) for x in known[smaller])
            known[region] = (
                sum_exactly(total, (1, 3), bits, region**2),
                sum_exactly(squares, (1, 3), 2 * bits, region**2),
            )
    of_blocks = {}
    for region, of_channels in known.items():
        total, squares = of_channels
        if config.crosses_channels:
            count = region**2 * total.shape[-1]
            total = sum_exactly(total, (2,), bits, count)[..., None]
            squares = sum_exactly(squares, (2,), 2 * bits, count)[..., None]
        nought = jnp.zeros_like(squares)
        total = total[:, None]
        of_blocks[region] = BlockSums(nought, squares, squares, nought, total, total)
    return of_blocks


def sum_exactly(
    x: jax.Array, axes: tuple[int, ...], bits: int, count: int
) -> jax.Array:
    """Sums to numbers that are sums of so many below 2^bits."""
    return jnp.sum(x, axes, dtype=integers(bits, count))

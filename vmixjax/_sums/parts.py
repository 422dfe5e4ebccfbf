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
"""Of the regions of an image, int64 (H // s, W // s, C): sums of values, of squares."""


class BlockSums(NamedTuple):
    """Sums over the N blocks of each region, R and L their last and first columns.

    All int64. Over channels, too, where blocks cross them, so that the last axis is 1.

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
    """Exact sums over an image, int64, from which all its energies follow.

    Attributes:
      inside: of squared differences inside tiles, of all channels (H // T, W // T).
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
    sums: dict[int, PixelSums], config: MixConfig
) -> dict[int, BlockSums]:
    """Sums where blocks are single pixels, by size of region, from `smallest_regions`.

    A pixel is its own first and last column, so there are two sums to a region, the
    same in both directions; those of large regions are sums of those of small ones.
    """
    known = dict(sums)
    for region in sorted({region for region, block in config.ladder if block == 1}):
        if region not in known:
            smaller = max(r for r in known if region % r == 0)
            parts = [cut(x, region // smaller) for x in known[smaller]]
            total, squares = (jnp.sum(x, axis=(1, 3)) for x in parts)
            known[region] = total, squares
    of_blocks = {}
    for region, of_channels in known.items():
        total, squares = of_channels
        if config.crosses_channels:
            total, squares = (x.sum(-1, keepdims=True) for x in of_channels)
        nought = jnp.zeros_like(squares)
        total = total[:, None]
        of_blocks[region] = BlockSums(nought, squares, squares, nought, total, total)
    return of_blocks

"""Cutting images into a grid of regions or blocks, and putting them together again.

All take JAX or NumPy arrays with any axes before (H, W, C), such as a batch's. A size
is the side of a square, or (height, width); it divides the image's.
"""

from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np

ArrayT = TypeVar("ArrayT", jax.Array, np.ndarray)


def cut(images: ArrayT, size: int | tuple[int, int]) -> ArrayT:
    """(..., H, W, C) -> (..., rows, height, columns, width, C), without moving a value.

    One axis at a time: under explicit sharding JAX follows only such reshapes.
    """
    high, wide = (size, size) if isinstance(size, int) else size
    *batch, height, width, channels = images.shape
    rows = images.reshape(*batch, height // high, high, width, channels)
    return rows.reshape(*rows.shape[:-2], width // wide, wide, channels)


def join(grid: ArrayT) -> ArrayT:
    """The inverse of `cut`."""
    *batch, rows, height, columns, width, channels = grid.shape
    lines = grid.reshape(*batch, rows, height, columns * width, channels)
    return lines.reshape(*batch, rows * height, columns * width, channels)


def cut_regions(images: ArrayT, size: int | tuple[int, int]) -> ArrayT:
    """(..., H, W, C) -> (..., rows, columns, height, width, C)."""
    return cut(images, size).swapaxes(-4, -3)


def join_regions(regions: ArrayT) -> ArrayT:
    """The inverse of `cut_regions`."""
    return join(regions.swapaxes(-4, -3))


def cut_blocks(images: ArrayT, size: int) -> ArrayT:
    """(..., H, W, C) -> (..., number of blocks, size, size, C), row by row.

    The blocks of all regions are `cut_blocks(cut_regions(images, region), block)`.
    """
    *batch, _, _, channels = images.shape
    return cut_regions(images, size).reshape(*batch, -1, size, size, channels)


def join_blocks(blocks: ArrayT, shape: tuple[int, ...]) -> ArrayT:
    """The inverse of `cut_blocks`, to images of a height and width."""
    *batch, _, size, _, channels = blocks.shape
    grid = (shape[0] // size, shape[1] // size)
    return join_regions(blocks.reshape(*batch, *grid, size, size, channels))


def fold(images: ArrayT, size: int) -> ArrayT:
    """(..., H, W, C) -> (..., H / size, W / size, size * size * C): space to depth."""
    regions = cut_regions(images, size)
    return regions.reshape(*regions.shape[:-3], -1)


def unfold(images: ArrayT, size: int) -> ArrayT:
    """The inverse of `fold`: depth to space."""
    return join_regions(images.reshape(*images.shape[:-1], size, size, -1))


def enlarge(images: jax.Array, size: int) -> jax.Array:
    """(..., H, W, C) -> (..., H * size, W * size, C): each pixel becomes a square."""
    return jnp.repeat(jnp.repeat(images, size, -3), size, -2)

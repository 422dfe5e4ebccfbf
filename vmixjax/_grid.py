"""Cutting an image into a grid of squares, and putting it together again."""

import jax


def cut(image: jax.Array, size: int) -> jax.Array:
    """(H, W, C) -> (H // size, size, W // size, size, C).

    One axis at a time: under explicit sharding JAX follows only such reshapes.
    """
    height, width, channels = image.shape
    rows = image.reshape(height // size, size, width, channels)
    return rows.reshape(height // size, size, width // size, size, channels)


def join(grid: jax.Array) -> jax.Array:
    """(rows, size, columns, size, C) -> (rows * size, columns * size, C)."""
    rows, size, columns, _, channels = grid.shape
    lines = grid.reshape(rows, size, columns * size, channels)
    return lines.reshape(rows * size, columns * size, channels)


def to_blocks(image: jax.Array, size: int) -> jax.Array:
    """(H, W, C) -> (number of blocks, size, size, C), row by row."""
    grid = cut(image, size).transpose(0, 2, 1, 3, 4)
    return grid.reshape(-1, size, size, image.shape[2])


def from_blocks(blocks: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """The inverse of `to_blocks`, to an image of a shape (H, W, C)."""
    size = blocks.shape[1]
    grid = blocks.reshape(shape[0] // size, shape[1] // size, size, size, shape[2])
    return join(grid.transpose(0, 2, 1, 3, 4))

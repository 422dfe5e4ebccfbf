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

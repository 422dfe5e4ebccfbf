"""An image as a list of its blocks, and back."""

import jax

from vmixjax._grid import cut, join


def to_blocks(image: jax.Array, block: int) -> jax.Array:
    """(H, W, C) -> (number of blocks, b, b, C), row by row."""
    grid = cut(image, block).transpose(0, 2, 1, 3, 4)
    return grid.reshape(-1, block, block, image.shape[2])


def from_blocks(blocks: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """The inverse of `to_blocks`, to an image of a shape (H, W, C)."""
    block = blocks.shape[1]
    grid = blocks.reshape(shape[0] // block, shape[1] // block, block, block, shape[2])
    return join(grid.transpose(0, 2, 1, 3, 4))

"""Cutting batches into regions, and regions into blocks; putting them together again.

`vmixjax._grid` cuts squares; a whole image, which is one region to an attacker who
knows of none, need not be square.
"""

import jax


def cut_regions(images: jax.Array, region: tuple[int, int]) -> jax.Array:
    """(B, H, W, C) -> (B, rows, columns, height, width, C) of regions."""
    batch, height, width, channels = images.shape
    grid = images.reshape(
        batch,
        height // region[0],
        region[0],
        width // region[1],
        region[1],
        channels,
    )
    return grid.transpose(0, 1, 3, 2, 4, 5)


def join_regions(regions: jax.Array) -> jax.Array:
    """(B, rows, columns, height, width, C) -> (B, H, W, C)."""
    batch, rows, columns, height, width, channels = regions.shape
    lines = regions.transpose(0, 1, 3, 2, 4, 5)
    return lines.reshape(batch, rows * height, columns * width, channels)


def cut_pieces(images: jax.Array, region: tuple[int, int], block: int) -> jax.Array:
    """(B, H, W, C) -> (B, rows, columns, blocks of a region, block, block, C).

    Blocks of a region are in raster order.
    """
    regions = cut_regions(images, region)
    flat = regions.reshape(-1, *regions.shape[-3:])
    pieces = cut_regions(flat, (block, block))
    return pieces.reshape(*regions.shape[:3], -1, *pieces.shape[-3:])


def join_pieces(pieces: jax.Array, region: tuple[int, int]) -> jax.Array:
    """(B, rows, columns, blocks of a region, block, block, C) -> (B, H, W, C)."""
    block, channels = pieces.shape[-2:]
    down, across = region[0] // block, region[1] // block
    flat = pieces.reshape(-1, down, across, block, block, channels)
    return join_regions(
        join_regions(flat).reshape(*pieces.shape[:3], *region, channels)
    )

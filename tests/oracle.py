"""Plain NumPy and Python statements of the formulas, written without the library."""

import numpy as np


def intensity(image):
    if image.dtype == np.uint8:
        return image / 255.0
    if image.dtype == np.uint16:
        return image / 65535.0
    return image.astype(np.float64)


def vfe_map(image, tile):
    """Pixel by pixel, as the definition reads."""
    x = intensity(image)
    height, width, channels = x.shape
    result = np.zeros((height // tile, width // tile, channels))
    for i in range(height):
        for j in range(width):
            right = x[i, j + 1] if j % tile != tile - 1 else 0.0
            below = x[i + 1, j] if i % tile != tile - 1 else 0.0
            square = (right - x[i, j]) ** 2 + (below - x[i, j]) ** 2
            result[i // tile, j // tile] += square
    return result


def regions(image, size):
    """(H, W, C) -> (rows, columns, C, size * size)."""
    height, width, channels = image.shape
    grid = image.reshape(height // size, size, width // size, size, channels)
    grid = grid.transpose(0, 2, 4, 1, 3)
    return grid.reshape(*grid.shape[:3], size * size)


def levels_by_climbing(start, gains, features, target):
    """The climb one step at a time: start (tiles,), gains (steps, tiles)."""
    levels = np.ones(len(start), int)
    total = start.sum()
    order = sorted(range(len(start)), key=lambda tile: (-features[tile], tile))
    for rung in gains:
        for tile in order:
            if total >= target:
                return levels, total
            levels[tile] += 1
            total += rung[tile]
    return levels, total


def smooth_image(height, width, channels=3, dtype=np.uint8):
    """Structure like a photograph's, from arithmetic alone: the same for ever."""
    y, x, c = np.mgrid[:height, :width, :channels]
    wave = (y * y * 3 + x * x * 5 + x * y * 2 + c * 977) // 29 % 199
    edges = ((x // 13 + y // 9 + c) % 3) * 19
    eight = (wave + edges) % 256
    if dtype == np.uint8:
        return eight.astype(np.uint8)
    if dtype == np.uint16:
        return (eight * 257 + x % 7).astype(np.uint16)
    return (eight / 255).astype(dtype)

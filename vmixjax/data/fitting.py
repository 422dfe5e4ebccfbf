"""Making an image of whole tiles, and undoing that."""

from typing import Literal

import numpy as np

Fit = Literal["pad", "crop"]
"""Repeat the last row and column up to a whole tile, or cut back to one."""


def fit(image: np.ndarray, tile_size: int, how: Fit) -> np.ndarray:
    """Makes an image (H, W, C) whole tiles, changed at its right and bottom only.

    Raises:
      ValueError: An image smaller than a tile that is to be cropped.
    """
    height, width = image.shape[:2]
    if how == "crop":
        if min(height, width) < tile_size:
            raise ValueError(
                f"is {height} x {width}, smaller than one tile of {tile_size}; use "
                f"--fit pad or a smaller --tile-size"
            )
        return image[
            : height // tile_size * tile_size, : width // tile_size * tile_size
        ]
    below, right = -height % tile_size, -width % tile_size
    if not below and not right:
        return image
    return np.pad(image, [(0, below), (0, right), (0, 0)], mode="edge")


def cut_off(image: np.ndarray, fitted: np.ndarray) -> bytes:
    """Gives the values of an image that its fitted form lacks; none when padded."""
    height, width = fitted.shape[:2]
    right, below = image[:height, width:], image[height:]
    return right.tobytes() + below.tobytes()


def unfit(fitted: np.ndarray, height: int, width: int, rest: bytes) -> np.ndarray:
    """Restores the image (height, width, C) that `fit` and `cut_off` were given."""
    rows, columns = fitted.shape[:2]
    if rows >= height and columns >= width:
        return fitted[:height, :width]
    image = np.empty((height, width, fitted.shape[2]), fitted.dtype)
    image[:rows, :columns] = fitted
    values = np.frombuffer(rest, fitted.dtype)
    right = image[:rows, columns:]
    right[...] = values[: right.size].reshape(right.shape)
    image[rows:] = values[right.size :].reshape(image[rows:].shape)
    return image

"""What is done to the pixels of an image: fewer bits, a square, whole tiles."""

import hashlib
from typing import Literal

import numpy as np
from PIL import Image, ImageOps

from vmixjax.data.room import MAX_PIXELS
from vmixjax.errors import ImageError

Fit = Literal["pad", "crop"]
"""Repeat the last row and column up to a whole tile, or cut back to one."""

_DIGESTED = 2**20
"""Bytes of an image that are made contiguous at once."""


def eight_bits(image: np.ndarray) -> np.ndarray:
    """Reduces 16 bits to the upper 8.

    Args:
      image: uint8 or uint16 array, of any shape.

    Returns:
      uint8 array of the same shape; the array itself where it is uint8.
    """
    return (image >> 8).astype(np.uint8) if image.dtype == np.uint16 else image


def without_alpha(image: np.ndarray) -> np.ndarray:
    """Takes the transparency away from an image (H, W, C), C from 1 to 4.

    Returns:
      (H, W, 1) where the image is grey, else (H, W, 3).
    """
    return image[..., : 3 if image.shape[2] > 2 else 1]


def square(
    image: np.ndarray, side: int, resample: Image.Resampling, *, whole: bool = False
) -> np.ndarray:
    """Brings the middle of an image to a square of a given size.

    Args:
      image: uint8 array (H, W, C), of any number of channels.
      side: Side of the square in pixels.
      resample: Filter of Pillow, by which pixels are interpolated.
      whole: Whether the image is scaled to whole pixels first and cut afterwards.
        Otherwise its middle is cut out exactly, between pixels where it must be.

    Returns:
      uint8 array (side, side, C); the image itself where it has that size.
    """
    height, width = image.shape[:2]
    if (height, width) == (side, side):
        return image
    # One channel at a time: Pillow knows no others than 1, 3 and 4 of them.
    pictures = [Image.fromarray(channel) for channel in np.moveaxis(image, -1, 0)]
    if not whole:
        fitted = [ImageOps.fit(one, (side, side), resample) for one in pictures]
        return np.stack([np.asarray(one) for one in fitted], -1)
    scale = side / min(height, width)
    height, width = (max(side, round(length * scale)) for length in (height, width))
    top, left = (height - side) // 2, (width - side) // 2
    scaled = [np.asarray(one.resize((width, height), resample)) for one in pictures]
    return np.stack(scaled, -1)[top : top + side, left : left + side]


def fit(image: np.ndarray, tile_size: int, how: Fit, name: str = "image") -> np.ndarray:
    """Makes an image (H, W, C) whole tiles, changed at its right and bottom only.

    Raises:
      ImageError: It is smaller than a tile, and to be cropped; or too large once it is
        padded, as a line of pixels can be. It is called `name`.
    """
    height, width = image.shape[:2]
    if how == "crop":
        if min(height, width) < tile_size:
            raise ImageError(
                f"{name} is {height} x {width}, smaller than one tile of {tile_size}; "
                f"use --fit pad or a smaller --tile-size"
            )
        return image[
            : height // tile_size * tile_size, : width // tile_size * tile_size
        ]
    below, right = -height % tile_size, -width % tile_size
    if not below and not right:
        return image
    rows, columns = height + below, width + right
    if rows * columns > MAX_PIXELS:
        raise ImageError(
            f"{name} is {height} x {width}, and {rows} x {columns} as whole tiles of "
            f"{tile_size}, over the limit of {MAX_PIXELS} pixels; use a smaller "
            f"--tile-size, or cut it up"
        )
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


def pixels_digest(image: np.ndarray) -> bytes:
    """Tells the pixels of an image from all others.

    It can be compared with guesses at an original, so it stays on the owner's side.

    Args:
      image: Array (H, W, C).

    Returns:
      SHA-256 of shape, type and values: 32 bytes. Vaults and keys depend on it.
    """
    # SHA-256, which processors have instructions for.
    digest = hashlib.sha256(repr((image.shape, image.dtype.str)).encode())
    rows = max(1, _DIGESTED * len(image) // max(1, image.nbytes))
    for top in range(0, len(image), rows):
        digest.update(np.ascontiguousarray(image[top : top + rows]).data)
    return digest.digest()

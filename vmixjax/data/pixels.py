"""What is done to the pixels of an image: fewer bits, a square, a digest."""

import hashlib

import numpy as np
from PIL import Image, ImageOps


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
    digest.update(np.ascontiguousarray(image).data)
    return digest.digest()

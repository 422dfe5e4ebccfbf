"""Pictures of what a model says: colours of classes, and images to draw on."""

import functools

import numpy as np
from PIL import Image

_LARGE = 240
"""Pixels of a side on which boxes and masks can be told apart."""


@functools.cache
def palette() -> np.ndarray:
    """Gives colours that are told apart, uint8 (20, 3); the first differ most."""
    from matplotlib import colormaps

    # The strong ones first, then those that are paler.
    colours = np.asarray(colormaps["tab20"].colors)  # type: ignore[attr-defined]
    ordered = np.concatenate([colours[::2], colours[1::2]])
    return np.round(255 * ordered).astype(np.uint8)


def coloured(image: np.ndarray) -> Image.Image:
    """Makes a picture of an image uint8 (H, W, C) that can be drawn on in colours.

    Where that is small each pixel becomes several.
    """
    channels = image if image.shape[2] == 3 else np.repeat(image[..., :1], 3, axis=2)
    times = max(1, _LARGE // min(image.shape[:2]))
    return Image.fromarray(channels.repeat(times, 0).repeat(times, 1))


def beside(pictures: list[Image.Image]) -> Image.Image:
    """Puts pictures of one height beside each other."""
    gap = 8
    height = max(one.height for one in pictures)
    width = sum(one.width for one in pictures) + gap * (len(pictures) - 1)
    whole = Image.new("RGB", (width, height), "white")
    left = 0
    for one in pictures:
        whole.paste(one, (left, 0))
        left += one.width + gap
    return whole

"""What is kept of an image to find others of the same scene: corners, in 2 kB at most.

Corners are found in a small grey picture of the image and described by which of the
points around them are brighter than others: what a shift, another brightness, and a
slightly other size leave as they are.

References:
  J. Shi and C. Tomasi, "Good Features to Track", CVPR 1994.
  E. Rublee et al., "ORB: An efficient alternative to SIFT or SURF", ICCV 2011. Without
  its orientation: views of a scene that other grids can be laid over are not turned.
"""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import cv2
import numpy as np

LARGE, SMALL = 128, 64
"""Longer side of the small picture; `SMALL` for tiny images."""

_TINY = 40
"""Longer side of images whose small picture is `SMALL`."""

_CORNERS = {LARGE: 112, SMALL: 40}
"""Most corners of an image, by the side of its small picture."""

_LEAST = 24
"""Longer side of images that are looked at: there is no scene in fewer pixels."""

_PATCH = 15
"""Side of what is compared around a corner. Of the 31 pixels that are usual, more would
lie beyond the border of a view, or be displaced by another scale."""

_QUALITY = 1e-5
"""How weak a corner may be beside the strongest."""

_APART = {LARGE: 8, SMALL: 6}
"""Pixels between two corners. So far apart, strong ones in one part of a view leave
weak ones for the part that is shared."""

_FLAT = 12
"""Values between the darkest and the brightest pixel of what shows nothing."""

BYTES = 16
"""Of the bits of one corner: half of what ORB makes of it."""


class Descriptor(NamedTuple):
    """What is kept of an image.

    Attributes:
      height: Height of the image in pixels.
      width: Width of the image in pixels.
      corners: uint8 (K, 2), x and y of each in the small picture.
      bits: uint8 (K, 16), what is around each.
    """

    height: int
    width: int
    corners: np.ndarray
    bits: np.ndarray

    @property
    def per_pixel(self) -> float:
        """Pixels of the image to each of the small picture, along a side."""
        return max(self.height, self.width) / _side(self.height, self.width)


def describe(image: np.ndarray, size: tuple[int, int] | None = None) -> Descriptor:
    """Describes an image; may be called from many threads.

    Args:
      image: uint8, uint16 or floating (H, W, C), of any number of channels.
      size: Height and width of the image, where what is given is a reduced one.

    Raises:
      TypeError, ValueError: It is no such array.
    """
    grey = grey_of(image)
    height, width = size or grey.shape
    small = resize(grey, *_small(height, width))
    nothing = Descriptor(
        height, width, np.empty((0, 2), np.uint8), np.empty((0, BYTES), np.uint8)
    )
    if max(height, width) < _LEAST or min(small.shape) < _PATCH:
        return nothing
    if np.ptp(small) < _FLAT:
        return nothing
    side = _side(height, width)
    # Any: OpenCV's types say less of what it takes than it does.
    found: Any = cv2.goodFeaturesToTrack(small, _CORNERS[side], _QUALITY, _APART[side])
    if found is None:
        return nothing
    points = cv2.KeyPoint.convert(found[:, 0], size=_PATCH)
    kept, bits = _here.orb.compute(small, points)
    if not kept:
        return nothing
    corners = np.array(cv2.KeyPoint.convert(kept), np.uint8)
    return Descriptor(height, width, corners, bits[:, :BYTES])


def grey_of(image: np.ndarray) -> np.ndarray:
    """Gives the grey picture of an image (H, W, C): uint8 (H, W)."""
    if image.ndim != 3 or 0 in image.shape:
        raise ValueError(
            f"image must be one (H, W, C) array; got shape {image.shape}. For grey, "
            f"image[..., None]"
        )
    if image.dtype not in (np.uint8, np.uint16) and image.dtype.kind != "f":
        raise TypeError(
            f"image must be uint8, uint16 or floating; got {image.dtype}. Convert it "
            f"with image.astype(...)"
        )
    if image.dtype != np.uint8:
        image = _stretched(image)
    if image.shape[2] in (3, 4):
        return cv2.cvtColor(image[..., :3], cv2.COLOR_RGB2GRAY)
    if image.shape[2] in (1, 2):
        # The second is transparency.
        return np.ascontiguousarray(image[..., 0])
    return image.mean(2).astype(np.uint8)


def resize(grey: np.ndarray, height: int, width: int) -> np.ndarray:
    """Brings a picture to a size, by means of areas where it gets smaller."""
    if grey.shape == (height, width):
        return grey
    shrinks = grey.shape[0] > height
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(grey, (width, height), interpolation=how)


def _side(height: int, width: int) -> int:
    return SMALL if max(height, width) <= _TINY else LARGE


def _small(height: int, width: int) -> tuple[int, int]:
    """Height and width of the small picture."""
    scale = _side(height, width) / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def _stretched(image: np.ndarray) -> np.ndarray:
    """Spreads values of any range over 8 bits: those of 16 may have only 10 or 12."""
    values = np.nan_to_num(image.astype(np.float64), posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if high - low < np.finfo(np.float32).tiny:
        return np.zeros(image.shape, np.uint8)
    return ((values - low) * (255 / (high - low))).astype(np.uint8)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Keeps OpenCV from starting threads of its own, where there are others already.

    That is a setting of the whole process: it is put back at the end.
    """
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


class _Here(threading.local):
    """An extractor for each thread: it must not be shared."""

    def __init__(self) -> None:
        self.orb = cv2.ORB.create(nlevels=1, edgeThreshold=3, patchSize=_PATCH)


_here = _Here()

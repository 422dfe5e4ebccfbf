"""Images that mixing hardly changes, since there is nearly one colour to a region.

What a shuffle inside regions can change of an image is how it varies inside of them.
Where that is next to nothing of how it varies as a whole, as in drawings of large areas
and in photographs of many more pixels than regions have, it comes out as it went in.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vmixjax.release.batches import Mixed

_LITTLE = 0.01
"""Of how an image varies: a shuffle that changes less has hardly changed it."""

_ENOUGH = 0.05
"""Of how an image varies: where tiles hold so much, it can be mixed."""

_NEAR = 0.1
"""Of VFE: what has changed more needs no other look."""

_PIXELS, _MOST_PIXELS = 2**8, 2**22
"""That tell of most images that they have changed, and of the others."""


MOST_TOLD = 100
"""Images that the owner is told of by name."""


class HardlyChanged(NamedTuple):
    """What the owner is told of an image: its name, VFE, and share of pixels moved."""

    image: str
    before: float
    after: float
    moved: float


class Unchanged(NamedTuple):
    """An image that mixing hardly changed.

    Attributes:
      moved: Share of its pixels that are others than before.
      tile_size: Size of tiles that it could be mixed in.
    """

    moved: float
    tile_size: int


def unchanged_of(
    images: Sequence[np.ndarray], mixed: Sequence[Mixed], tile_size: int
) -> list[Unchanged | None]:
    """Tells which images mixing has hardly changed, as `find_unchanged` does.

    Only of those whose VFE has hardly changed is more than that looked at.
    """
    return [
        find_unchanged(image, one.image, tile_size)
        if abs(one.after - one.before) <= _NEAR * one.before
        else None
        for image, one in zip(images, mixed, strict=True)
    ]


def find_unchanged(
    image: np.ndarray, mixed: np.ndarray, tile_size: int
) -> Unchanged | None:
    """Tells whether mixing has hardly changed an image, and what would.

    Nothing is said of images of one colour: they show nothing.

    Args:
      image: uint8 or uint16 (H, W, C), whole tiles.
      mixed: The same, mixed.
      tile_size: Size of the tiles.
    """
    if _has_changed(_some(image, _PIXELS), _some(mixed, _PIXELS)):
        return None
    before, after = (_some(one, _MOST_PIXELS) for one in (image, mixed))
    if _has_changed(before, after) or _variance(before) == 0:
        return None
    moved = (before != after).any(axis=2).mean()
    while _inside(image, tile_size) < _ENOUGH:
        tile_size *= 2
    return Unchanged(float(moved), tile_size)


def _some(image: np.ndarray, pixels: int) -> np.ndarray:
    """As many pixels as are asked for, or some more, from all over an image."""
    step = max(1, math.isqrt(image.shape[0] * image.shape[1] // pixels))
    return image[::step, ::step]


def _has_changed(image: np.ndarray, mixed: np.ndarray) -> bool:
    """Whether pixels have changed by some of what those anywhere differ by."""
    before = image.astype(np.float64)
    change = mixed - before
    # Exact sums, of which nothing depends on their order; BLAS would start threads.
    height, width, channels = image.shape
    totals = [before[..., channel].sum() for channel in range(channels)]
    squares = sum(total * total for total in totals) / (height * width)
    # Of two pixels that are drawn from anywhere, times the number of pixels.
    anywhere = 2 * (np.square(before).sum() - squares)
    return bool(np.square(change).sum() > _LITTLE * anywhere)


def _variance(image: np.ndarray) -> float:
    return float(image.var(axis=(0, 1), dtype=np.float64).mean())


def _inside(image: np.ndarray, tile_size: int) -> float:
    """The share of the variance of an image that is inside of its tiles."""
    if tile_size >= max(image.shape[:2]):
        return 1.0
    below, right = (-side % tile_size for side in image.shape[:2])
    padded = np.pad(image, [(0, below), (0, right), (0, 0)], mode="edge")
    rows, columns = (side // tile_size for side in padded.shape[:2])
    tiles = padded.reshape(rows, tile_size, columns, tile_size, -1)
    # Of each tile some rows and columns, two at least.
    step = math.isqrt(image.shape[0] * image.shape[1] // _MOST_PIXELS)
    step = max(1, min(step, tile_size // 2))
    tiles = tiles[:, ::step, :, ::step]
    inside = float(tiles.var(axis=(1, 3), dtype=np.float64).mean())
    return inside / _variance(tiles.reshape(-1, 1, image.shape[2]))

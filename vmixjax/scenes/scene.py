"""A scene: images of a data set that show it, and how their grids lie on it.

The sums of regions are exact. So images whose regions lie otherwise on the same scene
tell more of it together than each alone: each shift that is no whole number of regions,
and each other size, gives new sums. Copies on the same grid give the same again.
"""

import dataclasses
from collections.abc import Collection
from typing import NamedTuple

import numpy as np

_SHIFT, _SCALE = 0.25, 1e-3
"""Pixels, and part of the size, by which two grids may differ and count as the same."""


class View(NamedTuple):
    """An image as a view of a scene.

    Pixel (y, x) of it lies at (scale * y + top, scale * x + left) of the scene's first
    view.

    Attributes:
      index: Number of the image, in the order in which images were given.
      scale: Size of its pixels, in pixels of the first view.
      top: Where its first row lies.
      left: Where its first column lies.
    """

    index: int  # type: ignore[assignment]  # of the image; tuple has a method so named
    scale: float
    top: float
    left: float


@dataclasses.dataclass(frozen=True)
class Scene:
    """Images that show the same scene.

    Attributes:
      views: Two or more of them, in the order of their numbers; the first lies at 0, 0
        with scale 1.
    """

    views: tuple[View, ...]

    def count_grids(self, regions: Collection[int]) -> int:
        """Counts the views that add something to what the others tell.

        Args:
          regions: Sides of the regions that images are mixed in, in pixels. Where
            there are several, the one counts whose grids differ most.

        Returns:
          The number of views whose regions lie otherwise on the scene than those of all
          others that are counted: 1 if all are copies on the same grid.
        """
        return max(self._count(region) for region in regions)

    def _count(self, region: int) -> int:
        grids = np.empty((len(self.views), 3))
        count = 0
        for _, scale, top, left in self.views:
            scales, others = grids[:count, 0], grids[:count, 1:]
            shifts = (np.array([top, left]) - others) / scales[:, None]
            off = np.abs(shifts - region * np.round(shifts / region)).max(1)
            same = np.abs(scale / scales - 1) <= _SCALE
            if not (same & (off <= _SHIFT)).any():
                grids[count] = scale, top, left
                count += 1
        return count

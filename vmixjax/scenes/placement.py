"""How one image lies on another, by the corners of both alone.

References:
  M. Fischler and R. Bolles, "Random Sample Consensus", CACM 1981; here of all samples.
  D. Lowe, "Distinctive Image Features from Scale-Invariant Keypoints", IJCV 2004: the
  next nearest, section 7.1.
"""

from typing import NamedTuple

import numpy as np

from vmixjax.scenes.descriptor import Descriptor

_ALIKE = 24
"""Bits of 128 that corners which are each other's nearest may differ in."""

_CORNERS = 3
"""Corners that must lie in one view as they do in the other."""

_OFF = 2.5
"""Pixels of small pictures by which they may be off."""

_MATCHES, _TRIED = 48, 200
"""Of the corners of two images: so many; and placements that two of them make."""

_ENLARGED = 1.3
"""Scale between two small pictures up to which their corners are alike."""


class Placement(NamedTuple):
    """Pixel (y, x) of one image is (scale * y + top, scale * x + left) of the other."""

    scale: float
    top: float
    left: float

    def after(self, other: "Placement") -> "Placement":
        """Gives the placement that does first the other and then this one."""
        return Placement(
            self.scale * other.scale,
            self.scale * other.top + self.top,
            self.scale * other.left + self.left,
        )

    def back(self) -> "Placement":
        """Gives the placement of the one image on the other."""
        return Placement(
            1 / self.scale, -self.top / self.scale, -self.left / self.scale
        )


def place(first: Descriptor, second: Descriptor) -> Placement | None:
    """Tells how a second image lies on the first, by their corners; None: it does not.

    It is exact to some pixels of small pictures.
    """
    if min(len(first.bits), len(second.bits)) < _CORNERS:
        return None
    words = second.bits.view(np.uint64), first.bits.view(np.uint64)
    differ = np.bitwise_count(words[0][:, None] ^ words[1]).sum(2, dtype=np.int16)
    # Both ways: of those that are each other's nearest, there are too few.
    theirs = np.concatenate([np.arange(len(differ)), differ.argmin(0)])
    ours = np.concatenate([differ.argmin(1), np.arange(differ.shape[1])])
    apart = differ[theirs, ours]
    # Corners of a sky are all alike: those that are like one other only come first.
    following = [np.partition(differ, 1, 1)[:, 1], np.partition(differ, 1, 0)[1]]
    order = np.lexsort((ours, theirs, 2 * apart - np.concatenate(following)))
    order = order[apart[order] <= _ALIKE]
    codes = theirs[order] * differ.shape[1] + ours[order]
    order = order[np.sort(np.unique(codes, return_index=True)[1])][:_MATCHES]
    theirs, ours = theirs[order], ours[order]
    if len(theirs) < _CORNERS:
        return None
    of = _vote(
        second.corners[theirs].astype(np.float32),
        first.corners[ours].astype(np.float32),
    )
    return of and in_images(of, first.per_pixel, second.per_pixel)


def in_images(of: Placement, one: float, other: float) -> Placement:
    """Gives a placement of pictures as one of their images.

    Args:
      of: How the picture of one image lies on that of another.
      one: Pixels of the other image to each of its picture, along a side.
      other: Likewise, of the one that lies on it.
    """
    scale = of.scale * one / other
    return Placement(
        scale,
        *(
            start * one + (one - 1) / 2 - scale * (other - 1) / 2
            for start in (of.top, of.left)
        ),
    )


def _vote(source: np.ndarray, target: np.ndarray) -> Placement | None:
    """The placement that most matches agree with, of all that two of them make.

    It has no turn. Most matches of small pictures are wrong, and with a turn more of
    them agree by chance than of those that are right.
    """
    one, other = np.triu_indices(len(source), 1)
    before, after = source[other] - source[one], target[other] - target[one]
    length = np.maximum(np.hypot(*before.T), 1e-6)
    scale = (before * after).sum(1) / length**2
    turned = np.abs(after - scale[:, None] * before).max(1)
    (fit,) = np.nonzero(
        (scale > 1 / _ENLARGED)
        & (scale < _ENLARGED)
        & (turned < _OFF)
        & (length > 2 * _OFF)
    )
    if not len(fit):
        return None
    fit = fit[:: -(-len(fit) // _TRIED)]
    scale = scale[fit]
    start = (target[one[fit]] + target[other[fit]]) / 2
    start -= scale[:, None] * (source[one[fit]] + source[other[fit]]) / 2
    there = scale[:, None, None] * source + start[:, None]
    agree = np.abs(there - target).max(2) < _OFF
    best = int(agree.sum(1).argmax())
    theirs, ours = source[agree[best]], target[agree[best]]
    if min(len(set(map(tuple, of.tolist()))) for of in (theirs, ours)) < _CORNERS:
        return None
    middle = theirs.mean(0)
    away = theirs - middle
    exact = float((away * (ours - ours.mean(0))).sum() / (away**2).sum())
    left, top = ours.mean(0) - exact * middle
    return Placement(exact, float(top), float(left))

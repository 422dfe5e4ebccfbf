"""Whether two images show the same scene, by their pixels.

What both show is laid over each other, exactly, and must be alike everywhere, not in a
few corners only.

References:
  M. Fischler and R. Bolles, "Random Sample Consensus", CACM 1981; J.-Y. Bouguet,
  "Pyramidal Implementation of the Lucas Kanade Feature Tracker", Intel 2001.
"""

import math
from typing import NamedTuple

import cv2
import numpy as np

from vmixjax.scenes.descriptor import resize
from vmixjax.scenes.placement import Placement, in_images

_SEVERAL = 3
"""Points that can be followed, at least."""

_SCALED, _TURN = 0.1, 0.1
"""By how much pictures may be scaled otherwise than their corners say, and turned, in
radians."""

_SIDE = 1024
"""Longer side of the pictures that are laid over each other."""

_COARSE = 192
"""And of those that are compared first, since most candidates show nothing the same."""

_LEAST = 8
"""Pixels, of each side of what two images both show."""

_ABOUT, _BAND = 0.3, (2.0, 6.0)
"""Correlation, before pictures lie on each other exactly, of those that are compared
further; and of what: sigmas of the blur that stays and of that which is taken away."""

_POINTS = 200
"""Points that are followed from one picture to the other."""

_STEPS = cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 6, 0.03
"""So many steps, or to one of so few pixels: points of a false candidate take all."""

_DRAWS = 100
"""Draws of two points: since half of them agree, or it is none, few are enough."""

_EXACT = 0.75
"""Pixels by which they may be off."""

_CONTRAST = 48.0
"""Standard deviation of the pictures in which they are followed: those of a sky have
little of their own."""

_FINE = 2.0
"""Sigma, in pixels, of the blur that is taken away: shades alone make no likeness."""

_LIKENESS = 0.7, 6.0, 0.92
"""Correlation of what both show, at least; what is added to it, through the side of
that in pixels, since in few pixels much looks alike, such as digits; and at most."""

_TRACKED = 0.45, 10.0, 0.8
"""Part of the points that must agree, likewise."""

_WHOLE = 0.2
"""Pixels to the next whole one that are put down to rounding."""


class Picture(NamedTuple):
    """A grey picture of an image.

    Attributes:
      grey: uint8 (H, W).
      per_pixel: Pixels of the image to each of its own, along a side.
    """

    grey: np.ndarray
    per_pixel: float


def picture_of(grey: np.ndarray, longer: int) -> Picture:
    """Gives the picture of an image that is large enough to be compared.

    Args:
      grey: uint8 (H, W), the image or a smaller picture of it.
      longer: Longer side of the image.
    """
    if max(grey.shape) > _SIDE:
        height, width = (max(1, round(n * _SIDE / max(grey.shape))) for n in grey.shape)
        grey = resize(grey, height, width)
    return Picture(grey, longer / max(grey.shape))


def compare(first: Picture, second: Picture, about: Placement) -> Placement | None:
    """Lays the picture of a second image on that of the first, and compares them.

    Args:
      first: Picture of an image.
      second: Picture of another image.
      about: About how the second lies on the first.

    Returns:
      How it does, exact to a part of a pixel; None if they are not alike there.
    """
    larger = max(first.grey.shape) / _COARSE
    if larger > 2:
        one, other = (_coarser(it, it.per_pixel * larger) for it in (first, second))
        of = _compare(one, other, about, _ABOUT)
        return of and _compare(first, second, of)
    return _compare(first, second, about, _ABOUT)


def _compare(
    first: Picture, second: Picture, about: Placement, least: float = -1.0
) -> Placement | None:
    one, other = _as_fine(first, second, about)
    placement = _in_pictures(about, one.per_pixel, other.per_pixel)
    laid = _lay(one.grey, other.grey, placement)
    if laid is None or (least > -1 and _likeness(one.grey, laid, *_BAND) < least):
        return None
    exact = _track(one.grey, laid, placement)
    if exact is None:
        return None
    laid = _lay(one.grey, other.grey, exact)
    if laid is None or _likeness(one.grey, laid, 0.0, _FINE) < laid.asks(*_LIKENESS):
        return None
    return _rounded(in_images(exact, one.per_pixel, other.per_pixel), other)


class _Laid(NamedTuple):
    """A picture, resampled to lie on another, and the part that is in both."""

    grey: np.ndarray
    rows: slice
    columns: slice

    def asks(self, least: float, more: float, most: float) -> float:
        """Gives what is asked of the part: more of a small one."""
        height, width = (part.stop - part.start for part in (self.rows, self.columns))
        return min(most, least + more / math.sqrt(height * width))


def _fit(
    source: np.ndarray, target: np.ndarray, off: float, least: int
) -> Placement | None:
    """The placement that most points agree with, and at least so many."""
    matrix, inliers = cv2.estimateAffinePartial2D(
        source, target, method=cv2.RANSAC, ransacReprojThreshold=off, maxIters=_DRAWS
    )
    if matrix is None or inliers.sum() < least:
        return None
    scale = math.hypot(matrix[0, 0], matrix[1, 0])
    turn = math.atan2(matrix[1, 0], matrix[0, 0])
    if abs(scale - 1) > _SCALED or abs(turn) > _TURN:
        return None
    # Views have no turn: the middle of what was matched stays where it is.
    x, y = source[inliers[:, 0] == 1].mean(0)
    left, top = matrix @ (x, y, 1.0) - scale * np.array([x, y])
    return Placement(scale, float(top), float(left))


def _as_fine(first: Picture, second: Picture, about: Placement) -> tuple[Picture, ...]:
    """Both pictures with pixels of about one size: that of the coarser."""
    pixel = max(first.per_pixel, second.per_pixel * about.scale)
    return _coarser(first, pixel), _coarser(second, pixel / about.scale)


def _coarser(picture: Picture, per_pixel: float) -> Picture:
    ratio = picture.per_pixel / per_pixel
    if ratio > 0.9:
        return picture
    height, width = (max(1, round(n * ratio)) for n in picture.grey.shape)
    longer = max(picture.grey.shape) / max(height, width)
    return Picture(resize(picture.grey, height, width), picture.per_pixel * longer)


def _in_pictures(of: Placement, one: float, other: float) -> Placement:
    """A placement of images, as one of their pictures."""
    return Placement(
        of.scale * other / one,
        *(
            (of.scale * (other - 1) / 2 + start - (one - 1) / 2) / one
            for start in (of.top, of.left)
        ),
    )


def _lay(one: np.ndarray, other: np.ndarray, of: Placement) -> _Laid | None:
    """Lays a picture on another; None where they have too little in common."""
    parts = []
    for i, start in enumerate((of.top, of.left)):
        begin = max(0, math.ceil(start))
        end = min(one.shape[i], math.floor(start + of.scale * (other.shape[i] - 1)) + 1)
        if end - begin < _LEAST:
            return None
        parts.append(slice(begin, end))
    matrix = np.array([[of.scale, 0, of.left], [0, of.scale, of.top]])
    height, width = one.shape
    laid = cv2.warpAffine(
        other.astype(np.float32),
        matrix,
        (width, height),
        borderMode=cv2.BORDER_REPLICATE,
    )
    return _Laid(laid, *parts)


def _track(one: np.ndarray, laid: _Laid, of: Placement) -> Placement | None:
    """Follows points of what both show, from the one picture to the other."""
    part = laid.rows, laid.columns
    here, there = _as_bright(one[part], laid.grey[part])
    points = cv2.goodFeaturesToTrack(here, _POINTS, 0.001, 3)
    if points is None or len(points) < _SEVERAL:
        return None
    window = min(15, min(here.shape) // 4 * 2 + 1)
    start = points.copy()
    size = window, window
    ends, found, _ = cv2.calcOpticalFlowPyrLK(
        here, there, points, start, winSize=size, maxLevel=3, criteria=_STEPS
    )
    kept = found[:, 0] == 1
    least = max(_SEVERAL, math.ceil(laid.asks(*_TRACKED) * len(points)))
    if kept.sum() < least:
        return None
    corner = np.array([laid.columns.start, laid.rows.start], np.float32)
    moved = _fit(ends[kept, 0] + corner, points[kept, 0] + corner, _EXACT, least)
    return moved and moved.after(of)


def _as_bright(*parts: np.ndarray) -> list[np.ndarray]:
    """Gives two pictures of the same one brightness, one contrast, and uint8.

    What is clipped in one of them is clipped in both.
    """
    whole = np.logical_and.reduce([(part > 0) & (part < 255) for part in parts])
    low, high, even = 0.0, 255.0, []
    for part in parts:
        values = part[whole] if whole.any() else part
        gain = _CONTRAST / max(float(values.std()), 0.1)
        black = 128 - gain * float(values.mean())
        even.append(gain * part + black)
        low, high = max(low, black), min(high, gain * 255 + black)
    return [np.clip(part, low, high).astype(np.uint8) for part in even]


def _likeness(one: np.ndarray, laid: _Laid, stays: float, goes: float) -> float:
    """Correlation of the detail of what two pictures both show: -1 to 1."""
    detail = []
    for grey in (one, laid.grey):
        part = grey[laid.rows, laid.columns].astype(np.float32)
        blurred = cv2.GaussianBlur(part, (0, 0), goes)
        part = (cv2.GaussianBlur(part, (0, 0), stays) if stays else part) - blurred
        detail.append(part - part.mean())
    size = math.sqrt(float((detail[0] ** 2).sum()) * float((detail[1] ** 2).sum()))
    return float((detail[0] * detail[1]).sum()) / size if size else 0.0


def _rounded(of: Placement, other: Picture) -> Placement:
    """Takes small errors away where a picture was shifted by whole pixels."""
    longer = max(other.grey.shape) * other.per_pixel
    tops = round(of.top), round(of.left)
    off = max(abs(of.top - tops[0]), abs(of.left - tops[1]))
    if abs(of.scale - 1) * longer / 2 > 2 * _WHOLE * other.per_pixel:
        return of
    if off > _WHOLE * other.per_pixel:
        return of
    return Placement(1.0, float(tops[0]), float(tops[1]))

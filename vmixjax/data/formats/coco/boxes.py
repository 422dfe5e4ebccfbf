"""Boxes as COCO has them, in pixels, and as shares of the image: there and back."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import numpy as np

from vmixjax.data.objects import Boxes, Kind

AREA, CROWD = "area", "is_crowd"
"""What COCO knows of an object beside its class and box, as TFDS calls it."""

_BEYOND = 1e-3
"""A share of the image: boxes that were rounded may reach so far out of it."""

_DIGITS = 10
"""Behind the point, at the most, where fewer of them come back as the same shares."""


class Object(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """An object as it is written.

    Attributes:
      label: Number of its class.
      bbox: Left, top, width and height in pixels.
      area: Its area in pixels.
      iscrowd: Whether it stands for many: 0 or 1.
    """

    label: int
    bbox: tuple[float, float, float, float]
    area: int | float
    iscrowd: int


def corners_of(boxes: np.ndarray, height: int, width: int) -> np.ndarray:
    """Turns boxes in pixels into shares of an image.

    Args:
      boxes: Left, top, width and height in pixels, float64 (N, 4).
      height: Height of the image.
      width: Its width.

    Returns:
      float32 (N, 4), as of `Boxes.corners`.

    Raises:
      ValueError: One is none, has no area, or reaches out of the image.
    """
    corners = _shares(boxes, height, width)
    finite: np.ndarray = np.isfinite(boxes).all(axis=1)
    inside = (corners.min(axis=1) >= -_BEYOND) & (corners.max(axis=1) <= 1 + _BEYOND)
    fit = finite & inside & (corners[:, :2] < corners[:, 2:]).all(axis=1)
    for number in np.flatnonzero(~fit):
        if not finite[number]:
            raise ValueError("a box that is not four numbers: x, y, width, height")
        fault = "has no area" if inside[number] else "reaches out of it"
        told = ", ".join(f"{side:g}" for side in boxes[number])
        raise ValueError(f"the box [{told}], which {fault}")
    return corners


def pixels_of(corners: np.ndarray, height: int, width: int) -> np.ndarray:
    """Turns shares of an image into boxes in pixels, as short as `corners_of` allows.

    Args:
      corners: As `corners_of` gives them.
      height: Height of the image.
      width: Its width.

    Returns:
      float64 (N, 4): left, top, width and height. Products of float32 and sides of
      images are exact in float64, so that they always come back.
    """
    ends = corners.astype(np.float64) * [height, width, height, width]
    top, left, bottom, right = ends.T
    exact = np.stack([left, top, right - left, bottom - top], axis=1)
    boxes, todo = exact.copy(), np.ones(len(exact), bool)
    for digits in range(_DIGITS):
        rounded = np.round(exact, digits)
        same = todo & (_shares(rounded, height, width) == corners).all(axis=1)
        boxes[same] = rounded[same]
        todo &= ~same
    return boxes


def _shares(boxes: np.ndarray, height: int, width: int) -> np.ndarray:
    left, top, across, down = boxes.T
    with np.errstate(over="ignore", invalid="ignore"):
        ends = np.stack([top, left, top + down, left + across], axis=1)
        return (ends / [height, width, height, width]).astype(np.float32)


def objects_of(boxes: Boxes, height: int, width: int) -> list[Object]:
    """Gives the objects in an image as they are written: alike for alike only."""
    pixels = pixels_of(boxes.corners, height, width).tolist()
    areas: Iterable[Any] = boxes.others.get(AREA, [w * h for _, _, w, h in pixels])
    crowds = boxes.others.get(CROWD, np.zeros(len(boxes), bool))
    parts = zip(boxes.labels.tolist(), pixels, areas, crowds, strict=True)
    return [
        Object(label, (x, y, w, h), _area(area), int(crowd))
        for label, (x, y, w, h), area, crowd in parts
    ]


def _area(area: Any) -> int | float:
    """An area of few digits, which comes back as the same float32."""
    return int(area) if isinstance(area, np.integer) else float(str(np.float32(area)))


def boxes_of(
    labels: np.ndarray,
    boxes: np.ndarray,
    areas: np.ndarray,
    crowds: np.ndarray,
    size: tuple[int, int],
    others: Mapping[str, Kind],
) -> Boxes:
    """Gives the objects in an image as a reader has them.

    Args:
      labels: Numbers of their classes, int64 (N,).
      boxes: As of `corners_of`.
      areas: Their areas, float64 (N,); NaN for that of the box.
      crowds: Whether each stands for many, bool (N,).
      size: Height and width of the image.
      others: What is known of them beside class and box.

    Raises:
      ValueError: As `corners_of`.
    """
    corners = corners_of(boxes, *size)
    areas = np.where(np.isnan(areas), boxes[:, 2] * boxes[:, 3], areas)
    kind = np.int64 if others.get(AREA) == "int" else np.float32
    with np.errstate(over="ignore"):
        known = {AREA: areas.astype(kind), CROWD: crowds}
    return Boxes(corners, labels, {name: known[name] for name in others})

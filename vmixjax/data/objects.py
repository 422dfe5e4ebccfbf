"""Boxes of the objects in an image: what they are, and how they go with its size."""

import dataclasses
from collections.abc import Mapping
from typing import Literal

import numpy as np

from vmixjax.errors import ImageError

Kind = Literal["int", "float", "bool"]
"""Types of what is known of each object: int64, float32 or bool."""

KINDS: Mapping[Kind, np.dtype[np.generic]] = {
    "int": np.dtype(np.int64),
    "float": np.dtype(np.float32),
    "bool": np.dtype(np.bool_),
}

OBJECTS = "objects"
"""What data sets call the field, whatever their format."""

_MEND = f"mend or remove that box, or leave all behind with --drop {OBJECTS}"

_BEYOND = 1e-3
"""A share of the image: boxes that were rounded may reach so far out of it."""


@dataclasses.dataclass(frozen=True)
class Objects:
    """A field that holds where the objects in an image are, and what they are.

    Attributes:
      names: Names of the classes of objects, where they are known.
      others: What else is known of each object, by name: numbers, no texts.
    """

    names: tuple[str, ...] | None = None
    others: tuple[tuple[str, Kind], ...] = ()


@dataclasses.dataclass(frozen=True)
class Boxes:
    """The objects in one image, as of `Objects`; N may be 0.

    Attributes:
      corners: Least row and column, greatest row and column of each, as shares of the
        image's height and width, float32 (N, 4): what TFDS has.
      labels: Numbers of their classes, int64 (N,).
      others: What else is known of them, (N,) each.
    """

    corners: np.ndarray
    labels: np.ndarray
    others: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)

    def alike(self, other: "Boxes") -> bool:
        """Tells whether others are the same, to the last bit."""
        mine, theirs = self.arrays(), other.arrays()
        return mine.keys() == theirs.keys() and all(
            one.dtype == theirs[name].dtype
            and one.shape == theirs[name].shape
            and one.tobytes() == theirs[name].tobytes()
            for name, one in mine.items()
        )

    def padded(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Gives `count` objects, what training programs of one shape take.

        Of more, the largest are taken, in their order; fewer are filled up.

        Returns:
          Corners (count, 4), and labels int32 (count,), -1 for what is no object.
        """
        sizes = np.prod(self.corners[:, 2:] - self.corners[:, :2], axis=1)
        chosen = np.sort(np.argsort(-sizes, stable=True)[:count])
        corners = np.zeros((count, 4), np.float32)
        labels = np.full(count, -1, np.int32)
        corners[: len(chosen)] = self.corners[chosen]
        labels[: len(chosen)] = self.labels[chosen]
        return corners, labels

    def arrays(self) -> dict[str, np.ndarray]:
        """Gives all that is known of the objects, by name."""
        # No name of what else is known begins so.
        return {"/bbox": self.corners, "/label": self.labels, **self.others}


def check_boxes(boxes: Boxes, field: Objects, name: str) -> Boxes:
    """Gives back the boxes of an image, if they are such.

    Args:
      boxes: The boxes, of the types and shapes that they should have.
      field: What is promised of them.
      name: Name of the image in complaints.

    Raises:
      ImageError: One is not finite, lies outside of the image or has no area, or its
        class is none.
    """
    for other, array in boxes.others.items():
        if not np.isfinite(array).all():
            number = int(np.isfinite(array).argmin())
            raise ImageError(
                f"{name} has box {number} with {other} {array[number]}, which is not "
                f"finite; {_MEND}"
            )
    ymin, xmin, ymax, xmax = boxes.corners.T
    with np.errstate(invalid="ignore"):
        least, greatest = boxes.corners.min(axis=1), boxes.corners.max(axis=1)
        inside = (least >= -_BEYOND) & (greatest <= 1 + _BEYOND)
        area = (ymax > ymin) & (xmax > xmin)
    classes = len(field.names) if field.names is not None else None
    known = boxes.labels >= 0
    if classes is not None:
        known &= boxes.labels < classes
    fit = inside & area & known
    if fit.all():
        return boxes
    number = int(fit.argmin())
    values = ", ".join(f"{value:.6g}" for value in boxes.corners[number])
    where = f"{name} has box {number}, [{values}] as ymin, xmin, ymax, xmax,"
    if not np.isfinite(boxes.corners[number]).all():
        fault = "which is not of finite numbers"
    elif not inside[number]:
        fault = "which lies outside of the image: shares of it are 0 to 1"
    elif not area[number]:
        fault = "which has no area"
    else:
        most = "" if classes is None else f", of {classes}"
        fault = f"whose label {boxes.labels[number]} is no class{most}"
    raise ImageError(f"{where} {fault}; {_MEND}")


def resize_boxes(
    boxes: Boxes, size: tuple[int, int], fitted: tuple[int, int]
) -> tuple[Boxes, int]:
    """Gives the boxes of an image that was padded or cut at its right and bottom.

    Args:
      boxes: Those of the image as it was.
      size: Height and width that it had.
      fitted: Height and width that it has.

    Returns:
      Those that are left, cut to the image; and how many are not.
    """
    if size == fitted:
        return boxes, 0
    scale = np.divide(size, fitted)
    corners = boxes.corners * np.tile(scale, 2)
    cut = np.tile(scale > 1, 2)
    corners = np.where(cut, np.minimum(corners, 1), corners).astype(np.float32)
    left = (corners[:, 2:] > corners[:, :2]).all(axis=1)
    others = {name: values[left] for name, values in boxes.others.items()}
    return Boxes(corners[left], boxes.labels[left], others), int((~left).sum())

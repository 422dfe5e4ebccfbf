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
        mine, theirs = self._arrays(), other._arrays()
        return mine.keys() == theirs.keys() and all(
            one.dtype == theirs[name].dtype
            and one.shape == theirs[name].shape
            and one.tobytes() == theirs[name].tobytes()
            for name, one in mine.items()
        )

    def _arrays(self) -> dict[str, np.ndarray]:
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
    raise ImageError(f"{where} {fault}; mend or remove that box, or --drop {OBJECTS}")

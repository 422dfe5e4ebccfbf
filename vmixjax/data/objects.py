"""Boxes of the objects in an image: what they are, and how they go with its size."""

import dataclasses
from collections.abc import Mapping
from typing import Literal

import numpy as np

Kind = Literal["int", "float", "bool"]
"""Types of what is known of each object: int64, float32 or bool."""


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


OBJECTS = "objects"
"""What data sets call the field, whatever their format."""

"""Masks that say what each pixel of an image shows, or each cell of pixels."""

import dataclasses

import numpy as np

from vmixjax.data.words import words
from vmixjax.errors import ImageError

NOTHING = 255
"""What many masks have where nothing is said of a pixel, whatever their classes."""

_NAMES = frozenset(
    {"mask", "masks", "segmentation", "segmentations", "seg", "labelmap", "trimap"}
)


@dataclasses.dataclass(frozen=True)
class Mask:
    """A field that holds the class of each cell of an image, uint8 (h, w).

    Attributes:
      count: How many classes there are, where that is known.
      names: Their names, where they are known.
      cells: Side of a cell in pixels of the image; 1 for single pixels.
    """

    count: int | None = None
    names: tuple[str, ...] | None = None
    cells: int = 1


def names_mask(name: str) -> bool:
    """Tells whether a field has the name of a mask of classes.

    >>> names_mask("segmentation_mask"), names_mask("label_map"), names_mask("depth")
    (True, True, False)
    """
    found = words(name)
    return not _NAMES.isdisjoint(found) or {"label", "map"} <= set(found)


def mask_shape(height: int, width: int, cells: int) -> tuple[int, int]:
    """Gives the size of the mask of an image: whole cells, the last may reach out."""
    return -(-height // cells), -(-width // cells)


def check_mask(
    mask: np.ndarray, field: Mask, height: int, width: int, name: str
) -> np.ndarray:
    """Gives back the mask of an image, if it is such.

    Args:
      mask: The mask, uint8 (h, w).
      field: What is promised of it.
      height: Height of the image.
      width: Width of the image.
      name: Name of the image, and of the mask, in complaints.

    Raises:
      ImageError: It has another size than the image, or a class that there is not.
    """
    expected = mask_shape(height, width, field.cells)
    if mask.shape != expected:
        rows, columns = mask.shape
        cells = f" in cells of {field.cells}" if field.cells > 1 else ""
        raise ImageError(
            f"{name} is {rows} x {columns}, and its image {height} x {width}{cells}, "
            f"where a mask is {expected[0]} x {expected[1]}; make them fit"
        )
    if field.count is not None:
        strange = (mask >= field.count) & (mask != NOTHING)
        if strange.any():
            row, column = np.unravel_index(int(strange.argmax()), mask.shape)
            raise ImageError(
                f"{name} has {mask[row, column]} in row {row}, column {column}, which "
                f"is no class, of {field.count}; mend that, or use {NOTHING} where "
                f"nothing is said"
            )
    return mask

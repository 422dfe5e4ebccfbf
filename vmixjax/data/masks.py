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

_UNSAID = frozenset({"void", "unlabelled", "unlabeled", "ignore", "ignored"})
"""Words for classes of pixels of which nothing is said."""

_MOST_CELLS = 2**16
"""Pixels of the side of a cell, as of a tile."""

_CLASSES = 256
"""Numbers that 8 bits have."""


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


def find_cells(size: tuple[int, int], mask: tuple[int, int]) -> int:
    """Finds the side of the cells of a mask, from its size and that of its image.

    Returns:
      The side in pixels; 1 where the mask is of no cells of the image.
    """
    least = max(1, -(-size[0] // max(1, mask[0])))
    most = min(max(least, size[0] // max(1, mask[0] - 1)), _MOST_CELLS)
    fit = [n for n in range(least, most + 1) if mask_shape(*size, n) == mask]
    whole = [n for n in fit if size[0] % n == size[1] % n == 0]
    # Of small images that were cut back, several fit: most tiles are powers of 2.
    powers = [n for n in fit if n & (n - 1) == 0]
    return next(iter([*whole, *powers, *fit]), 1)


def resize_mask(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Gives a mask as its image was padded, by its edge, or cut, at right and bottom.

    Args:
      mask: The mask, (h, w).
      shape: Height and width that it shall have.
    """
    cut = mask[: shape[0], : shape[1]]
    more = [(0, new - old) for new, old in zip(shape, cut.shape, strict=True)]
    return np.pad(cut, more, mode="edge")


def to_cells(mask: np.ndarray, field: Mask, side: int) -> np.ndarray:
    """Gives the class that most of each cell has, the smaller of two that tie.

    Pixels of which nothing is said count only where nothing is said of the whole cell.

    Args:
      mask: The mask, uint8 (h, w), both multiples of the side.
      field: What is known of its classes.
      side: Side of a cell.

    Returns:
      uint8 (h // side, w // side).
    """
    rows, columns = mask.shape[0] // side, mask.shape[1] // side
    unsaid = unsaid_classes(field)
    cells = np.empty((rows, columns), np.uint8)
    # Where in the counts of a row of cells those of each pixel's cell begin.
    begin = np.repeat(np.arange(columns) * _CLASSES, side)
    for row in range(rows):
        strip = mask[row * side : (row + 1) * side]
        counts = np.bincount((begin + strip).ravel(), minlength=columns * _CLASSES)
        counts = counts.reshape(columns, _CLASSES)
        said = counts.copy()
        said[:, unsaid] = 0
        nothing = ~said.any(axis=1)
        said[nothing] = counts[nothing]
        cells[row] = said.argmax(axis=1)
    return cells


def unsaid_classes(field: Mask) -> list[int]:
    """Gives the numbers of those classes that say nothing of a pixel."""
    found = [
        number
        for number, name in enumerate(field.names or ())
        if not _UNSAID.isdisjoint(words(name))
    ]
    # Where classes are not known, any number may be one.
    beyond = field.count is not None and field.count <= NOTHING
    return [*found, NOTHING] if beyond else found

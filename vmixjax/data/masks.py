"""Masks that say what each pixel of an image shows, or each cell of pixels."""

import dataclasses


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

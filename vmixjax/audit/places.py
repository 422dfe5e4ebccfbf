"""What belongs to places in an audit's images: boxes of objects, classes of pixels."""

import dataclasses
import hashlib
from collections.abc import Sequence

import numpy as np
from PIL import Image

from vmixjax.data import Boxes, Mask, Objects, square
from vmixjax.dense.masks import IGNORED, known_classes, mask_classes

_LEFT = 0.25
"""Share of a box that must still be in what was cut out; else it is gone."""


@dataclasses.dataclass(frozen=True)
class ObjectsThere:
    """The objects in each of N images.

    Attributes:
      boxes: Those of each.
      classes: Names of their classes, by number.
    """

    boxes: tuple[Boxes, ...]
    classes: tuple[str, ...]

    @classmethod
    def of(cls, found: Sequence[Boxes], field: Objects) -> "ObjectsThere":
        """Takes boxes of images, as they were cut; classes without names are counted.

        Args:
          found: Of each image.
          field: What is known of them.
        """
        highest = max(int(one.labels.max(initial=-1)) for one in found)
        names = field.names or tuple(map(str, range(highest + 1)))
        return cls(tuple(found), names)

    def part(self, where: np.ndarray) -> "ObjectsThere":
        """Those of some images, by number."""
        return ObjectsThere(tuple(self.boxes[i] for i in where), self.classes)

    def digest(self) -> bytes:
        """Tells them from others."""
        digest = hashlib.sha256(repr(self.classes).encode())
        for one in self.boxes:
            digest.update(repr(len(one)).encode())
            digest.update(one.corners.tobytes() + one.labels.tobytes())
        return digest.digest()


@dataclasses.dataclass(frozen=True)
class Masks:
    """The classes of the pixels of N images.

    Attributes:
      pixels: uint8 (N, S, S); `vmixjax.dense.masks.IGNORED` where none is known.
      classes: Their names, by number.
    """

    pixels: np.ndarray
    classes: tuple[str, ...]

    @classmethod
    def of(cls, found: Sequence[np.ndarray], field: Mask) -> "Masks":
        """Takes masks of images, as they were cut; classes without names are counted.

        Args:
          found: Of each image.
          field: What is known of them.
        """
        pixels = np.stack(found)
        known = pixels[pixels != IGNORED]
        counted = tuple(map(str, range(int(known.max(initial=0)) + 1)))
        return cls(pixels, mask_classes(field) or counted)

    def part(self, where: np.ndarray) -> "Masks":
        """Those of some images, by number."""
        return Masks(self.pixels[where], self.classes)

    def digest(self) -> bytes:
        """Tells them from others."""
        text = repr((self.classes, self.pixels.shape)).encode()
        return hashlib.sha256(text + self.pixels.tobytes()).digest()


def cut_boxes(boxes: Boxes, size: tuple[int, ...]) -> Boxes:
    """Cuts the boxes of an image to the square in its middle.

    Those of which little is left are gone.

    Args:
      boxes: Those of the image.
      size: Height and width of the image.

    Returns:
      The boxes, as shares of the square.
    """
    side, shape = min(size), np.tile(size, 2)
    moved = (boxes.corners.astype(np.float64) * shape - (shape - side) / 2) / side
    cut = np.clip(moved, 0, 1)
    left, whole = (np.prod(one[:, 2:] - one[:, :2], axis=1) for one in (cut, moved))
    stays = (left > 0) & (left >= _LEFT * whole)
    return Boxes(cut[stays].astype(np.float32), boxes.labels[stays])


def cut_mask(
    mask: np.ndarray, field: Mask, size: tuple[int, ...], side: int
) -> np.ndarray:
    """Brings the middle of a mask to a square, as `square` does its image.

    Args:
      mask: uint8 (h, w), in cells as the field says.
      field: What is known of it.
      size: Height and width of the image.
      side: Side of the square in pixels.

    Returns:
      uint8 (side, side): the nearest pixels, their classes those of `mask_classes`.
    """
    for axis in (0, 1):
        mask = np.repeat(mask, field.cells, axis)
    # The last cells may reach out of the image.
    height, width = size
    pixels = known_classes(mask[:height, :width], field)
    return square(pixels[..., None], side, Image.Resampling.NEAREST)[..., 0]

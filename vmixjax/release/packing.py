"""Images of any sizes, packed into arrays of one shape.

What is compiled knows no image's size, or a folder of photographs would be compiled for
as often as it has sizes. Nothing that is done to an image looks beyond a tile, so tiles
of any images, and parts of large ones, lie side by side in a pack, each with what tells
whose it is and where it lay.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

_ROW_VALUES = 768
"""Along a row of a pack, at least: enough for vector units, few to fill up."""

_LEAST_ROWS = 2
"""Rows of a pack; of one, nothing would be put in memory, see `_shuffle.apply`."""


@dataclasses.dataclass(frozen=True)
class Layout:
    """How packs of some images are laid out.

    A pack holds pieces, each of the same number of tiles, side by side: as many of them
    as are worked on at a time. In memory, what lies in its rows of tiles follows each
    other, so that a piece of an image, of whatever height, is copied at once.

    Attributes:
      tile_size: Side T of a tile.
      channels: Channels C of all images.
      dtype: Type of their values.
      together: Tiles of a piece.
      size: Values of a pack, about.
    """

    tile_size: int
    channels: int
    dtype: np.dtype
    together: int
    size: int

    @property
    def length(self) -> int:
        """Values along a piece."""
        return self.together * self.tile_size * self.channels

    @property
    def abreast(self) -> int:
        """Pieces along a row of a pack."""
        return max(1, -(-_ROW_VALUES // self.length))

    @property
    def rows(self) -> int:
        """Rows of tiles that a pack has."""
        row = self.abreast * self.length * self.tile_size
        return max(_LEAST_ROWS, self.size // row)

    @property
    def pieces(self) -> int:
        """Pieces that a pack has room for."""
        return self.rows * self.abreast

    def count_along(self, image: np.ndarray) -> int:
        """Tells how many pieces each row of tiles of an image is cut into."""
        return -(-image.shape[1] // (self.together * self.tile_size))

    def count(self, image: np.ndarray) -> int:
        """Tells how many pieces an image is cut into."""
        return image.shape[0] // self.tile_size * self.count_along(image)


class Part(NamedTuple):
    """A part of an image that lies in a pack.

    Attributes:
      image: Number of the image.
      start, stop: Its pieces, row of tiles after row of tiles.
      slot: Where the first of them lies in the pack.
    """

    image: int
    start: int
    stop: int
    slot: int

    @property
    def slots(self) -> slice:
        """Where all of them lie."""
        return slice(self.slot, self.slot + self.stop - self.start)


def share_out(images: Sequence[np.ndarray], layout: Layout) -> Iterator[list[Part]]:
    """Shares images out among packs, in order: which parts lie in each."""
    parts: list[Part] = []
    slot = 0
    for number, image in enumerate(images):
        start, count = 0, layout.count(image)
        while start < count:
            stop = min(count, start + layout.pieces - slot)
            parts.append(Part(number, start, stop, slot))
            slot += stop - start
            start = stop
            if slot == layout.pieces:
                yield parts
                parts, slot = [], 0
    if parts:
        yield parts


def pack(
    parts: Sequence[Part], images: Sequence[np.ndarray], layout: Layout
) -> np.ndarray:
    """Lays parts of images (H, W, C) out as a pack: (T, pieces * length of a piece)."""
    values = np.zeros((layout.tile_size, layout.pieces * layout.length), layout.dtype)
    for part in parts:
        for inside, outside in _views(part, values, images[part.image], layout):
            inside[...] = outside
    return values


def unpack(
    values: np.ndarray,
    parts: Sequence[Part],
    images: Sequence[np.ndarray],
    layout: Layout,
) -> None:
    """Writes what lies in a pack into the images that its parts are of."""
    for part in parts:
        for inside, outside in _views(part, values, images[part.image], layout):
            outside[...] = inside


def places(
    parts: Sequence[Part], images: Sequence[np.ndarray], layout: Layout
) -> tuple[np.ndarray, np.ndarray]:
    """Tells of each slot of a pack which row of tiles it is of, and its first tile.

    Returns:
      Both uint32 (pieces,); 0 where nothing lies.
    """
    row, first = np.zeros((2, layout.pieces), np.uint32)
    for part in parts:
        number = np.arange(part.start, part.stop, dtype=np.uint32)
        along = layout.count_along(images[part.image])
        row[part.slots] = number // along
        first[part.slots] = number % along * layout.together
    return row, first


def pack_tiles(tiles: np.ndarray, layout: Layout) -> np.ndarray:
    """Gives what each tile of an image has, (H // T, W // T), piece by piece.

    Returns:
      (pieces of the image, tiles of a piece); 0 for tiles that are beyond the image.
    """
    missing = -tiles.shape[1] % layout.together
    return np.pad(tiles, [(0, 0), (0, missing)]).reshape(-1, layout.together)


def unpack_tiles(pieces: np.ndarray, image: np.ndarray, layout: Layout) -> np.ndarray:
    """Inverts `pack_tiles`: (pieces, tiles of a piece, ...) -> (H // T, W // T, ...)."""
    rows, columns = (side // layout.tile_size for side in image.shape[:2])
    return pieces.reshape(rows, -1, *pieces.shape[2:])[:, :columns]


def _views(
    part: Part, values: np.ndarray, image: np.ndarray, layout: Layout
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Views of a part, in a pack and in its image: (T, rows of tiles, values along)s."""
    tile, length = layout.tile_size, layout.length
    lines = image.reshape(-1, tile, image.shape[1] * layout.channels)
    along = layout.count_along(image)
    slot, start = part.slot, part.start
    while start < part.stop:
        row, first = divmod(start, along)
        rows = 1 if first else max(1, (part.stop - start) // along)
        pieces = min(along - first, (part.stop - start))
        there = lines[row : row + rows, :, first * length : (first + pieces) * length]
        count = rows * pieces
        here = values[:, slot * length : (slot + count) * length]
        here = here.reshape(tile, rows, pieces * length)[..., : there.shape[2]]
        yield here, there.swapaxes(0, 1)
        slot, start = slot + count, start + count

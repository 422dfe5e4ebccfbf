"""What undoes one mixing, and the bytes that a vault seals of it."""

import dataclasses
import functools
import json
import zlib
from typing import Annotated

import msgspec
import numpy as np

from vmixjax.config import MixConfig
from vmixjax.data.bounded import parse_json
from vmixjax.release.schema import Config, Count

_MOST_BYTES = 2**30
"""Of levels and values together."""

_LENGTH = 4
"""Bytes that say how long the head is."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """What undoes one mixing.

    Attributes:
      identity: Id that the key is derived from, with the secret.
      output: What the mixed image is called in its release.
      source: Id of the original in the data set that was mixed.
      restored: What the restored image is called.
      config: What the levels mean.
      levels: uint8 (H // T, W // T), the plan.
      height, width: Size of the original, before it was padded or cropped.
      channels: Channels of the original; the mixed image may have more, see `to_form`.
      rest: Values that cropping took away.
      texts: Fields that the release has numbers for, as they were.
      folder: Folder that the restored image belongs into, such as its class.
      belongings: SHA-256 of what the release has beside the image, such as its label.
      mixed_from: Digest of the source that was mixed; see `Fingerprint`.
      kept: Fields as they were that the release has otherwise; see `lost`.
    """

    identity: bytes
    output: str
    source: str
    restored: str
    config: MixConfig
    levels: np.ndarray
    height: int
    width: int
    channels: int
    rest: bytes
    texts: dict[str, str] = dataclasses.field(default_factory=dict)
    folder: str = ""
    belongings: str = ""
    mixed_from: str = ""
    kept: dict[str, bytes] = dataclasses.field(default_factory=dict)

    def fits(self, mixed: np.ndarray) -> bool:
        """Tells whether it can be of a mixed image (H, W, C), which sizes follow from.

        The original was padded to whole tiles, or cropped to them: by less than a tile.
        """
        tile = self.config.tile_size
        rows, columns = mixed.shape[:2]
        if rows % tile or columns % tile:
            return False
        height, width = self.height, self.width
        padded = rows - tile < height <= rows and columns - tile < width <= columns
        cropped = rows <= height < rows + tile and columns <= width < columns + tile
        left = 0 if padded else height * width - rows * columns
        return (
            (padded or cropped)
            and self.channels in (1, mixed.shape[2])
            and self.levels.shape == (rows // tile, columns // tile)
            and int(self.levels.max()) <= len(self.config.ladder)
            and len(self.rest) == left * mixed.shape[2] * mixed.itemsize
        )

    def encode(self) -> bytes:
        """Gives the bytes that `decode` makes the same entry of."""
        head = _Head(
            identity=self.identity,
            output=name_bytes(self.output),
            source=name_bytes(self.source),
            restored=name_bytes(self.restored),
            folder=name_bytes(self.folder),
            config=_as_json(self.config),
            levels=(self.levels.shape[0], self.levels.shape[1]),
            height=self.height,
            width=self.width,
            channels=self.channels,
            rest=len(self.rest),
            texts={name: name_bytes(text) for name, text in self.texts.items()},
            belongings=self.belongings,
            mixed_from=self.mixed_from,
            kept=self.kept,
        )
        text = json.dumps(msgspec.to_builtins(head)).encode()
        values = zlib.compress(self.levels.tobytes() + self.rest)
        return len(text).to_bytes(_LENGTH, "little") + text + values

    @classmethod
    def decode(cls, data: bytes) -> "Entry":
        """Makes an entry of what `encode` gave.

        Raises:
          TypeError, ValueError, OverflowError, zlib.error: It is damaged.
        """
        end = _LENGTH + int.from_bytes(data[:_LENGTH], "little")
        head = parse_json(data[_LENGTH:end], _Head)
        rows, columns = head.levels
        size = rows * columns + head.rest
        # No more is inflated than there should be.
        values = zlib.decompressobj().decompress(data[end:], size + 1)
        if len(values) != size or size > _MOST_BYTES:
            raise ValueError("its values are too few or too many")
        levels = np.frombuffer(values[: rows * columns], np.uint8)
        return cls(
            identity=head.identity,
            output=bytes_name(head.output),
            source=bytes_name(head.source),
            restored=bytes_name(head.restored),
            config=MixConfig(**msgspec.structs.asdict(head.config)),
            levels=levels.reshape(rows, columns),
            height=head.height,
            width=head.width,
            channels=head.channels,
            rest=values[rows * columns :],
            texts={name: bytes_name(text) for name, text in head.texts.items()},
            folder=bytes_name(head.folder),
            belongings=head.belongings,
            mixed_from=head.mixed_from,
            kept=head.kept,
        )


class _Head(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What is sealed of an entry, but for its levels and the rest; names as bytes."""

    identity: bytes
    output: bytes
    source: bytes
    restored: bytes
    folder: bytes
    config: Config
    levels: tuple[Count, Count]
    height: Annotated[int, msgspec.Meta(ge=1, le=2**31)]
    width: Annotated[int, msgspec.Meta(ge=1, le=2**31)]
    channels: Annotated[int, msgspec.Meta(ge=1, le=2**16)]
    rest: Count
    texts: dict[str, bytes]
    belongings: str
    mixed_from: str
    kept: dict[str, bytes] = {}


@functools.cache
def _as_json(config: MixConfig) -> Config:
    return Config(config.tile_size, config.ladder, config.channels)


def name_bytes(name: str) -> bytes:
    """Gives the bytes of a name of a file, which need not be text."""
    return name.encode("utf-8", "surrogateescape")


def bytes_name(name: bytes) -> str:
    """Gives the name of so many bytes; see `name_bytes`."""
    return name.decode("utf-8", "surrogateescape")

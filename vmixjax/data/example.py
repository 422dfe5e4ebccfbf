"""One image of a data set with what belongs to it, and what kinds of that there are."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np

from vmixjax.data.room import Claim, at_once


@dataclasses.dataclass(frozen=True)
class Label:
    """A field that holds the number of a class.

    Attributes:
      names: of the classes, where they are known.
    """

    names: tuple[str, ...] | None = None


@dataclasses.dataclass(frozen=True)
class Text:
    """A field that holds text.

    Attributes:
      naming: whether it names the image, and so perhaps somebody.
    """

    naming: bool = False


@dataclasses.dataclass(frozen=True)
class Raw:
    """A field that only TFDS can make sense of.

    Attributes:
      feature: its `tfds.features.FeatureConnector`.
    """

    feature: Any


Field: TypeAlias = Label | Text | Raw


@dataclasses.dataclass(frozen=True)
class Example:
    """One image and what belongs to it.

    Attributes:
      name: its id in the source; no two have the same.
      folder: path of the folder that it belongs into, such as its class.
      stem: what a release that keeps names calls it, without a suffix.
      image: uint8 or uint16 (H, W, C).
      values: int for a `Label`, str for a `Text`; for a `Raw` field a mapping from
        names to features of a `tf.train.Example`.
    """

    name: str
    folder: str
    stem: str
    image: np.ndarray
    values: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Pixels:
    """What all images of a data set have in common.

    Attributes:
      shape: (H, W, C); None where they differ.
      dtype: of the values.
    """

    shape: tuple[int | None, int | None, int]
    dtype: np.dtype[Any]


class Source(Protocol):
    """A data set that is read by number, from many threads at once."""

    name: str
    """For data set files; says nothing of where it lies."""
    splits: Mapping[str, int]
    """How many examples each split has."""
    fields: Mapping[str, Field]
    """What belongs to each image."""
    pixels: Pixels | None
    """What is known of the images beforehand."""
    places: Sequence[Path]
    """Files and folders that it is read from."""

    def read(self, split: str, index: int, claim: Claim = at_once) -> Example:
        """One example.

        Args:
          split: its split.
          index: its number there.
          claim: asks for the room that its image takes, before that is decoded.

        Raises:
          ImageError: it is unfit; the others may be fine.
          RunError: the source is no longer what it was.
          NoRoom: what `claim` raises.
        """
        ...

    def candidates(self, name: str) -> Iterator[tuple[str, int]]:
        """Splits and numbers that an example may have, the likeliest first."""
        ...

    def extras(self, split: str, index: int) -> Iterator[str]:
        """What one example carries in a release beyond what it should, in words."""
        ...

    def loose(self) -> Iterator[str]:
        """What lies in files of a release outside of all examples, in words."""
        ...

    def traces(self) -> Iterator[str]:
        """What tells this source from another or from itself, changed."""
        ...


def numbered_candidates(
    name: str, splits: Mapping[str, int]
) -> Iterator[tuple[str, int]]:
    """Where an example may be that ends in a number.

    Where images were left out, those behind them are further to the front than their
    numbers say.
    """
    last = name.rpartition("/")[2]
    for split, count in splits.items():
        start = min(int(last), count - 1) if last.isdecimal() else -1
        yield from ((split, index) for index in range(start, -1, -1))
        yield from ((split, index) for index in range(start + 1, count))

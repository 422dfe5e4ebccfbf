"""One image of a data set, what belongs to it, and what such are read from."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from vmixjax.data.codecs.codec import Small
from vmixjax.data.masks import Mask
from vmixjax.data.objects import Objects
from vmixjax.data.room import Claim, at_once


@dataclasses.dataclass(frozen=True)
class Label:
    """A field that holds the number of a class.

    Attributes:
      names: Names of the classes, where they are known.
    """

    names: tuple[str, ...] | None = None


@dataclasses.dataclass(frozen=True)
class Text:
    """A field that holds text.

    Attributes:
      naming: Whether it names the image, and so perhaps somebody.
    """

    naming: bool = False


@dataclasses.dataclass(frozen=True)
class Probabilities:
    """A field that holds the probability of each class, as a network gives them.

    Attributes:
      count: How many classes there are.
      names: Their names, where they are known.
      origin: SHA-256 of the file that they are read from, where that is none of the
        data set.
    """

    count: int
    names: tuple[str, ...] | None = None
    origin: str | None = None


@dataclasses.dataclass(frozen=True)
class Raw:
    """A field that only TFDS can make sense of.

    Attributes:
      feature: Its `tfds.features.FeatureConnector`.
      placed: Whether it holds places in the image, or what is as large as it is.
    """

    feature: Any
    placed: bool = False


Field: TypeAlias = Label | Text | Probabilities | Objects | Mask | Raw


def class_field(fields: Mapping[str, Field]) -> str | None:
    """Names the field that holds the class; None where there is none."""
    labels = (name for name, field in fields.items() if isinstance(field, Label))
    return next(labels, None)


@dataclasses.dataclass(frozen=True)
class Example:
    """One image and what belongs to it.

    Attributes:
      name: Id in the source; no two examples have the same.
      folder: Path of the folder that it belongs into, such as its class.
      stem: Path, without a suffix, in a release that keeps names.
      image: uint8 or uint16 (H, W, C).
      values: For each field an int (`Label`), a str (`Text`), float32 (C,)
        (`Probabilities`), `Boxes` (`Objects`), uint8 (h, w) (`Mask`), or a mapping from
        names to features of a `tf.train.Example` (`Raw`).
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
      dtype: Type of the values.
    """

    shape: tuple[int | None, int | None, int]
    dtype: np.dtype[Any]


@dataclasses.dataclass(frozen=True)
class Schema:
    """What a data set holds.

    Attributes:
      name: Name of the data set, where its format has one.
      fields: What belongs to each image, by name.
      pixels: What all images have in common, where that is known.
    """

    name: str
    fields: Mapping[str, Field]
    pixels: Pixels | None


class Trace(NamedTuple):
    """A file of a source, and what tells it from itself once changed.

    Attributes:
      split: Split that its examples are in.
      name: Path or name of the file, the same wherever the source lies.
      start, stop: Numbers of its examples there.
      size: Its size in bytes.
      time: When it was last changed, in nanoseconds.
    """

    split: str
    name: str
    start: int
    stop: int
    size: int
    time: int

    @classmethod
    def of(cls, path: Path, split: str, name: str, start: int, stop: int) -> "Trace":
        """Makes the trace of a file, which may be gone by now."""
        try:
            status = path.stat()
        except OSError:
            return cls(split, name, start, stop, 0, 0)
        return cls(split, name, start, stop, status.st_size, status.st_mtime_ns)


class Source(Protocol):
    """Reads a data set by number, from many threads at once."""

    name: str
    """Name for the files of a data set; says nothing of where it lies."""
    splits: Mapping[str, int]
    """How many examples each split has."""
    fields: Mapping[str, Field]
    """What belongs to each image, by name."""
    pixels: Pixels | None
    """What is known of the images beforehand."""
    places: Sequence[Path]
    """Files and folders that it is read from."""

    def read(self, split: str, index: int, claim: Claim = at_once) -> Example:
        """Reads one example.

        Args:
          split: Split that it is in.
          index: Number of the example there.
          claim: Asks for the room that its image takes, before that is decoded.

        Raises:
          ImageError: It is unfit; the others may be fine.
          RunError: The source is no longer what it was.
          NoRoom: What `claim` raises.
        """
        ...

    def look(
        self, split: str, index: int, enough: int, claim: Claim = at_once
    ) -> Small:
        """Reads an image at a fraction of its size, where that is cheaper.

        Args:
          split: As of `read`.
          index: As of `read`.
          enough: Longer side in pixels that is enough.
          claim: As of `read`.

        Raises:
          ImageError, RunError, NoRoom: As of `read`.
        """
        del enough
        image = self.read(split, index, claim).image
        return Small(image, *image.shape[:2])

    def name_of(self, split: str, index: int) -> str:
        """Gives the name that an example has, as of `Example.name`, unread if it can.

        Raises:
          ImageError, RunError: As of `read`.
        """
        return self.read(split, index).name

    def values(self, split: str, index: int) -> Mapping[str, Any]:
        """Reads what belongs to an image, as of `Example.values`, but not the image.

        Raises:
          ImageError: It is unfit; that of others may be fine.
          RunError: The source is no longer what it was.
        """
        ...

    def candidates(self, name: str) -> Iterator[tuple[str, int]]:
        """Lists splits and numbers that an example may have, the likeliest first.

        By default those of a name that ends in a number. Where images were left out,
        those behind them are further to the front than their numbers say.
        """
        last = name.rpartition("/")[2]
        for split, count in self.splits.items():
            start = min(int(last), count - 1) if last.isdecimal() else -1
            yield from ((split, index) for index in range(start, -1, -1))
            yield from ((split, index) for index in range(start + 1, count))

    def extras(self, split: str, index: int) -> Iterator[str]:
        """Says in words what an example of a release carries beyond what it should."""
        ...

    def loose(self) -> Iterator[str]:
        """Says in words what lies in a release outside of all examples."""
        yield from ()

    def remarks(self) -> Iterator[str]:
        """Says in words what its owner should know of it before it is used."""
        yield from ()

    def left_out(self) -> Iterator[str]:
        """Says in words what of it is none of its examples, and so not used.

        Such as boxes of images that there are not. It counts as images that are unfit.
        """
        yield from ()

    def traces(self) -> Iterator[Trace]:
        """Lists its files: they tell it from others, and from itself once changed."""
        ...

"""Examples to learn from and for tests: images, and what is to be learned of them."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import jax
import numpy as np
from tqdm import tqdm

from vmixjax.data import Source, eight_bits, read_image, without_alpha
from vmixjax.data.probabilities import SOFT_LABEL
from vmixjax.errors import ImageError, RunError

Split = Literal["train", "test"]

_LOOKED_AT = 64
"""Images that tell whether a data set, whose first one is grey, has colours."""


class Examples(Protocol):
    """Images, uint8 (H, W, C), with what is to be learned of each.

    That is the number of its class, `Boxes`, or a mask: as of `Example.values`.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[np.ndarray, Any]: ...


class Labelled(NamedTuple):
    """Examples to learn from, or for tests.

    Attributes:
      examples: The examples.
      classes: Names of the classes.
      origin: What people call the split that they come from.
      splits: How many images each split of the data set has.
      soft_labels: Reads a teacher's probabilities, float32 (N, classes), where there
        are any.
    """

    examples: Examples
    classes: tuple[str, ...]
    origin: str
    splits: Mapping[str, int]
    soft_labels: Callable[[], np.ndarray] | None = None


@dataclasses.dataclass(frozen=True)
class Arrays:
    """Examples in memory: uint8 (N, H, W, C), and a value for each."""

    images: np.ndarray
    values: Sequence[Any]

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: int) -> tuple[np.ndarray, Any]:
        return self.images[index], self.values[index]


def read_pixels(path: Path, channels: int) -> np.ndarray:
    """Reads an image file as (H, W, channels) uint8; grey may become colour.

    Raises:
      RunError: It cannot be read, or has colours where none are expected.
    """
    try:
        return with_channels(read_image(path), channels, str(path))
    except ImageError as error:
        raise RunError(str(error)) from error


class Part(NamedTuple):
    """A split of a source.

    Attributes:
      source: The source.
      split: Name of the split in it.
      where: What complaints call the place that its images are in.
      field: Field that holds what is learned; empty where that is known otherwise.
    """

    source: Source
    split: str
    where: str
    field: str = ""


@dataclasses.dataclass(frozen=True)
class Read:
    """Examples that are read when they are asked for.

    Attributes:
      parts: Where they come from.
      rows: Part of each example and its number there, (N, 2).
      labels: Number of the class of each, (N,); None where the source has what is
        learned.
      channels: Channels that all images get; None where the source sees to that.
    """

    parts: Sequence[Part]
    rows: np.ndarray
    labels: np.ndarray | None = None
    channels: int | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[np.ndarray, Any]:
        part, number = self.rows[index]
        source, split, where, field = self.parts[part]
        try:
            example = source.read(split, int(number))
        except ImageError as error:
            raise RunError(str(error)) from error
        image = eight_bits(example.image)
        if self.channels is not None:
            image = with_channels(image, self.channels, f"{where}/{example.name}")
        if self.labels is None:
            return image, example.values[field]
        return image, int(self.labels[index])

    def soft_labels(self) -> np.ndarray:
        """Reads those of all examples, (N, classes), and not the images."""
        found = values_of(self.parts, self.rows, SOFT_LABEL, "soft labels")
        return np.asarray(found, np.float32)


def rows_of(parts: Sequence[Part]) -> np.ndarray:
    """All examples of some parts, see `Read.rows`."""
    counts = [part.source.splits[part.split] for part in parts]
    numbers = np.concatenate([np.arange(count) for count in counts])
    return np.stack([np.repeat(np.arange(len(parts)), counts), numbers], axis=1)


def alike(
    parts: Sequence[Part],
    labels: np.ndarray | None,
    held_out: Split | None,
    training: Sequence[Part],
) -> Read:
    """Examples of parts, or the share of a split in them; grey where training is.

    Without labels, which is where what is learned is no class, shares are of all.
    """
    rows, channels = rows_of(parts), _channels(training)
    if held_out:
        of = np.zeros(len(rows)) if labels is None else labels
        chosen = _tenths(of) == (held_out == "test")
        rows, labels = rows[chosen], None if labels is None else labels[chosen]
    return Read(parts, rows, labels, channels)


def _channels(parts: Sequence[Part]) -> int:
    """Channels that all images get: those of colours where any of some has them."""
    rows = rows_of(parts)
    read = Read(parts, rows, np.zeros(len(rows)))
    # Usually the first one tells.
    places = np.linspace(0, len(rows) - 1, min(len(rows), _LOOKED_AT)).astype(int)
    return 3 if any(read[place][0].shape[2] > 2 for place in places) else 1


def _tenths(labels: np.ndarray) -> np.ndarray:
    """Which are the first, the eleventh and so on of a class that has others."""
    chosen = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        places = np.flatnonzero(labels == label)
        chosen[places[::10]] = len(places) > 1
    return chosen


def with_channels(image: np.ndarray, channels: int, name: str) -> np.ndarray:
    """Brings an image (H, W, C) to uint8 and so many channels; grey may become colour.

    Raises:
      RunError: It has colours where none are expected.
    """
    image = without_alpha(eight_bits(image))
    if image.shape[2] > channels:
        raise RunError(f"{name} has colours where the others are grey; make it grey")
    return np.repeat(image, channels // image.shape[2], -1)


def labels_of(parts: Sequence[Part]) -> np.ndarray:
    """Reads the labels of the images of a source's parts, and not the images."""
    labels = values_of(parts, rows_of(parts), parts[0].field, "labels")
    if min(labels, default=0) < 0:
        raise RunError(
            f"{parts[0].where} has the label {min(labels)}: number the classes from 0 "
            f"on"
        )
    return np.asarray(labels, np.int64)


def values_of(
    parts: Sequence[Part], rows: np.ndarray, field: str, told: str
) -> list[Any]:
    """Reads a field of all examples in `rows`, and not the images; `told` to people."""
    bar = tqdm(
        rows.tolist(),
        desc=f"reading {told}",
        unit="image",
        disable=jax.process_index() > 0,
        delay=1,
    )
    try:
        return [
            parts[part].source.values(parts[part].split, number)[field]
            for part, number in bar
        ]
    except ImageError as error:
        raise RunError(str(error)) from error

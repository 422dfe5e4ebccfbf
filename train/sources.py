"""Labelled images out of data sets of any format, and the digits.

Every data set is read through `vmixjax.data`. What is decided here is which of its
images are learned from, which are for tests, and which classes there are.
"""

import dataclasses
import difflib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import jax
import numpy as np
from tqdm import tqdm

from train.config import Data
from vmixjax.data import (
    FORMATS,
    Label,
    Source,
    eight_bits,
    find_files,
    open_source,
    read_image,
    without_alpha,
)
from vmixjax.data.digits import enlarged_digits
from vmixjax.errors import ImageError, RunError

Split = Literal["train", "test"]

_TESTS = ("test", "val", "validation")
"""Names of splits that are for tests, the first that there is."""

_LABELS = ("label", "cls")
"""Names of fields that hold the class."""


class Examples(Protocol):
    """Images, uint8 (H, W, C), with numbers of their classes."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]: ...


Labelled = tuple[Examples, tuple[str, ...]]
"""Examples, and the names of the classes."""


@dataclasses.dataclass(frozen=True)
class Arrays:
    """Examples in memory: uint8 (N, H, W, C) and integers (N,)."""

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return self.images[index], int(self.labels[index])


def open_examples(data: Data, split: Split) -> Labelled:
    """Opens a split of the data set that a config names.

    Where a data set has no splits, every tenth image of a class is for tests.

    Returns:
      Its images with their classes, and the names of the classes.

    Raises:
      RunError: The data set is unknown or not there, or lacks the split or classes.
    """
    if data.source == "digits":
        digits = enlarged_digits()[split == "test"]
        return Arrays(digits.images, digits.labels), tuple("0123456789")
    format, _, name = data.source.partition(":")
    if format not in FORMATS or not name:
        known = ", ".join(["digits", *(f"{known}:NAME" for known in FORMATS)])
        raise RunError(
            f"--data.source {data.source!r} is none of {known}{_nearest(data.source)}"
        )
    return _LAYOUTS.get(format, _by_labels)(data, name, split)


def read_pixels(path: Path, channels: int) -> np.ndarray:
    """Reads an image file as (H, W, channels) uint8; grey may become colour.

    Raises:
      RunError: It cannot be read, or has colours where none are expected.
    """
    try:
        return _with_channels(read_image(path), channels, str(path))
    except ImageError as error:
        raise RunError(str(error)) from error


class _Part(NamedTuple):
    """A split of a source.

    Attributes:
      source: The source.
      split: Name of the split in it.
      where: What complaints call the place that its images are in.
      field: Field that holds the class; empty where that is known otherwise.
    """

    source: Source
    split: str
    where: str
    field: str = ""


@dataclasses.dataclass(frozen=True)
class _Read:
    """Examples that are read when they are asked for.

    Attributes:
      parts: Where they come from.
      rows: Part of each example and its number there, (N, 2).
      labels: Number of the class of each, (N,); None where the source has it.
      channels: Channels that all images get; None where the source sees to that.
    """

    parts: Sequence[_Part]
    rows: np.ndarray
    labels: np.ndarray | None = None
    channels: int | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        part, number = self.rows[index]
        source, split, where, field = self.parts[part]
        try:
            example = source.read(split, int(number))
        except ImageError as error:
            raise RunError(str(error)) from error
        image = eight_bits(example.image)
        if self.channels is not None:
            image = _with_channels(image, self.channels, f"{where}/{example.name}")
        label = example.values[field] if self.labels is None else self.labels[index]
        return image, int(label)


def _rows(parts: Sequence[_Part]) -> np.ndarray:
    """All examples of some parts, see `_Read.rows`."""
    counts = [part.source.splits[part.split] for part in parts]
    numbers = np.concatenate([np.arange(count) for count in counts])
    return np.stack([np.repeat(np.arange(len(parts)), counts), numbers], axis=1)


def _alike(parts: Sequence[_Part], labels: np.ndarray, held_out: Split | None) -> _Read:
    """Examples of parts, or the share of a split in them; grey where the first is."""
    rows = _rows(parts)
    if held_out:
        chosen = _tenths(labels) == (held_out == "test")
        rows, labels = rows[chosen], labels[chosen]
    read = _Read(parts, rows, labels)
    if not len(read):
        return read
    return dataclasses.replace(read, channels=1 if read[0][0].shape[2] < 3 else 3)


def _tenths(labels: np.ndarray) -> np.ndarray:
    """Which are the first, the eleventh and so on of a class that has others."""
    chosen = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        places = np.flatnonzero(labels == label)
        chosen[places[::10]] = len(places) > 1
    return chosen


def _with_channels(image: np.ndarray, channels: int, name: str) -> np.ndarray:
    image = without_alpha(eight_bits(image))
    if image.shape[2] > channels:
        raise RunError(f"{name} has colours where the others are grey; make it grey")
    return np.repeat(image, channels // image.shape[2], -1)


def _by_labels(data: Data, name: str, split: Split) -> Labelled:
    """A data set whose images have labels, perhaps in splits."""
    source, field = _open_labelled(data, name)
    tests = [test for test in _TESTS if test in source.splits]
    # What tells of its images beforehand tells of its splits too.
    declared = source.pixels is not None
    for wanted, there in (("train", "train" in source.splits), ("test", bool(tests))):
        if not there and (declared or wanted == "train"):
            raise RunError(
                f"{name} has the splits {', '.join(source.splits)}, but no {wanted}"
            )
    training = _Part(source, "train", name, field)
    part = training._replace(split=tests[0]) if tests and split == "test" else training
    label = source.fields[field]
    names = label.names if isinstance(label, Label) else None
    if declared and names is not None:
        return _Read([part], _rows([part])), names
    classes, labels = np.unique(_labels(training), return_inverse=True)
    if part is not training:
        found = _labels(part)
        if len(unknown := np.setdiff1d(found, classes)):
            raise RunError(
                f"the split {part.split} of {name} has the class {unknown[0]}, which "
                f"train lacks"
            )
        labels = np.searchsorted(classes, found)
    told = tuple(names[number] if names else str(number) for number in classes)
    return _alike([part], labels, None if tests else split), told


def _open_labelled(data: Data, name: str) -> tuple[Source, str]:
    """Opens a source with the class as its only field; names that."""
    try:
        source = open_source(data.source, data_dir=data.data_dir, keep=None)
        field = next((field for field in _LABELS if field in source.fields), "")
        if not isinstance(source.fields.get(field), Label):
            raise RunError(
                f"{name} has the features {', '.join(['image', *source.fields])}; "
                f"image and label are needed, the label a class (cls in a WebDataset)"
            )
        # Others may be anything, and need not be read.
        others = sorted(source.fields.keys() - {field})
        if others:
            source = open_source(data.source, data_dir=data.data_dir, drop=others)
        return source, field
    except RunError as error:
        raise RunError(f"--data.source, --data.data-dir: {error}") from error


def _labels(part: _Part) -> np.ndarray:
    """Reads the labels of a part's images, and not the images."""
    source, split, where, field = part
    numbers = tqdm(
        range(source.splits[split]),
        desc="reading labels",
        unit="image",
        disable=jax.process_index() > 0,
        delay=1,
    )
    try:
        labels = [source.values(split, number)[field] for number in numbers]
    except ImageError as error:
        raise RunError(str(error)) from error
    if min(labels, default=0) < 0:
        raise RunError(
            f"{where} has the label {min(labels)}: number the classes from 0 on"
        )
    return np.asarray(labels, np.int64)


def _by_folders(data: Data, name: str, split: Split) -> Labelled:
    """Folders of classes, perhaps in folders of splits."""
    root = Path(name)
    if not root.is_dir():
        raise RunError(f"--data.source folder:{root}: there is no such folder")
    tests = [root / test for test in _TESTS if (root / test).is_dir()]
    whole = not ((root / "train").is_dir() and tests)
    top = root if whole else root / "train" if split == "train" else tests[0]
    named = root if whole else root / "train"
    classes = _subfolders(named)
    if not classes:
        raise RunError(f"{named} has no subfolders: make one for each class of images")
    parts, labels = [], []
    for label, folder in enumerate(top / name for name in classes):
        if not folder.is_dir() or next(find_files(folder), None) is None:
            raise RunError(f"{folder}, a class, has no images: fill or remove it")
        source = open_source(f"folder:{folder}")
        parts += [_Part(source, there, str(folder)) for there in source.splits]
        labels += [label] * sum(source.splits.values())
    unknown = set(_subfolders(top)) - set(classes)
    if unknown:
        raise RunError(f"{top} has the class {min(unknown)}, which {named} lacks")
    return _alike(parts, np.asarray(labels), split if whole else None), classes


def _subfolders(root: Path) -> tuple[str, ...]:
    names = [path.name for path in root.iterdir() if path.is_dir()]
    return tuple(sorted(name for name in names if not name.startswith(".")))


def _nearest(name: str) -> str:
    """What somebody may have meant by the name of a data set."""
    import tensorflow_datasets as tfds

    known = ["digits", *tfds.list_builders(with_community_datasets=False)]
    near = difflib.get_close_matches(name.removeprefix("tfds:"), known)
    meant = [one if one == "digits" else f"tfds:{one}" for one in near]
    return f"; did you mean {' or '.join(meant)}?" if meant else ""


_LAYOUTS: dict[str, Callable[[Data, str, Split], Labelled]] = {"folder": _by_folders}
"""How classes and splits lie in formats whose images have no labels of their own."""

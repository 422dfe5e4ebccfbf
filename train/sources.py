"""Labelled images out of data sets of any format, and the digits.

Every data set is read through `vmixjax.data`. What is decided here is which of its
images are learned from, which are for tests, and which classes there are.
"""

import dataclasses
import difflib
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import jax
import numpy as np
from tqdm import tqdm

from train.config import Data
from vmixjax.data import (
    FORMATS,
    Label,
    Probabilities,
    Source,
    eight_bits,
    find_files,
    open_source,
    read_image,
    without_alpha,
)
from vmixjax.data.digits import enlarged_digits
from vmixjax.data.probabilities import SOFT_LABEL
from vmixjax.data.splits import find_splits
from vmixjax.errors import ImageError, RunError

Split = Literal["train", "test"]

_TESTS = ("test", "valid", "validation", "val", "dev", "eval")
"""Names of splits that are for tests, the first that there is."""

_LOOKED_AT = 64
"""Images that tell whether a data set, whose first one is grey, has colours."""

_LABELS = ("label", "cls")
"""Names of fields that hold the class."""


class Examples(Protocol):
    """Images, uint8 (H, W, C), with numbers of their classes."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]: ...


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
      Its images with their classes.

    Raises:
      RunError: The data set is unknown or not there, or lacks the split or classes.
    """
    if data.source == "digits":
        both = enlarged_digits()
        counts = {"train": len(both[0].labels), "test": len(both[1].labels)}
        chosen = both[split == "test"]
        digits = Arrays(chosen.images, chosen.labels)
        return Labelled(digits, tuple("0123456789"), split, counts)
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
        return with_channels(read_image(path), channels, str(path))
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
            image = with_channels(image, self.channels, f"{where}/{example.name}")
        label = example.values[field] if self.labels is None else self.labels[index]
        return image, int(label)

    def soft_labels(self) -> np.ndarray:
        """Reads those of all examples, (N, classes), and not the images."""
        return np.asarray(
            [
                self.parts[part].source.values(self.parts[part].split, int(number))[
                    SOFT_LABEL
                ]
                for part, number in self.rows
            ],
            np.float32,
        )


def _rows(parts: Sequence[_Part]) -> np.ndarray:
    """All examples of some parts, see `_Read.rows`."""
    counts = [part.source.splits[part.split] for part in parts]
    numbers = np.concatenate([np.arange(count) for count in counts])
    return np.stack([np.repeat(np.arange(len(parts)), counts), numbers], axis=1)


def _alike(
    parts: Sequence[_Part],
    labels: np.ndarray,
    held_out: Split | None,
    training: Sequence[_Part],
) -> _Read:
    """Examples of parts, or the share of a split in them; grey where training is."""
    rows, channels = _rows(parts), _channels(training)
    if held_out:
        chosen = _tenths(labels) == (held_out == "test")
        rows, labels = rows[chosen], labels[chosen]
    return _Read(parts, rows, labels, channels)


def _channels(parts: Sequence[_Part]) -> int:
    """Channels that all images get: those of colours where any of some has them."""
    rows = _rows(parts)
    read = _Read(parts, rows, np.zeros(len(rows)))
    # Usually the first one tells.
    places = np.linspace(0, len(rows) - 1, min(len(rows), _LOOKED_AT)).astype(int)
    return 3 if any(read[place][0].shape[2] > 2 for place in places) else 1


def _share(split: str, chosen: Split) -> str:
    """What people call the part of a split that was chosen."""
    return f"{'every tenth image' if chosen == 'test' else 'nine tenths'} of {split}"


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


def _by_labels(data: Data, name: str, split: Split) -> Labelled:
    """A data set whose images have labels, perhaps in splits."""
    source, field = _open_labelled(data, name)
    tests = [test for test in _TESTS if test in source.splits]
    if "train" not in source.splits:
        raise RunError(
            f"{name} has the splits {', '.join(source.splits)}, but no train"
        )
    training = _Part(source, "train", name, field)
    part = training._replace(split=tests[0]) if tests and split == "test" else training
    origin = part.split if tests else _share("train", split)
    label = source.fields[field]
    names = label.names if isinstance(label, Label) else None
    if source.pixels is not None and names is not None and tests:
        read = _Read([part], _rows([part]))
        return Labelled(read, names, origin, source.splits, _soft_labels(read, source))
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
    read = _alike([part], labels, None if tests else split, [training])
    soft_labels = _soft_labels(read, source)
    return Labelled(read, told, origin, source.splits, soft_labels)


def _soft_labels(read: _Read, source: Source) -> Callable[[], np.ndarray] | None:
    given = isinstance(source.fields.get(SOFT_LABEL), Probabilities)
    return read.soft_labels if given else None


def _open_labelled(data: Data, name: str) -> tuple[Source, str]:
    """Opens a source with no fields but class and soft label; names the class."""
    place, image = data.data_dir, data.image
    opened = functools.partial(open_source, data.source, data_dir=place, image=image)
    try:
        source = opened(keep=None)
        field = next((field for field in _LABELS if field in source.fields), "")
        if not isinstance(source.fields.get(field), Label):
            raise RunError(
                f"{name} has the features {', '.join(['image', *source.fields])}; "
                f"image and label are needed, the label a class (cls in a WebDataset)"
            )
        # Others may be anything, and need not be read.
        others = sorted(source.fields.keys() - {field, SOFT_LABEL})
        if others:
            source = opened(drop=others)
        return source, field
    except RunError as error:
        options = "--data.source, --data.data-dir, --data.image"
        raise RunError(f"{options}: {error}") from error


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
    tops = _subfolders(root)
    below = {Path(top, one) for top in tops for one in _subfolders(root / top)}
    folders = {*map(Path, tops), *below}
    there = find_splits(f"--data.source folder:{root}", folders, option=None)
    tests = [test for test in _TESTS if test in there]
    if there and "train" not in there:
        raise RunError(f"{root} has the splits {', '.join(there)}, but no train")
    named = root / "train" if there else root
    top = root / tests[0] if tests and split == "test" else named
    classes = _subfolders(named)
    if not classes:
        raise RunError(f"{named} has no subfolders: make one for each class of images")
    training, labels = _class_parts(named, classes)
    parts = training
    if top != named:
        parts, labels = _class_parts(top, classes)
    unknown = set(_subfolders(top)) - set(classes)
    if unknown:
        raise RunError(f"{top} has the class {min(unknown)}, which {named} lacks")
    read = _alike(parts, labels, None if tests else split, training)
    counts = {one: sum(1 for _ in find_files(root / one)) for one in there}
    origin = top.name if tests else _share("train" if there else "it", split)
    return Labelled(read, classes, origin, counts)


def _class_parts(
    top: Path, classes: Sequence[str]
) -> tuple[Sequence[_Part], np.ndarray]:
    """What lies in folders of classes, and the number of the class of each image."""
    parts: list[_Part] = []
    labels: list[int] = []
    for label, folder in enumerate(top / name for name in classes):
        if not folder.is_dir() or next(find_files(folder), None) is None:
            raise RunError(f"{folder}, a class, has no images: fill or remove it")
        source = open_source(f"folder:{folder}")
        parts += [_Part(source, there, str(folder)) for there in source.splits]
        labels += [label] * sum(source.splits.values())
    return parts, np.asarray(labels)


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

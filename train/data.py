"""Labelled images by number: embedded digits, TFDS, folders; and batches of them.

Which images are in a batch depends on the seed and the number of the step alone, not
on how many processes read.
"""

import dataclasses
import difflib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, Protocol

import grain
import jax
import numpy as np
from PIL import Image
from tqdm import tqdm

from train.config import Data
from train.errors import RunError
from vmixjax.data.codecs.images import read_image
from vmixjax.data.digits import enlarged_digits
from vmixjax.data.example import Label, Source
from vmixjax.data.formats import open_source
from vmixjax.errors import ImageError

Split = Literal["train", "test"]
Example = dict[str, np.ndarray]
"""image: uint8 (H, W, C); label, id: int32 ()."""


class Examples(Protocol):
    """Images and labels by number."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]: ...


@dataclasses.dataclass(frozen=True)
class Dataset:
    """One split of a data set.

    Attributes:
      examples: by number; every image has the shape `shape`.
      shape: (H, W, C).
      classes: their names.
    """

    examples: Examples
    shape: tuple[int, int, int]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> Example:
        image, label = self.examples[index]
        if image.shape != self.shape:
            sizes = " and ".join(
                f"{s[0]} x {s[1]} x {s[2]}" for s in (self.shape, image.shape)
            )
            raise RunError(
                f"image {index} has another shape than the first ({sizes}): make them "
                f"alike with --data.image-size {min(self.shape[:2])}"
            )
        if not 0 <= label < len(self.classes):
            raise RunError(
                f"image {index} has the label {label}: with {len(self.classes)} "
                f"classes, labels must be 0 to {len(self.classes) - 1}"
            )
        return {
            "image": image,
            "label": np.asarray(label, np.int32),
            "id": np.asarray(index, np.int32),
        }


def load(data: Data, split: Split) -> Dataset:
    """A split of the data set that a config names.

    Raises:
      RunError: it is unknown, not there, empty, or its images differ in size.
    """
    kind, _, name = data.source.partition(":")
    if data.source == "digits":
        examples, classes = _digits(split)
    elif kind == "tfds" and name:
        examples, classes = _tfds(name, data.data_dir, split)
    elif kind == "folder" and name:
        examples, classes = _folder(Path(name), split)
    else:
        raise RunError(
            f"--data.source {data.source!r} is none of digits, tfds:NAME, folder:DIR"
            f"{_nearest(data.source)}"
        )
    if split == "train" and data.train_images is not None:
        examples = _First(examples, min(data.train_images, len(examples)))
    if not len(examples):
        raise RunError(
            f"--data.source {data.source} has no images in its {split} split"
        )
    if data.image_size is not None:
        examples = _Resized(examples, data.image_size)
    shape = examples[0][0].shape
    dataset = Dataset(examples, shape, classes)
    if len(examples) * np.prod(shape) <= data.cache_mib << 20:
        return dataclasses.replace(dataset, examples=_in_memory(dataset, split))
    return dataset


def training_batches(
    dataset: Dataset, batch_size: int, seed: int
) -> grain.DatasetIterator:
    """Endless batches, every epoch in another order: this process's part of each."""
    numbers = grain.MapDataset.source(dataset).seed(seed).shuffle().repeat()
    mine = numbers[jax.process_index() :: jax.process_count()]
    batches = mine.batch(batch_size // jax.process_count())
    # Reading ahead hides decoding; what is in memory needs no threads.
    ahead = grain.ReadOptions(num_threads=4, prefetch_buffer_size=4)
    return iter(batches.to_iter_dataset(ahead))


def test_batches(dataset: Dataset, batch_size: int) -> Iterator[Example]:
    """Every image once, in order: this process's part of each batch.

    The last batch is filled up with images of the label -1, which count for nothing.
    """
    processes = jax.process_count()
    blank: Example = {
        "image": np.zeros(dataset.shape, np.uint8),
        "label": np.asarray(-1, np.int32),
        "id": np.asarray(0, np.int32),
    }
    examples: list[Example]
    for start in range(0, len(dataset), batch_size):
        mine = range(start + jax.process_index(), start + batch_size, processes)
        examples = [dataset[i] if i < len(dataset) else blank for i in mine]
        yield {name: np.stack([one[name] for one in examples]) for name in blank}


@dataclasses.dataclass(frozen=True)
class _Arrays:
    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return self.images[index], int(self.labels[index])


@dataclasses.dataclass(frozen=True)
class _First:
    examples: Examples
    count: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return self.examples[index]


@dataclasses.dataclass(frozen=True)
class _Resized:
    examples: Examples
    size: int

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        image, label = self.examples[index]
        return resize(image, self.size), label


def resize(image: np.ndarray, size: int) -> np.ndarray:
    """The middle of an image (H, W, C) uint8, as a square of `size` pixels a side."""
    if image.shape[:2] == (size, size):
        return image
    scale = size / min(image.shape[:2])
    height, width = (max(size, round(side * scale)) for side in image.shape[:2])
    top, left = (height - size) // 2, (width - size) // 2
    # One channel at a time: Pillow knows no others than 1, 3 and 4 of them.
    channels = [
        np.asarray(
            Image.fromarray(channel).resize((width, height), Image.Resampling.BILINEAR)
        )
        for channel in np.moveaxis(image, -1, 0)
    ]
    return np.stack(channels, -1)[top : top + size, left : left + size]


def _in_memory(dataset: Dataset, split: Split) -> _Arrays:
    images = np.empty((len(dataset), *dataset.shape), np.uint8)
    labels = np.empty(len(dataset), np.int32)

    def read(index: int) -> None:
        example = dataset[index]
        images[index], labels[index] = example["image"], example["label"]

    quick = isinstance(dataset.examples, _Arrays) or jax.process_index() > 0
    with ThreadPoolExecutor() as threads:
        for _ in tqdm(
            threads.map(read, range(len(dataset))),
            total=len(dataset),
            desc=f"reading, {split}",
            unit="image",
            disable=quick,
        ):
            pass
    return _Arrays(images, labels)


def _digits(split: Split) -> tuple[Examples, tuple[str, ...]]:
    train, test = enlarged_digits()
    chosen = train if split == "train" else test
    return _Arrays(chosen.images, chosen.labels), tuple("0123456789")


@dataclasses.dataclass(frozen=True)
class _FromTfds:
    source: Source
    split: str

    def __len__(self) -> int:
        return self.source.splits[self.split]

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        try:
            example = self.source.read(self.split, index)
        except ImageError as error:
            raise RunError(str(error)) from error
        return _eight_bits(example.image), int(example.values["label"])


def _tfds(
    name: str, data_dir: str | None, split: Split
) -> tuple[Examples, tuple[str, ...]]:
    try:
        source = open_source(f"tfds:{name}", data_dir=data_dir, keep=None)
    except RunError as error:
        raise RunError(f"--data.source, --data.data-dir: {error}") from error
    named = split if split in source.splits else "validation"
    if named not in source.splits:
        raise RunError(
            f"{name} has the splits {', '.join(source.splits)}, but no {split}"
        )
    label = source.fields.get("label")
    if not isinstance(label, Label) or label.names is None:
        raise RunError(
            f"{name} has the features {', '.join(['image', *source.fields])}; image "
            f"and label are needed, the label a class"
        )
    return _FromTfds(source, named), label.names


def _nearest(name: str) -> str:
    """What somebody may have meant by the name of a data set."""
    import tensorflow_datasets as tfds

    known = ["digits", *tfds.list_builders(with_community_datasets=False)]
    near = difflib.get_close_matches(name.removeprefix("tfds:"), known)
    meant = [one if one == "digits" else f"tfds:{one}" for one in near]
    return f"; did you mean {' or '.join(meant)}?" if meant else ""


@dataclasses.dataclass(frozen=True)
class _Files:
    paths: tuple[Path, ...]
    labels: tuple[int, ...]
    channels: int

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return read_pixels(self.paths[index], self.channels), self.labels[index]


def read_pixels(path: Path, channels: int) -> np.ndarray:
    """An image file as (H, W, channels) uint8; grey becomes colour, not the reverse.

    Raises:
      RunError: it cannot be read, or has colour where none is expected.
    """
    try:
        image = read_image(path)
    except ImageError as error:
        raise RunError(str(error)) from error
    image = _eight_bits(image)
    image = image[..., : 1 if image.shape[2] < 3 else 3]
    if image.shape[2] > channels:
        raise RunError(f"{path} has colours where the others are grey; make it grey")
    return np.repeat(image, channels // image.shape[2], -1)


def _eight_bits(image: np.ndarray) -> np.ndarray:
    return (image >> 8).astype(np.uint8) if image.dtype == np.uint16 else image


def _folder(root: Path, split: Split) -> tuple[Examples, tuple[str, ...]]:
    """Splits are subfolders; without, every tenth image of a class is for tests."""
    if not root.is_dir():
        raise RunError(f"--data.source folder:{root}: there is no such folder")
    tests = [
        root / name for name in ("test", "val", "validation") if (root / name).is_dir()
    ]
    whole = not ((root / "train").is_dir() and tests)
    top = root if whole else root / "train" if split == "train" else tests[0]
    named = root if whole else root / "train"
    classes = _folders(named)
    if not classes:
        raise RunError(f"{named} has no subfolders: make one for each class of images")
    paths: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        files = sorted(
            path
            for path in (top / name).glob("**/*")
            if path.is_file() and not path.name.startswith(".")
        )
        if not files:
            raise RunError(f"{top / name}, a class, has no images: fill or remove it")
        if whole:
            held_out = files[::10] if len(files) > 1 else []
            files = (
                held_out
                if split == "test"
                else [f for f in files if f not in set(held_out)]
            )
        paths += files
        labels += [label] * len(files)
    unknown = set(_folders(top)) - set(classes)
    if unknown:
        raise RunError(f"{top} has the class {min(unknown)}, which {named} lacks")
    first = read_pixels(paths[0], 3) if paths else None
    grey = first is not None and (first == first[..., :1]).all()
    return _Files(tuple(paths), tuple(labels), 1 if grey else 3), classes


def _folders(root: Path) -> tuple[str, ...]:
    return tuple(
        sorted(
            path.name
            for path in root.iterdir()
            if path.is_dir() and not path.name.startswith(".")
        )
    )

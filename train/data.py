"""Splits of a data set, images all of one shape, and batches of them.

Which images are in a batch depends on the seed and the number of the step alone, not
on how many processes read.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import grain
import jax
import numpy as np
from PIL import Image
from tqdm.contrib.concurrent import thread_map

from train.config import Config, Data
from train.examples import Arrays, Examples, Labelled, Split
from train.sources import open_examples
from train.tasks import TASKS
from train.tasks.task import Letterbox, Task
from vmixjax.command_line import counted
from vmixjax.data import square
from vmixjax.errors import RunError

SPLITS: tuple[Split, ...] = ("train", "test")
"""Splits that runs use."""

_GREY = 128
"""What images are filled up with to lie inside a shape."""

Example = dict[str, np.ndarray]
"""image: uint8 (H, W, C); id: int32 (); targets of the task, such as label: int32 ();
soft_label: float32 (classes,)."""


@dataclasses.dataclass(frozen=True)
class Dataset:
    """One split of a data set.

    Attributes:
      examples: Examples, all of one shape.
      shape: That shape.
      classes: Names of the classes.
      task: What is learned of them.
      origin: What people call the split.
      splits: How many images each split of the data set has.
      soft_labels: Probabilities that a teacher gave, float32 (N, classes), if wanted.
    """

    examples: Examples
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    task: Task
    origin: str = ""
    splits: Mapping[str, int] = dataclasses.field(default_factory=dict)
    soft_labels: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.examples)

    def __str__(self) -> str:
        """Says in words where the images come from, and how many each class has."""
        told = f"{self.origin}, {len(self)} images"
        values = getattr(self.examples, "values", None)
        counts = None if values is None else self.task.counts(values)
        if counts is None:
            return f"{told}: {len(self.classes)} classes"
        named = zip(self.classes, counts.tolist(), strict=True)
        return f"{told}: {counted(dict(named))}"

    def __getitem__(self, index: int) -> Example:
        image, value = self.examples[index]
        targets = self.check(image, value, index)
        example = _example(image, targets, index)
        if self.soft_labels is not None:
            example["soft_label"] = self.soft_labels[index]
        return example

    def check(self, image: np.ndarray, value: Any, index: int) -> dict[str, np.ndarray]:
        """Gives the targets of image `index`.

        Raises:
          RunError: The image is of another shape than the first, or its targets are not
            those of such an image.
        """
        if image.shape != self.shape:
            shapes = self.shape, image.shape
            sizes = " and ".join(f"{s[0]} x {s[1]} x {s[2]}" for s in shapes)
            raise RunError(
                f"image {index} has another shape than the first ({sizes}): make them "
                f"alike with {alike_option(self.task.config, *shapes)}"
            )
        return self.task.targets(value, index)


def _example(
    image: np.ndarray, targets: Mapping[str, np.ndarray], index: int
) -> Example:
    return {"image": image, **targets, "id": np.asarray(index, np.int32)}


def alike_option(config: Config, *shapes: tuple[int, ...]) -> str:
    """Says by which option images of all sizes become as large as the first shape.

    Or, where they are mixed already, as the largest.
    """
    if config.mixing.where == "done":
        height, width = (max(sides) for sides in list(zip(*shapes, strict=True))[:2])
        return f"--data.image-shape {height} {width}, which fills up with grey"
    shape = shapes[0]
    if config.task == "classify":
        return f"--data.image-size {min(shape[:2])}"
    return f"--data.image-shape {shape[0]} {shape[1]}"


def load(config: Config, split: Split) -> Dataset:
    """Loads a split of the data set that a config names; with soft labels to distill.

    Raises:
      RunError: It is unknown, not there, empty, lacks soft labels, or its images differ
        in size.
    """
    data, kind = config.data, TASKS[config.task]
    labelled = open_examples(config, split)
    examples, classes, origin, splits, _ = labelled
    taught = config.optimizer.distill > 0 and split == "train"
    soft_labels = _soft_labels(labelled, data) if taught else None
    if split == "train" and data.train_images is not None:
        examples = grain.MapDataset.source(examples)[: data.train_images]
        soft_labels = (
            soft_labels if soft_labels is None else soft_labels[: len(examples)]
        )
    if not len(examples):
        raise RunError(
            f"--data.source {data.source} has no images in its {split} split"
        )
    size = data.image_size
    if size is not None and config.task != "classify":
        raise RunError(
            f"--data.image-size {size} would cut off what --task {config.task} is "
            f"to find: use --data.image-shape {size} {size}"
        )
    mixed = config.mixing.where == "done"
    if size is not None or data.image_shape is not None:

        def alike(example: tuple[np.ndarray, Any]) -> tuple[np.ndarray, Any]:
            image, box = sized(example[0], data, mixed=mixed)
            return image, kind.resized(example[1], box)

        examples = grain.MapDataset.source(examples).map(alike)
    shape = examples[0][0].shape
    task = kind(config, shape, len(classes))
    dataset = Dataset(examples, shape, classes, task, origin, splits, soft_labels)
    if len(examples) * np.prod(shape) <= data.cache_mib << 20:
        return dataclasses.replace(dataset, examples=_in_memory(dataset, split))
    return dataset


def _soft_labels(labelled: Labelled, data: Data) -> np.ndarray:
    if labelled.soft_labels is None:
        raise RunError(
            f"--optimizer.distill: {data.source} has no soft_label; its owner adds it "
            f"with vmixjax mix --soft-labels FILE"
        )
    found = labelled.soft_labels()
    classes = len(labelled.classes)
    if found.shape[1:] != (classes,):
        raise RunError(
            f"--optimizer.distill: the soft labels of {data.source} are of "
            f"{found.shape[-1]} classes, and its images of {classes}: leave it out"
        )
    return found


def training_batches(
    dataset: Dataset, batch_size: int, seed: int
) -> grain.DatasetIterator:
    """Gives batches for ever, each epoch in another order: this process's part."""
    numbers = grain.MapDataset.source(dataset).seed(seed).shuffle().repeat()
    mine = numbers[jax.process_index() :: jax.process_count()]
    batches = mine.batch(batch_size // jax.process_count())
    # Reading ahead hides decoding; what is in memory needs no threads.
    ahead = grain.ReadOptions(num_threads=4, prefetch_buffer_size=4)
    return iter(batches.to_iter_dataset(ahead))


def test_batches(dataset: Dataset, batch_size: int) -> Iterator[Example]:
    """Gives every image once, in order: this process's part of each batch.

    The last batch is filled up with images that count for nothing, whose ids follow.
    """
    blank, none = np.zeros(dataset.shape, np.uint8), dataset.task.blank()
    for start in range(0, len(dataset), batch_size):
        mine = range(start, start + batch_size)[
            jax.process_index() :: jax.process_count()
        ]
        examples = [
            dataset[i] if i < len(dataset) else _example(blank, none, i) for i in mine
        ]
        yield {
            name: np.stack([one[name] for one in examples])
            for name in ("image", *none, "id")
        }


def sized(
    image: np.ndarray, data: Data, *, mixed: bool
) -> tuple[np.ndarray, Letterbox]:
    """Brings an image (H, W, C) uint8 to the size that is asked for, if one is.

    What is mixed already is filled up, and never scaled.

    Returns:
      The image, and where in it the image that was given lies; all over it, where only
      the middle of that is left.

    Raises:
      RunError: It is mixed already, and not as large as asked for, or larger than.
    """
    size = data.image_size
    if size is not None:
        height, width = image.shape[:2]
        if mixed and (height, width) != (size, size):
            raise RunError(
                f"an image of {height} x {width} is mixed already, and --data.image-"
                f"size {size} would blend pixels that nobody knows the places of: use "
                f"--data.image-size None --data.image-shape {height} {width}, which "
                f"fills up with grey, or resize before mixing"
            )
        return resize(image, size), Letterbox((size, size), (size, size))
    wanted = data.image_shape or image.shape[:2]
    box = Letterbox(image.shape[:2], wanted, mixed=mixed)
    return letterboxed(image, box), box


def resize(image: np.ndarray, size: int) -> np.ndarray:
    """Brings the middle of an image (H, W, C) uint8 to `size` x `size` pixels."""
    return square(image, size, Image.Resampling.BILINEAR, whole=True)


def letterboxed(image: np.ndarray, box: Letterbox) -> np.ndarray:
    """Brings an image (H, W, C) uint8 into a box, and fills the rest with grey."""
    if image.shape[:2] == box.shape:
        return image
    height, width = box.inside
    channels = [
        np.asarray(
            Image.fromarray(channel).resize((width, height), Image.Resampling.BILINEAR)
        )
        for channel in np.moveaxis(image, -1, 0)
    ]
    filled = np.full((*box.shape, image.shape[2]), _GREY, np.uint8)
    filled[:height, :width] = np.stack(channels, -1)
    return filled


def _in_memory(dataset: Dataset, split: Split) -> Arrays:
    images = np.empty((len(dataset), *dataset.shape), np.uint8)
    values: list[Any] = [None] * len(dataset)

    def read(index: int) -> None:
        image, values[index] = dataset.examples[index]
        dataset.check(image, values[index], index)
        images[index] = image

    quick = isinstance(dataset.examples, Arrays) or jax.process_index() > 0
    told = f"reading, {split}"
    thread_map(read, range(len(dataset)), desc=told, unit="image", disable=quick)
    return Arrays(images, values)

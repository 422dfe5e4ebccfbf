"""A teacher's soft labels: what a trained model says of each image of a data set."""

from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import numpy as np
from tqdm import tqdm

from train import checkpoints, data, devices
from train.config import Config
from train.examples import with_channels
from train.fit import say
from train.step import Steps
from train.trained import best, told_of
from vmixjax.atomic import atomic_path
from vmixjax.data import Source, open_source
from vmixjax.data.writing import release_of
from vmixjax.errors import ImageError, RunError

_BATCH = 256
"""Images that are asked about at once."""


def label(
    workdir: Path,
    out: Path,
    *,
    source: str | None = None,
    data_dir: str | None = None,
    image: str | None = None,
) -> int:
    """Writes what the best checkpoint says of every image of a data set.

    Args:
      workdir: The teacher's, as a rule a run on clean images.
      out: A new `.npz` file, which `vmixjax mix --soft-labels` takes: `names` (N,) of
        images, `probabilities` (N, classes) float32, and `classes` (classes,), names.
      source: Data set, as `vmixjax mix` is given it; by default what the run learned
        from.
      data_dir: Where TFDS keeps it; by default as in the run.
      image: Field that is the image, where several might be; by default as in the run.

    Returns:
      The number of images.

    Raises:
      RunError: There is no run, no checkpoint or no data set, or no image is fit.
    """
    run = checkpoints.read_run(workdir)
    config = run.config
    if config.task != "classify":
        raise RunError(
            f"--workdir {workdir} is a run of --task {config.task}; a teacher tells "
            f"classes of whole images"
        )
    name = source or config.data.source
    opened = open_source(
        name,
        data_dir=data_dir or config.data.data_dir,
        keep=None,
        image=image or config.data.image,
    )
    if name == config.data.source:
        mixed = config.mixing.where == "done"
    else:
        mixed = release_of(opened.places) is not None
    if mixed and config.mixing.where == "off":
        raise RunError(
            f"--source {name} is a release, and --workdir {workdir} learned from clean "
            f"images, as these were: name what the release was made of"
        )
    steps, tell = _teller(told_of(config, mixed=mixed), run, workdir)
    names: list[str] = []
    told: list[np.ndarray] = []
    for some, images in _batches(opened, steps, mixed=mixed):
        names += some
        told.append(tell(images)[: len(some)])
    if not names:
        raise RunError(f"--source {name}: no image can be read")
    with atomic_path(out) as file:
        np.savez(
            file,
            names=np.asarray(names),
            probabilities=np.concatenate(told),
            classes=np.asarray(run.classes),
        )
    return len(names)


def probabilities(workdir: Path, dataset: data.Dataset) -> np.ndarray:
    """Gives what the best checkpoint says of a split, float32 (N, classes), in order.

    Raises:
      RunError: There is no run or no checkpoint.
    """
    run = checkpoints.read_run(workdir)
    steps, tell = _teller(run.config, run, workdir)
    batches = data.test_batches(dataset, _together(steps))
    told = np.concatenate([tell(batch["image"]) for batch in batches])
    return told[: len(dataset)]


def _teller(
    config: Config, run: checkpoints.Run, workdir: Path
) -> tuple[Steps, Callable[[np.ndarray], np.ndarray]]:
    """The steps of a run, and what tells (B, classes) of images (B, H, W, C)."""
    steps, state = best(run, config, workdir, say)
    jitted, seed = jax.jit(steps.predictions), np.uint32(config.seed)

    def tell(images: np.ndarray) -> np.ndarray:
        ids = np.arange(len(images), dtype=np.int32)
        return np.asarray(jitted(state, images, ids, seed), np.float32)

    return steps, tell


def _together(steps: Steps) -> int:
    """How many images are asked about at once: as many for each device."""
    return devices.shared(steps.mesh, _BATCH)


def _batches(
    source: Source, steps: Steps, *, mixed: bool
) -> Iterator[tuple[list[str], np.ndarray]]:
    """Names and images, `_BATCH` at a time; the last are filled up with blank ones."""
    shape, wanted = steps.shape, steps.config.data
    blank = np.zeros(shape, np.uint8)
    names: list[str] = []
    images: list[np.ndarray] = []
    count = sum(source.splits.values())
    places = ((split, i) for split, n in source.splits.items() for i in range(n))
    together = _together(steps)
    for split, index in tqdm(places, "labelling", count, unit="image"):
        try:
            example = source.read(split, index)
            image = with_channels(example.image, shape[2], example.name)
        except ImageError as error:
            # What cannot be read cannot be mixed either.
            say(f"left out: {error}")
            continue
        image, _ = data.sized(image, wanted, mixed=mixed)
        if image.shape != shape:
            raise RunError(
                f"{example.name} is {image.shape[0]} x {image.shape[1]}, and the "
                f"teacher was trained on {shape[0]} x {shape[1]}: train it with "
                f"--data.image-size"
            )
        names.append(example.name)
        images.append(image)
        if len(names) == together:
            yield names, np.stack(images)
            names, images = [], []
    if names:
        yield names, np.stack(images + [blank] * (together - len(images)))

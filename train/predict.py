"""Tests and predictions with a trained model, on mixed images."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from train import checkpoints, data, devices
from train.examples import read_pixels
from train.fit import Outcome, measure, say
from train.trained import best
from vmixjax.errors import RunError


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What a model says of one image: classes and probabilities, likeliest first."""

    path: str
    classes: tuple[str, ...]
    probabilities: tuple[float, ...]


def evaluate(
    workdir: Path, *, data_dir: str | None = None, mixes: int | None = None
) -> Outcome:
    """Computes test loss and accuracy of the best checkpoint; images are mixed first.

    `data_dir` is where TFDS keeps the data set, and `mixes` is how many mixes of each
    image are averaged, where they are not as in the run.

    Raises:
      RunError: There is no run, no checkpoint or no data set.
    """
    run = checkpoints.read_run(workdir)
    config = run.config
    if data_dir is not None:
        at = dataclasses.replace(config.data, data_dir=data_dir)
        config = dataclasses.replace(config, data=at)
    if mixes is not None:
        config = dataclasses.replace(config, test_mixes=mixes)
    test = data.load(config, "test")
    if (test.shape, test.classes) != (run.shape, run.classes):
        raise RunError(
            f"the run in {workdir} was trained on other data: images of {run.shape} in "
            f"{len(run.classes)} classes"
        )
    steps, state = best(run, config, workdir, say)
    spread = devices.spread(steps.mesh)
    return measure(jax.jit(steps.test), state, test, config, spread)


def predict(
    workdir: Path, paths: Sequence[Path], *, mixed: bool = False
) -> list[Prediction]:
    """Tells what the best checkpoint says of image files.

    They are brought to the size that the model was trained on, and mixed as in
    training, before the model sees them. With `mixed`, they are so already, and are not
    touched.

    Raises:
      RunError: There is no run or checkpoint, an image cannot be read or, if mixed, has
        another size.
    """
    run = checkpoints.read_run(workdir)
    config = run.config
    if mixed and config.mixing.where == "step":
        done = dataclasses.replace(config.mixing, where="done")
        config = dataclasses.replace(config, mixing=done, test_mixes=1)
    images = [_query(path, run.shape, mixed=mixed) for path in paths]
    steps, state = best(run, config, workdir, say)
    # Every device takes as many.
    padding = -len(images) % steps.mesh.size
    batch = np.stack(images + [np.zeros(run.shape, np.uint8)] * padding)
    ids = np.arange(len(batch), dtype=np.int32)
    seed = np.uint32(config.seed)
    told = jax.jit(steps.predictions)(state, batch, ids, seed)
    rows = np.asarray(told)[: len(images)]
    return [
        Prediction(
            str(path),
            tuple(run.classes[i] for i in np.argsort(-row, stable=True)),
            tuple(float(p) for p in -np.sort(-row)),
        )
        for path, row in zip(paths, rows, strict=True)
    ]


def _query(path: Path, shape: tuple[int, int, int], *, mixed: bool) -> np.ndarray:
    image = read_pixels(path, shape[2])
    if image.shape == shape:
        return image
    if not mixed and shape[0] == shape[1]:
        return data.resize(image, shape[0])
    mend = ", and resizing would undo what mixing means: resize before mixing"
    raise RunError(
        f"{path} is {image.shape[0]} x {image.shape[1]}, but the model takes "
        f"{shape[0]} x {shape[1]}{mend if mixed else ': resize it'}"
    )

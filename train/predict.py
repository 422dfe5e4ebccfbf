"""Tests and predictions with a trained model, on mixed images."""

import dataclasses
import operator
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from train import checkpoints, data, devices
from train.drawing import beside
from train.examples import read_pixels
from train.fit import Outcome, measure, say
from train.tasks.task import Answer
from train.trained import best
from vmixjax.atomic import atomic_path
from vmixjax.errors import RunError


def evaluate(
    workdir: Path, *, data_dir: str | None = None, mixes: int | None = None
) -> Outcome:
    """Computes what tests of the best checkpoint come to; images are mixed first.

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
    workdir: Path,
    paths: Sequence[Path],
    *,
    mixed: bool = False,
    draw: Path | None = None,
    originals: Sequence[Path] = (),
) -> list[Answer]:
    """Tells what the best checkpoint says of image files.

    They are brought to the size that the model was trained on, and mixed as in
    training, before the model sees them.

    Args:
      workdir: Folder of the run.
      paths: The images.
      mixed: They are mixed already, and are not touched.
      draw: Folder for a picture of each: what the model is given, with the boxes or the
        mask that it finds; and beside it, where that is known, the clean image with the
        same.
      originals: If they are mixed, what each of them was, in the same order.

    Raises:
      RunError: There is no run or checkpoint, an image cannot be read or, if mixed, has
        another size; or there is nothing to draw.
    """
    run = checkpoints.read_run(workdir)
    config = run.config
    if originals and (len(originals) != len(paths) or not mixed):
        raise RunError(
            f"--originals are what the --mixed images were, as many: got "
            f"{len(originals)}, and {len(paths)} images"
        )
    if mixed and config.mixing.where == "step":
        done = dataclasses.replace(config.mixing, where="done")
        config = dataclasses.replace(config, mixing=done, test_mixes=1)
    images = [_query(path, run, mixed=mixed) for path in paths]
    clean = images if not mixed else [_query(path, run) for path in originals]
    steps, state = best(run, config, workdir, say)
    # Every device takes as many.
    padding = -len(images) % steps.mesh.size
    batch = np.stack(images + [np.zeros(run.shape, np.uint8)] * padding)
    ids = np.arange(len(batch), dtype=np.int32)
    seed = np.uint32(config.seed)
    likely = jax.jit(steps.predictions)(state, batch, ids, seed)
    told = jax.device_get(steps.task.answers(likely))
    rows = [jax.tree.map(operator.itemgetter(i), told) for i in range(len(images))]
    if draw is not None:
        seen = np.asarray(jax.jit(steps.shown)(batch, ids, seed))
        draw.mkdir(parents=True, exist_ok=True)
        for i, (path, row) in enumerate(zip(paths, rows, strict=True)):
            given = [seen[i], *clean[i : i + 1]]
            if np.array_equal(given[0], given[-1]):
                given = given[:1]
            picture = beside([steps.task.drawn(one, row) for one in given])
            with atomic_path(draw / f"{i:05d}-{path.stem}.png") as file:
                picture.save(file, format="png")
    return [
        steps.task.answer(str(path), row, run.classes)
        for path, row in zip(paths, rows, strict=True)
    ]


def _query(path: Path, run: checkpoints.Run, *, mixed: bool = False) -> np.ndarray:
    shape, wanted = run.shape, run.config.data
    image = read_pixels(path, shape[2])
    if image.shape == shape:
        return image
    try:
        image = data.sized(image, wanted, mixed=mixed)
    except RunError as error:
        raise RunError(f"{path}: {error}") from error
    if image.shape == shape:
        return image
    square = shape[0] == shape[1] and run.config.task == "classify"
    if square and not mixed:
        return data.resize(image, shape[0])
    mend = ", and resizing would undo what mixing means: resize before mixing"
    raise RunError(
        f"{path} is {image.shape[0]} x {image.shape[1]}, but the model takes "
        f"{shape[0]} x {shape[1]}{mend if mixed else ': resize it'}"
    )

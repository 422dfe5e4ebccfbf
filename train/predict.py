"""Tests and predictions with a trained model, on mixed images."""

import dataclasses
import operator
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
from tqdm import tqdm

from train import checkpoints, data, devices
from train.drawing import beside
from train.examples import read_pixels
from train.fit import Outcome, measure, say
from train.tasks.task import Answer, Letterbox
from train.trained import best, told_of
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
    config = told_of(run.config, mixed=mixed)
    if originals and (len(originals) != len(paths) or not mixed):
        raise RunError(
            f"--originals are what the --mixed images were, as many: got "
            f"{len(originals)}, and {len(paths)} images"
        )
    steps, state = best(run, config, workdir, say)
    likely, shown = jax.jit(steps.predictions), jax.jit(steps.shown)
    seed, blank = np.uint32(config.seed), np.zeros(run.shape, np.uint8)
    # A batch as of training, or a smaller one; every device takes as many.
    shared = devices.shared(steps.mesh, max(1, len(paths)))
    together = min(config.batch_size, shared)
    starts = range(0, len(paths), together)
    answers: list[Answer] = []
    for start in tqdm(starts, "predicting", unit="batch", disable=len(starts) < 2):
        some = paths[start : start + together]
        images, boxes = zip(
            *(_query(path, run, mixed=mixed) for path in some), strict=True
        )
        batch = np.stack([*images, *[blank] * (together - len(some))])
        ids = np.arange(start, start + together, dtype=np.int32)
        told = jax.device_get(steps.task.answers(likely(state, batch, ids, seed)))
        rows = [jax.tree.map(operator.itemgetter(i), told) for i in range(len(some))]
        for path, row, box in zip(some, rows, boxes, strict=True):
            answers.append(steps.task.answer(str(path), row, run.classes, box))
        if draw is None:
            continue
        seen = np.asarray(shown(batch, ids, seed))
        if mixed:
            owned = originals[start : start + together]
            images = tuple(_query(one, run)[0] for one in owned)
        for i, (path, row) in enumerate(zip(some, rows, strict=True)):
            given = [seen[i], *images[i : i + 1]]
            if np.array_equal(given[0], given[-1]):
                given = given[:1]
            picture = beside([steps.task.drawn(one, row) for one in given])
            draw.mkdir(parents=True, exist_ok=True)
            with atomic_path(draw / f"{start + i:05d}-{path.stem}.png") as file:
                picture.save(file, format="png")
    return answers


def _query(
    path: Path, run: checkpoints.Run, *, mixed: bool = False
) -> tuple[np.ndarray, Letterbox]:
    """What the model is given of an image file, and where the image lies in it."""
    shape, wanted = run.shape, run.config.data
    image = read_pixels(path, shape[2])
    try:
        seen, box = data.sized(image, wanted, mixed=mixed)
    except RunError as error:
        raise RunError(f"{path}: {error}") from error
    if seen.shape == shape:
        return seen, box
    square = shape[0] == shape[1] and run.config.task == "classify"
    if square and not mixed:
        return data.resize(image, shape[0]), Letterbox(shape[:2], shape[:2])
    mend = ", and resizing would undo what mixing means: resize before mixing"
    raise RunError(
        f"{path} is {image.shape[0]} x {image.shape[1]}, but the model takes "
        f"{shape[0]} x {shape[1]}{mend if mixed else ': resize it'}"
    )

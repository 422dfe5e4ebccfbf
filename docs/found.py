"""What models find in test images, as each of them sees these.

`python docs/found.py FILE 0,5 TITLE=RUN ...` draws a row for each image, by number,
and a column for each run: for the page on boxes and masks.
"""

import sys
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np

from train import checkpoints, data
from train.trained import best


def main(file: Path, numbers: list[int], runs: dict[str, Path]) -> None:
    """Draws all of them into one picture."""
    shape = (len(numbers), len(runs))
    size = (3.4 * len(runs), 2.65 * len(numbers))
    figure, axes = plt.subplots(*shape, figsize=size, squeeze=False)
    for column, (title, workdir) in zip(axes.T, runs.items(), strict=True):
        run = checkpoints.read_run(workdir)
        test = data.load(run.config, "test")
        steps, state = best(run, run.config, workdir, print)
        images = np.stack([test.examples[i][0] for i in numbers])
        ids = np.asarray(numbers, np.int32)
        likely = jax.jit(steps.predictions)(state, images, ids, np.uint32(0))
        shown = np.asarray(jax.jit(steps.shown)(images, ids, np.uint32(0)))
        told = jax.device_get(steps.task.answers(likely))
        for i, axis in enumerate(column):
            answer = jax.tree.map(lambda values, i=i: values[i], told)
            axis.imshow(steps.task.drawn(shown[i], answer))
            axis.axis("off")
        column[0].set_title(title, fontsize=11)
    figure.tight_layout(pad=0.4)
    figure.savefig(file, dpi=100, pil_kwargs={"quality": 85})


if __name__ == "__main__":
    main(
        Path(sys.argv[1]),
        [int(number) for number in sys.argv[2].split(",")],
        {title: Path(run) for title, run in (one.split("=") for one in sys.argv[3:])},
    )

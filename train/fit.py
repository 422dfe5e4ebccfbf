"""The training loop, top to bottom."""

import dataclasses
import math
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import jax
import numpy as np
from jax.sharding import NamedSharding

from train import checkpoints, data, devices
from train.config import Config, check
from train.metrics import Metrics, open_metrics
from train.programs import programs_of
from train.releases import as_released
from train.step import Batch, State, Steps
from train.tasks import check_options
from train.trained import started_from
from vmixjax.command_line import counted, printable
from vmixjax.errors import RunError

_NOTED = 20
"""Steps between two looks at the loss: looking waits for the device."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a run ended: what tests came to after the last step.

    Attributes:
      steps: Steps that were done.
      title: What the score is called.
      score: What the task is measured by, 0 to 1, such as accuracy.
      values: All that was measured, by name: the score, the loss, and others.
    """

    steps: int
    title: str
    score: float
    values: Mapping[str, float]

    def __str__(self) -> str:
        loss = self.values.get("loss")
        told = "" if loss is None else f"test loss {loss:.4f}, "
        return f"test {self.title} {self.score:.2%}, {told}after {self.steps} steps"


def fit(config: Config, workdir: Path, *, resume: bool = False) -> Outcome:
    """Trains a model, tests it as it goes, and keeps checkpoints.

    All is noted in the workdir. A run that was stopped at any moment goes on from its
    newest checkpoint with `resume`, and ends in the same parameters as one that never
    was (bit for bit on CPU).

    Raises:
      RunError: Anything that keeps it from starting, and a loss that is not finite.
    """
    check(config)
    check_options(config)
    config = as_released(config)
    mesh = devices.mesh(config.batch_size)
    train, test = _load(config)
    steps = Steps(config, train.shape, len(train.classes), mesh)
    run = checkpoints.Run(config, train.shape, train.classes)
    with checkpoints.begin(run, workdir, resume=resume):
        found = counted(train.splits) or "none"
        say(f"splits: {found}; learning from {train}; testing on {test}")
        return _learn(steps, train, test, workdir)


def _learn(
    steps: Steps, train: data.Dataset, test: data.Dataset, workdir: Path
) -> Outcome:
    """Trains from where the newest checkpoint is, or from the start."""
    config, spread = steps.config, devices.spread(steps.mesh)
    programs = programs_of(steps, fsdp=config.fsdp)
    seed = programs.seed
    batches = data.training_batches(train, config.batch_size, config.seed)

    with checkpoints.open_checkpoints(workdir, config.keep, say) as saved:
        state = saved.restore(programs.state, batches)
        if state is None:
            state = programs.init(seed)
            if config.start_from is not None:
                state = started_from(Path(config.start_from), state, say)
        first = int(state.step)
        names = steps.task.score, steps.task.title
        with open_metrics(workdir, config.steps, first, *names) as metrics:
            waiting: list[dict[str, jax.Array]] = []
            since = time.monotonic()
            for number in range(first + 1, config.steps + 1):
                batch = devices.on_devices(spread, next(batches))
                state, values = programs.train(state, batch, seed)
                waiting.append(values)
                metrics.advance()
                due = number % config.every == 0 or number == config.steps
                if due or len(waiting) == _NOTED:
                    _note(metrics, number, waiting, config, since)
                    waiting, since = [], time.monotonic()
                if due:
                    outcome = measure(programs.test, state, test, config, spread)
                    values = {f"test_{k}": v for k, v in outcome.values.items()}
                    metrics.note(number, **values)
                    saved.save(state, batches, outcome.score)
                    since = time.monotonic()
            if first >= config.steps:
                outcome = measure(programs.test, state, test, config, spread)
    return outcome


def _load(config: Config) -> tuple[data.Dataset, data.Dataset]:
    """What is learned from, at least a batch, and what tests are on, as large."""
    train, test = data.load(config, "train"), data.load(config, "test")
    if len(train) < config.batch_size:
        raise RunError(
            f"--batch-size {config.batch_size} is more than the {len(train)} training "
            f"images: choose a smaller one"
        )
    if test.shape != train.shape:
        raise RunError(
            f"test images are {test.shape} and training images {train.shape}: make "
            f"them alike with {data.alike_option(config, train.shape, test.shape)}"
        )
    return train, test


def measure(
    test_step: Callable[[State, Batch, np.uint32], dict[str, jax.Array]],
    state: State,
    test: data.Dataset,
    config: Config,
    spread: NamedSharding,
) -> Outcome:
    """Computes what all test images come to."""
    told = [
        test_step(state, devices.on_devices(spread, batch), np.uint32(config.seed))
        for batch in data.test_batches(test, config.batch_size)
    ]
    task = test.task
    values = task.scores(told, (test.examples[i][1] for i in range(len(test))))
    return Outcome(int(state.step), task.title, values[task.score], values)


def _note(
    metrics: Metrics,
    number: int,
    waiting: list[dict[str, jax.Array]],
    config: Config,
    since: float,
) -> None:
    """Notes the means over the last steps; stops a run that learns no more."""
    noted = {name: [float(one[name]) for one in waiting] for name in waiting[0]}
    losses = noted["loss"]
    count = len(waiting)
    bad = [i for i, loss in enumerate(losses, 1) if not math.isfinite(loss)]
    if bad:
        raise RunError(
            f"the loss of step {number - count + bad[0]} is not finite; the last "
            f"checkpoint, before it, is good. Train anew with a smaller "
            f"--optimizer.learning-rate than {config.optimizer.learning_rate}"
        )
    metrics.note(
        number,
        **{name: sum(values) / count for name, values in noted.items()},
        images_per_second=count * config.batch_size / (time.monotonic() - since),
    )


def say(line: str) -> None:
    """Shows a line to the user, once however many processes there are."""
    if jax.process_index() == 0:
        print(printable(f"train: {line}"), file=sys.stderr)

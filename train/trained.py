"""What runs have learned: their best states, for use and as a start of others."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

from train import devices
from train.checkpoints import Run, open_checkpoints, read_run
from train.config import Config
from train.programs import programs_of
from train.step import State, Steps
from vmixjax.errors import RunError


def told_of(config: Config, *, mixed: bool) -> Config:
    """Gives the config by which a model tells of images that it did not learn from.

    Args:
      config: The model's.
      mixed: Whether they are mixed already; if not, and the model learned from mixed
        ones, they are mixed first, wherever those were.
    """
    if config.mixing.where == "off":
        return config
    mixing = dataclasses.replace(config.mixing, where="done" if mixed else "step")
    mixes = 1 if mixed else config.test_mixes
    return dataclasses.replace(config, mixing=mixing, test_mixes=mixes)


def best(
    run: Run, config: Config, workdir: Path, say: Callable[[str], None]
) -> tuple[Steps, State]:
    """Gives the steps of a run, and its best state, a copy on each device.

    Args:
      run: What the run is.
      config: Its config, or one that differs in what the state does not depend on.
      workdir: Its folder.
      say: Is told of damaged checkpoints.

    Raises:
      RunError: There is no checkpoint that can be read.
    """
    mesh = devices.mesh(config.batch_size)
    steps = Steps(config, run.shape, len(run.classes), mesh)
    abstract = programs_of(steps, fsdp=False).state
    with open_checkpoints(workdir, config.keep, say) as saved:
        state = saved.restore(abstract, None, best=True)
    if state is None:
        raise RunError(f"{workdir} has no checkpoint yet: wait, or resume its training")
    return steps, state


def started_from(workdir: Path, state: State, say: Callable[[str], None]) -> State:
    """Gives a new state the parameters and statistics of another run, where alike.

    Args:
      workdir: The other run's.
      state: The state before any step.
      say: Is told what is wrong with checkpoints, and how much was taken.

    Returns:
      The state, with each array that has the same name and shape in the best state of
      the other run; all others, as of a head for other classes, stay.

    Raises:
      RunError: Most arrays are not alike; or as `best`.
    """
    run = read_run(workdir)
    _, found = best(run, run.config, workdir, say)
    others = dict(jax.tree_util.tree_leaves_with_path(found.tested))
    alike = 0

    def take(path: Any, own: jax.Array) -> jax.Array:
        nonlocal alike
        other = others.get(path)
        if other is None or other.shape != own.shape:
            return own
        alike += 1
        return jax.device_put(other, own.sharding)

    both = (state.parameters, state.statistics)
    parameters, statistics = jax.tree_util.tree_map_with_path(take, both)
    count = len(jax.tree.leaves(both))
    # A bias of as many classes fits any model.
    if 2 * alike < count:
        raise RunError(
            f"--start-from {workdir} is a run of another model, of which {alike} of "
            f"{count} arrays fit: name another"
        )
    say(f"starting from {workdir}: {alike} of {count} arrays fit")
    average = (parameters, statistics) if state.average else ()
    return state.replace(  # type: ignore[attr-defined]
        parameters=parameters, statistics=statistics, average=average
    )

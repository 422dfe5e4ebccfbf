"""What mixing inside the training step costs, beside the same step on clean images."""

import dataclasses
import math
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.measure import Way, medians
from train import devices
from train.config import Config, Data, FormName, Mixing, Model
from train.step import Steps

FORMS: dict[str, FormName] = {"mixed": "plain", "mixed, regions": "regions"}

WHERE: dict[str, Literal["done", "step"]] = {"clean": "done", "mixed": "step"}


class Step(NamedTuple):
    """A training step, compiled for the devices that are there.

    Attributes:
      run: takes it.
      memory: bytes that it takes, arguments and results included.
    """

    run: Way
    memory: int


def variants(config: Config) -> dict[str, Config]:
    """A config on clean images and on mixed ones, as they are and in other forms.

    Clean ones are augmented as mixed ones are, as if mixed already, so that nothing but
    mixing differs.
    """
    return {
        name.replace("mixed", kind): dataclasses.replace(
            config,
            mixing=dataclasses.replace(config.mixing, where=where, form=form),
        )
        for name, form in FORMS.items()
        for kind, where in WHERE.items()
    }


def of_model(model: Model, batch: int, region: int) -> Config:
    """A config that tells classes of images by a model."""
    return Config(
        data=Data(augment="crop-flip"),
        mixing=Mixing("step", region, ((region, 1),)),
        model=model,
        batch_size=batch,
    )


def steps(config: Config, shape: tuple[int, int, int], classes: int) -> dict[str, Step]:
    """Training steps of `variants`."""
    return {name: _step(one, shape, classes) for name, one in variants(config).items()}


def timed(
    config: Config,
    shape: tuple[int, int, int],
    classes: int,
    *,
    times: int,
    at_most: float,
) -> dict[str, dict[str, float]]:
    """Times `steps` in turn, as `medians` does, and gives `rows`."""
    made = steps(config, shape, classes)
    runs = {name: step.run for name, step in made.items()}
    seconds = medians(runs, times=times, at_most=at_most)
    return rows(made, seconds, config.batch_size)


def rows(
    made: dict[str, Step], seconds: dict[str, float], batch: int
) -> dict[str, dict[str, float]]:
    """What is told of each step, as times of the same step on clean images."""
    found = {}
    for name, step in made.items():
        clean = name.replace("mixed", "clean")
        found[name] = {
            "milliseconds": 1e3 * seconds[name],
            "images per second": batch / seconds[name],
            "time, of clean": seconds[name] / seconds[clean],
            "memory in MB": step.memory / 1e6,
            "memory, of clean": step.memory / made[clean].memory,
        }
    return found


def _step(config: Config, shape: tuple[int, int, int], classes: int) -> Step:
    mesh = devices.mesh(config.batch_size)
    run = Steps(config, shape, classes, mesh)
    count = config.batch_size
    images = np.random.default_rng(0).integers(0, 256, (count, *shape))
    # What is to be learned changes no time.
    targets = {
        name: jnp.asarray(np.broadcast_to(value, (count, *value.shape)))
        for name, value in run.task.blank().items()
    }
    batch = {"image": jnp.asarray(images, jnp.uint8), "id": jnp.arange(count)} | targets
    seed = np.uint32(config.seed)
    state = jax.jit(run.init)(seed)
    step = jax.jit(run.train).lower(state, batch, seed).compile()
    told: Any = step.memory_analysis()
    parts = ("argument", "output", "temp")
    memory = math.fsum(getattr(told, f"{one}_size_in_bytes") for one in parts)
    return Step(lambda: step(state, batch, seed), int(memory))

"""What mixing inside the training step costs, beside the same step on clean images."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.measure import Way
from train import devices
from train.config import Config, Data, FormName, Mixing, Model
from train.step import Steps

FORMS: dict[str, FormName] = {"mixed": "plain", "mixed, regions": "regions"}


def steps(model: Model, side: int, batch: int, region: int) -> dict[str, Way]:
    """A training step on clean images, on mixed ones, and on mixed ones by regions."""
    clean = Config(
        data=Data(augment="crop-flip"),
        mixing=Mixing("off", region, ((region, 1),)),
        model=model,
        batch_size=batch,
    )
    configs = {"clean": clean} | {
        name: dataclasses.replace(
            clean, mixing=dataclasses.replace(clean.mixing, where="step", form=form)
        )
        for name, form in FORMS.items()
    }
    return {name: _step(config, side) for name, config in configs.items()}


def _step(config: Config, side: int) -> Way:
    mesh = devices.mesh(config.batch_size)
    run = Steps(config, (side, side, 3), 10, mesh)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (config.batch_size, side, side, 3))
    batch = {
        "image": jnp.asarray(images, jnp.uint8),
        "label": jnp.arange(config.batch_size) % 10,
        "id": jnp.arange(config.batch_size),
    }
    seed = np.uint32(config.seed)
    state, step = jax.jit(run.init)(seed), jax.jit(run.train)
    return lambda: step(state, batch, seed)

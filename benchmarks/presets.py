"""Training steps of the presets, compiled for accelerators that are not there."""

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from benchmarks import targets
from benchmarks.training import FORMS
from train import devices, inputs
from train.config import Config
from train.presets import PRESETS
from train.step import Steps

Shape = tuple[int, int, int]

LEARNED: dict[str, tuple[Shape, int]] = {
    "imagenet100": ((224, 224, 3), 100),
    "cifar10": ((32, 32, 3), 10),
    "cifar10_small": ((32, 32, 3), 10),
    "cifar10_112": ((112, 112, 3), 10),
    "mnist": ((28, 28, 1), 10),
    "fashion_mnist": ((28, 28, 1), 10),
    "digits": ((8, 8, 1), 10),
}
"""Shapes of images, and numbers of classes, that the presets learn; largest first."""


class Step(NamedTuple):
    """A program of a preset on some devices.

    Attributes:
      preset: which.
      place: target, number of chips, how parameters lie.
      name: what it does: a whole step, or only what makes a network's inputs.
      target: the kind of the devices.
      image: bytes of the images on each.
      program: what it was compiled to.
    """

    preset: str
    place: str
    name: str
    target: str
    image: int
    program: targets.Program


def compiled_steps(preset: str, target: str) -> Iterator[Step]:
    """Compiles a preset's steps for a target, what costs least first.

    On one chip: what prepares clean images and mixed ones, alone; the whole step as the
    preset has it; on clean images; on mixed ones as they are. On four chips of a TPU,
    as the preset has it: parameters on each, or spread.
    """
    config, one = PRESETS[preset], targets.mesh(target)
    ways, own = variants(config), _own(config)
    plans = [(target, f"inputs, {name}", way, one) for name, way in ways.items()]
    plans += [(target, name, way, one) for name, way in ways.items()]
    if targets.TARGETS[target].chips > 1:
        four = targets.mesh(target, 4)
        spread = dataclasses.replace(ways[own], fsdp=True)
        plans += [
            (f"{target}, 4 chips", own, ways[own], four),
            (f"{target}, 4 chips, fsdp", own, spread, four),
        ]
    shape, classes = LEARNED[preset]
    for place, name, variant, mesh in plans:
        if name.startswith("inputs"):
            program = inputs_of(variant, shape, mesh)
        else:
            program = step_of(variant, shape, classes, mesh)
        count = config.batch_size // mesh.size
        image = count * shape[0] * shape[1] * shape[2]
        yield Step(preset, place, name, target, image, program)


def _own(config: Config) -> str:
    """The name of what the preset itself does with mixed images."""
    return next(name for name, form in FORMS.items() if form == config.mixing.form)


def variants(config: Config) -> dict[str, Config]:
    """A config on mixed images in its own form, on clean ones, on mixed as they are."""
    config = dataclasses.replace(config, bfloat16=True)
    mixed = {
        name: dataclasses.replace(
            config, mixing=dataclasses.replace(config.mixing, form=form)
        )
        for name, form in FORMS.items()
    }
    off = dataclasses.replace(config.mixing, where="off")
    clean = {"clean": dataclasses.replace(config, mixing=off)}
    own = {_own(config): mixed[_own(config)]}
    return own | clean | mixed


def _batch(config: Config, shape: Shape, mesh: Mesh) -> dict[str, Any]:
    count = config.batch_size
    batch = {
        "image": jax.ShapeDtypeStruct((count, *shape), jnp.uint8),
        "label": jax.ShapeDtypeStruct((count,), jnp.int32),
        "id": jax.ShapeDtypeStruct((count,), jnp.int32),
    }
    return targets.abstract(batch, devices.spread(mesh))


def step_of(config: Config, shape: Shape, classes: int, mesh: Mesh) -> targets.Program:
    """Compiles a whole training step as `train` runs it."""
    steps = Steps(config, shape, classes, mesh)
    state = jax.eval_shape(steps.init)
    placed = devices.placed(mesh, state, fsdp=config.fsdp)
    return targets.compiled(
        steps.train,
        targets.abstract(state, placed),
        _batch(config, shape, mesh),
        donate_argnums=0,
        out_shardings=(placed, None),
    )


def inputs_of(config: Config, shape: Shape, mesh: Mesh) -> targets.Program:
    """Compiles what augments, mixes and gives form to a batch, without the network."""

    def prepared(step: jax.Array, batch: dict[str, jax.Array]) -> jax.Array:
        keys = inputs.image_keys(config.seed, step, batch["id"])
        # As the network's first layer takes it.
        return inputs.training(config)(keys, batch["image"]).astype(jnp.bfloat16)

    step = jax.ShapeDtypeStruct((), jnp.uint32, sharding=targets.copied(mesh))
    return targets.compiled(prepared, step, _batch(config, shape, mesh))

"""Training steps of the presets, compiled for accelerators that are not there."""

import dataclasses
import math
from collections.abc import Iterator

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from benchmarks import targets
from benchmarks.training import FORMS, variants
from train import inputs
from train.config import Config
from train.presets import PRESETS
from train.programs import lower
from train.tasks import TASKS

Shape = tuple[int, int, int]

LEARNED: dict[str, tuple[Shape, int]] = {
    "cityscapes": ((512, 1024, 3), 34),
    "voc": ((320, 320, 3), 20),
    "coco": ((320, 320, 3), 80),
    "boxes": ((320, 320, 3), 10),
    "masks": ((320, 320, 3), 10),
    "bccd": ((240, 320, 3), 3),
    "imagenet100": ((224, 224, 3), 100),
    "photos": ((224, 224, 3), 10),
    "camvid": ((180, 240, 3), 11),
    "cifar10": ((32, 32, 3), 10),
    "cifar10_small": ((32, 32, 3), 10),
    "cifar10_112": ((112, 112, 3), 10),
    "mnist": ((28, 28, 1), 10),
    "fashion_mnist": ((28, 28, 1), 10),
    "digits": ((32, 32, 1), 10),
}
"""Shapes of images, and numbers of classes, that the presets learn; largest first."""

Programs = Iterator[tuple[str, tuple[targets.Program, int]]]
"""Title, what it was compiled to, and bytes of a batch's images on each chip."""


def programs(preset: str, target: str, only: list[str] | None = None) -> Programs:
    """Compiles programs of a preset for a target, what costs least first.

    What makes a network's inputs of clean images, and of mixed ones; whole steps of one
    chip; and of four, where the target has them: in the preset's own form, parameters
    on each chip or spread.

    Args:
      preset: which.
      target: for what.
      only: titles; all by default.
    """
    ways, own = variants(PRESETS[preset]), _own(PRESETS[preset])
    spread = dataclasses.replace(ways[own], fsdp=True)
    plans = {f"inputs, {name}": (way, 1) for name, way in ways.items()}
    plans |= {f"step, {name}": (ways[name], 1) for name in (own, "clean", "mixed")}
    if targets.TARGETS[target].chips >= 4:
        plans |= {
            f"step of 4 chips, {own}": (ways[own], 4),
            f"step of 4 chips, fsdp, {own}": (spread, 4),
        }
    shape, classes = LEARNED[preset]
    for title, (config, chips) in plans.items():
        if only and title not in only:
            continue
        mesh = targets.mesh(target, chips)
        make = inputs_of if title.startswith("inputs") else step_of
        image = config.batch_size // chips * math.prod(shape)
        yield title, (make(config, shape, classes, mesh), image)


def _own(config: Config) -> str:
    """The name of what the preset itself does with mixed images."""
    return next(name for name, form in FORMS.items() if form == config.mixing.form)


def step_of(config: Config, shape: Shape, classes: int, mesh: Mesh) -> targets.Program:
    """Compiles a whole training step as `train` runs it."""
    on = list(mesh.devices.flat)
    return targets.compiled(lambda: lower(config, shape, classes, on))


def inputs_of(
    config: Config, shape: Shape, classes: int, mesh: Mesh
) -> targets.Program:
    """Compiles what augments, mixes and gives form to a batch, without the network."""
    task = TASKS[config.task](config, shape, classes)

    def prepared(step: jax.Array, images: jax.Array, ids: jax.Array) -> jax.Array:
        keys = inputs.image_keys(config.seed, step, ids)
        # As the network's first layer takes it.
        made, _ = inputs.training(config, task)(keys, images, {})
        return made.astype(jnp.bfloat16)

    images = jax.ShapeDtypeStruct((config.batch_size, *shape), jnp.uint8)
    ids = jax.ShapeDtypeStruct((config.batch_size,), jnp.int32)
    step = jax.ShapeDtypeStruct((), jnp.uint32)
    return targets.compiled_at(targets.copied(mesh), prepared, step, images, ids)

"""Flax models by name: `build`.

A family of models is one file that ends in their entries, and its line in `MODELS`.

>>> sorted(MODELS)[:2]
['cnn', 'convmixer_256_8']
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from flax import nnx

from train.config import Model
from train.models import cnn, convmixer, resnet, shufflenet, vit
from train.models.dense import DensePredictor, Encoder
from train.models.layers import ModelEntry
from train.models.stems import stem_options, widened_options
from vmixjax.errors import RunError, none_of

MODELS: dict[str, ModelEntry] = {
    entry.name: entry
    for family in (cnn, convmixer, resnet, shufflenet, vit)
    for entry in family.ENTRIES
}
"""Models by name, in the order in which they are listed."""

_FINE = 4
"""Side in pixels of a place that boxes and masks are told of, where inputs are fine."""


def build(
    model: Model,
    shape: tuple[int, int, int],
    classes: int,
    *,
    region: int,
    cell_size: int,
    dtype: jnp.dtype,
    rngs: nnx.Rngs,
) -> nnx.Module:
    """Builds the model that a config names, from arguments as of `PooledClassifier`.

    Patches are as large as the largest regions, `region` pixels of the images a side,
    unless the config says otherwise. A place of the inputs is `cell_size` such pixels.

    Raises:
      RunError: The name is unknown, or an option does not fit the model.
    """
    if model.name not in MODELS:
        raise RunError(none_of("--model.name", model.name, MODELS))
    entry = MODELS[model.name]
    patch_size = model.patch_size or max(1, region // cell_size)
    if model.width is not None and "width" not in entry.takes:
        raise RunError(f"--model.width: {entry.name} has one width only; leave it out")
    options: dict[str, Any] = {}
    coarse = cell_size > 1 or model.stem == "patch"
    if model.widened and coarse and {"stem", "width"} <= set(entry.takes):
        if model.width is None:
            raise RunError(
                f"--model.widened needs a --model.width that {entry.name} has on "
                f"images, such as 64"
            )
        wide = model.width * model.widened
        options = widened_options(model.stem, wide, shape, cell_size, patch_size)
    elif "stem" in entry.takes:
        options = stem_options(model.stem, shape, cell_size, patch_size)
    elif model.stem != "default":
        raise RunError(f"--model.stem: {entry.name} has one stem only; leave it out")
    if model.width is not None:
        options.setdefault("width", model.width)
    if "patch_size" in entry.takes:
        options["patch_size"] = patch_size
    if "patch_size" in options and any(side % patch_size for side in shape[:2]):
        raise RunError(
            f"--model.patch-size {patch_size} does not divide inputs of "
            f"{shape[0]} x {shape[1]}"
        )
    return entry.make(shape, classes, dtype=dtype, rngs=rngs, **options)


def build_dense(
    model: Model,
    shape: tuple[int, int, int],
    outputs: Mapping[str, int],
    **options: Any,
) -> nnx.Module:
    """Builds a model that says something of each place of its inputs.

    Args:
      model: What the config names: the encoder, and the width of the decoder behind it.
      shape: (H, W, C) of the inputs.
      outputs: Names of what is said, each with its number of channels.
      options: As of `build`.

    Raises:
      RunError: The model says something of whole images only; or as `build`.
    """
    fine = 1 < options["cell_size"] < 2 * _FINE
    entry = MODELS.get(model.name)
    if fine and model.stem == "default" and entry and "stem" in entry.takes:
        # Spread, places would be finer than what is said of them.
        model = dataclasses.replace(model, stem="cifar")
    encoder = build(model, shape, 1, **options)
    if not isinstance(encoder, Encoder):
        others = ", ".join(name for name in MODELS if name != model.name)
        raise RunError(
            f"--model.name {model.name} classifies whole images only: choose one of "
            f"{others}"
        )
    dtype, rngs = options["dtype"], options["rngs"]
    return DensePredictor(encoder, outputs, model.decoder, dtype=dtype, rngs=rngs)

"""Flax models by name: `build`.

>>> sorted(MODELS)[:2]
['cnn', 'convmixer_256_8']
"""

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from flax import nnx

from train.config import Model
from train.errors import RunError
from train.models.convmixer import convmixer_256_8, convmixer_768_32
from train.models.resnet import resnet8, resnet18, resnet50
from train.models.shufflenet import ShuffleNetV2
from train.models.vit import vit_s, vit_ti
from vmixjax.errors import none_of
from vmixjax.networks import SmallCNN

MODELS: dict[str, Callable[..., nnx.Module]] = {
    "cnn": SmallCNN,
    "convmixer_256_8": convmixer_256_8,
    "convmixer_768_32": convmixer_768_32,
    "resnet8": resnet8,
    "resnet18": resnet18,
    "resnet50": resnet50,
    "shufflenet": ShuffleNetV2,
    "vit_s": vit_s,
    "vit_ti": vit_ti,
}
"""(shape, classes, *, rngs, dtype, and what fits the model) -> a module."""
_STEMMED = ("resnet8", "resnet18", "resnet50", "shufflenet")
_PATCHED = ("convmixer_256_8", "convmixer_768_32", "vit_s", "vit_ti")


def build(
    model: Model,
    shape: tuple[int, int, int],
    classes: int,
    *,
    region: int,
    coarse: int,
    dtype: jnp.dtype,
    rngs: nnx.Rngs,
) -> nnx.Module:
    """The model that a config names.

    Args:
      model: the config.
      shape: (H, W, C) of its inputs.
      classes: how many there are.
      region: side of the largest regions, the size of patches unless the config says
        otherwise.
      coarse: pixels of the images on a side of one place of the inputs.
      dtype: that is computed in.
      rngs: for the first parameters.

    Raises:
      RunError: the name is unknown, or an option does not fit the model.
    """
    if model.name not in MODELS:
        raise RunError(none_of("--model.name", model.name, MODELS))
    options: dict[str, Any] = {}
    patch_size = model.patch_size or max(1, region // coarse)
    if model.name in _STEMMED:
        small = min(shape[:2]) * coarse < 96
        stem = model.stem
        if stem == "default":
            stem = "spread" if coarse > 1 else "cifar" if small else "imagenet"
        options["stem"] = stem
        options["saved"] = _saved_strides(stem, small, coarse, patch_size)
    elif model.stem != "default":
        raise RunError(f"--model.stem: {model.name} has one stem only; leave it out")
    if model.name in _PATCHED or options.get("stem") == "patch":
        if any(side % patch_size for side in shape[:2]):
            raise RunError(
                f"--model.patch-size {patch_size} does not divide inputs of "
                f"{shape[0]} x {shape[1]}"
            )
        options["patch_size"] = patch_size
    if model.width is not None:
        if not model.name.startswith(("resnet", "convmixer")):
            raise RunError(
                f"--model.width: {model.name} has one width only; leave it out"
            )
        options["width"] = model.width
    return MODELS[model.name](shape, classes, dtype=dtype, rngs=rngs, **options)


def _saved_strides(stem: str, small: bool, coarse: int, patch_size: int) -> int:
    """Strides that stages go without, to end with features of the usual size.

    That is the size that the CIFAR stem leads to for small images, and the ImageNet
    stem, a quarter as large, for others.
    """
    place = {"imagenet": 4, "patch": patch_size, "spread": 0.5}.get(stem, 1) * coarse
    usual = 1 if small and stem != "imagenet" else 4
    return max(0, int(math.log2(place / usual)))

"""ShuffleNet V2. Its channel shuffle is fixed and known, and no part of mixing.

References:
  Ma et al., "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design"
  (ECCV 2018, arXiv 1807.11164), figure 3 and table 5.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from train.models.layers import ConvNorm, ModelEntry, PooledClassifier
from train.models.stems import STEMS, StemName


class Unit(nnx.Module):
    """Half of the channels pass by, or with a stride both halves are worked on."""

    def __init__(self, inputs: int, outputs: int, stride: int, **options: Any) -> None:
        half = outputs // 2
        self.split = stride == 1
        entering = inputs // 2 if self.split else inputs
        self.first = ConvNorm(entering, half, 1, **options)
        self.depthwise = ConvNorm(
            half, half, 3, stride=stride, groups=half, relu=False, **options
        )
        self.last = ConvNorm(half, half, 1, **options)
        if not self.split:
            self.aside_depthwise = ConvNorm(
                inputs, inputs, 3, stride=stride, groups=inputs, relu=False, **options
            )
            self.aside_last = ConvNorm(inputs, half, 1, **options)

    def __call__(self, x: jax.Array) -> jax.Array:
        """(B, H, W, inputs) -> (B, H / stride, W / stride, outputs)."""
        if self.split:
            aside, x = jnp.split(x, 2, axis=-1)
        else:
            aside = self.aside_last(self.aside_depthwise(x))
        x = self.last(self.depthwise(self.first(x)))
        together = jnp.stack([aside, x], axis=-1)
        return together.reshape(*x.shape[:-1], 2 * x.shape[-1])


class ShuffleNetV2(PooledClassifier):
    """The network of width 1.0; its stem as of `train.models.resnet.ResNet`."""

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int,
        *,
        stem: StemName = "imagenet",
        patch_size: int = 4,
        skipped_strides: int = 0,
        **options: Any,
    ) -> None:
        inputs, units = 24, []
        self.stem = STEMS[stem].make(shape[2], inputs, 3, patch_size, **options)
        for stage, (count, width) in enumerate(((4, 116), (8, 232), (4, 464))):
            for i in range(count):
                down = i == 0 and stage >= skipped_strides
                # A unit that widens works on both halves, with or without a stride.
                units.append(
                    Unit(inputs, width, 2 if down else 1, **options)
                    if i or down
                    else ConvNorm(inputs, width, 1, **options)
                )
                inputs = width
        self.units = nnx.List(units)
        self.last = ConvNorm(inputs, 1024, 1, **options)
        self.head = nnx.Linear(1024, classes, rngs=options["rngs"])

    def features(self, x: jax.Array) -> jax.Array:
        """See `PooledClassifier.features`."""
        x = self.stem(x)
        for unit in self.units:
            x = unit(x)
        return self.last(x)


ENTRIES = (ModelEntry("shufflenet", ShuffleNetV2, ("stem",)),)

"""ShuffleNet V2: Ma et al. (ECCV 2018, arXiv 1807.11164).

Its channel shuffle is fixed and known, and no part of mixing.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from train.models.layers import ConvNorm, Spread, classify
from train.models.resnet import Stem


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


class ShuffleNetV2(nnx.Module):
    """The network of width 1.0.

    Args:
      shape: (H, W, C) of the images.
      classes: how many there are.
      stem: see `train.models.resnet.Stem`.
      patch_size: p of the patch stem.
      saved: as of `train.models.resnet.ResNet`.
      dtype: that is computed in; parameters are float32.
      rngs: for the first parameters.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int,
        *,
        stem: Stem = "imagenet",
        patch_size: int = 4,
        saved: int = 0,
        dtype: jnp.dtype | None = None,
        rngs: nnx.Rngs,
    ) -> None:
        options: dict[str, Any] = {"dtype": dtype, "rngs": rngs}
        self.pool = stem == "imagenet"
        if stem == "patch":
            self.stem: nnx.Module = ConvNorm(
                shape[2], 24, patch_size, stride=patch_size, padding="VALID", **options
            )
        elif stem == "spread":
            self.stem = Spread(shape[2], 24, **options)
        else:
            self.stem = ConvNorm(
                shape[2], 24, 3, stride=2 if self.pool else 1, **options
            )
        inputs, units = 24, []
        for stage, (count, width) in enumerate(((4, 116), (8, 232), (4, 464))):
            for i in range(count):
                down = i == 0 and stage >= saved
                # A unit that widens works on both halves, with or without a stride.
                units.append(
                    Unit(inputs, width, 2 if down else 1, **options)
                    if i or down
                    else ConvNorm(inputs, width, 1, **options)
                )
                inputs = width
        self.units = nnx.List(units)
        self.last = ConvNorm(inputs, 1024, 1, **options)
        self.head = nnx.Linear(1024, classes, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Images (B, H, W, C), floating -> logits (B, classes), float32."""
        x = self.stem(x)
        if self.pool:
            x = nnx.max_pool(x, (3, 3), (2, 2), padding=((1, 1), (1, 1)))
        for unit in self.units:
            x = unit(x)
        return classify(self.head, self.last(x))

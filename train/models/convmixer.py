"""ConvMixer: patches, then large depthwise and pointwise convolutions in turn.

References:
  Trockman and Kolter, "Patches Are All You Need?" (TMLR 2023, arXiv 2201.09792),
  section 2.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from train.models.layers import ModelEntry, PooledClassifier


class ConvGeluNorm(nnx.Module):
    """A convolution, GELU and batch norm, in this order; arguments as of `nnx.Conv`."""

    def __init__(
        self, *args: Any, dtype: jnp.dtype | None = None, rngs: nnx.Rngs, **options: Any
    ) -> None:
        self.convolution = nnx.Conv(*args, dtype=dtype, rngs=rngs, **options)
        outputs = self.convolution.out_features
        self.norm = nnx.BatchNorm(outputs, momentum=0.9, dtype=dtype, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """(B, H, W, inputs) -> (B, H / stride, W / stride, outputs)."""
        return self.norm(nnx.gelu(self.convolution(x), approximate=False))


class ConvMixer(PooledClassifier):
    """The network.

    Args:
      patch_size: Side of a patch in pixels; divides H and W.
      width: Channels everywhere.
      depth: Number of layers.
      kernel: Side of the depthwise kernels.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int,
        *,
        patch_size: int = 7,
        width: int = 768,
        depth: int = 32,
        kernel: int = 7,
        **options: Any,
    ) -> None:
        patch = (patch_size, patch_size)
        self.embed = ConvGeluNorm(
            shape[2], width, patch, strides=patch_size, padding="VALID", **options
        )
        self.across = nnx.List(
            [
                ConvGeluNorm(
                    width, width, (kernel, kernel), feature_group_count=width, **options
                )
                for _ in range(depth)
            ]
        )
        self.through = nnx.List(
            [ConvGeluNorm(width, width, (1, 1), **options) for _ in range(depth)]
        )
        self.head = nnx.Linear(width, classes, rngs=options["rngs"])

    def features(self, x: jax.Array) -> jax.Array:
        """See `PooledClassifier.features`."""
        x = self.embed(x)
        for across, through in zip(self.across, self.through, strict=True):
            x = through(x + across(x))
        return x


convmixer_256_8 = functools.partial(ConvMixer, width=256, depth=8, kernel=5)
convmixer_768_32 = functools.partial(ConvMixer, width=768, depth=32, kernel=7)

ENTRIES = (
    ModelEntry("convmixer_256_8", convmixer_256_8, ("patch_size", "width")),
    ModelEntry("convmixer_768_32", convmixer_768_32, ("patch_size", "width")),
)

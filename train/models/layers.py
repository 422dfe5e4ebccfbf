"""What models share: an entry, how a model ends, and convolution with batch norm."""

import dataclasses
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx


@dataclasses.dataclass(frozen=True)
class ModelEntry:
    """What is known of a model before it is built.

    Attributes:
      name: What users call it.
      make: Makes it: `(shape, classes, *, dtype, rngs, and the options that it takes)`.
      takes: Options of `train.config.Model` that fit it; with `"stem"`, `make` takes
        `skipped_strides` and the stem's `patch_size` too.
    """

    name: str
    make: Callable[..., nnx.Module]
    takes: tuple[Literal["stem", "patch_size", "width"], ...] = ()


class PooledClassifier(nnx.Module):
    """A model that averages its features over places and classifies the means.

    A subclass makes its layers, its `head` last, and defines `features`. All models
    have these arguments (`options` are the last two), and their own:

    Args:
      shape: (H, W, C) of the images.
      classes: Number of classes.
      dtype: Type that is computed in; parameters are float32.
      rngs: Streams that the first parameters come from.
    """

    head: nnx.Linear

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each of `stages`."""
        return (self.head.in_features,)

    def stages(self, x: jax.Array) -> list[jax.Array]:
        """Computes features of several sizes, the finest first, `features` last."""
        return [self.features(x)]

    def features(self, x: jax.Array) -> jax.Array:
        """Computes features (B, H', W', D) of images (B, H, W, C), floating."""
        raise NotImplementedError

    def __call__(self, x: jax.Array) -> jax.Array:
        """Images (B, H, W, C), floating -> logits (B, classes), float32."""
        return self.head(self.features(x).astype(jnp.float32).mean((1, 2)))


class ConvNorm(nnx.Module):
    """A convolution without bias, batch norm and, as a rule, ReLU.

    Args:
      inputs, outputs: Channels that come in, and that go out.
      size: Side of the kernel.
      stride: Step between two of its places.
      groups: Groups of channels that do not see each other.
      padding: As in `nnx.Conv`; None pads by half the kernel on every side.
      relu: Whether it ends with one.
      dtype, rngs: As of `PooledClassifier`; statistics are float32 too.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: int,
        *,
        stride: int = 1,
        groups: int = 1,
        padding: str | tuple[int, int] | None = None,
        relu: bool = True,
        dtype: jnp.dtype | None = None,
        rngs: nnx.Rngs,
    ) -> None:
        self.relu = relu
        self.convolution = nnx.Conv(
            inputs,
            outputs,
            (size, size),
            strides=stride,
            padding=(size // 2, size // 2) if padding is None else padding,
            feature_group_count=groups,
            use_bias=False,
            kernel_init=nnx.initializers.variance_scaling(2.0, "fan_out", "normal"),
            dtype=dtype,
            rngs=rngs,
        )
        self.norm = nnx.BatchNorm(outputs, momentum=0.9, dtype=dtype, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """(B, H, W, inputs) -> (B, H / stride, W / stride, outputs)."""
        x = self.norm(self.convolution(x))
        return nnx.relu(x) if self.relu else x

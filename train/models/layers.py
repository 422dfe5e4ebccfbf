"""What the convolutional models share: convolution with batch norm, and their end."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx


class ConvNorm(nnx.Module):
    """A convolution without bias, batch norm and, as a rule, ReLU.

    Args:
      inputs: channels that come in.
      outputs: channels that go out.
      size: side of the kernel.
      stride: between two of its places.
      groups: of channels that do not see each other.
      padding: as in `nnx.Conv`; None pads by half the kernel on every side.
      relu: whether it ends with one.
      dtype: that is computed in; statistics and parameters are float32.
      rngs: for the first parameters.
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


class Spread(nnx.Module):
    """Each place of coarse inputs becomes 2 x 2 places, by a layer of its own.

    The values of a region are far more than the channels of a first stage; as four
    places of them, none need be lost.

    Args:
      inputs: channels that come in.
      outputs: channels that go out.
      options: as of `ConvNorm`.
    """

    def __init__(self, inputs: int, outputs: int, **options: Any) -> None:
        self.values = ConvNorm(inputs, 4 * outputs, 1, **options)

    def __call__(self, x: jax.Array) -> jax.Array:
        """(B, H, W, inputs) -> (B, 2 * H, 2 * W, outputs)."""
        batch, height, width, _ = x.shape
        x = self.values(x).reshape(batch, height, width, 2, 2, -1)
        return x.transpose(0, 1, 3, 2, 4, 5).reshape(batch, 2 * height, 2 * width, -1)


def classify(head: nnx.Linear, x: jax.Array) -> jax.Array:
    """Features (B, H, W, D), averaged over places -> logits (B, classes), float32."""
    return head(x.astype(jnp.float32).mean((1, 2)))

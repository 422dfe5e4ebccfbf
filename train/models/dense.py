"""What says something of each place: an encoder, and a decoder that goes back up.

References:
  Lin et al., "Feature Pyramid Networks for Object Detection" (CVPR 2017, arXiv
  1612.03144), figure 3; its finest map alone is used.
"""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from flax import nnx

from train.models.layers import ConvNorm


@runtime_checkable
class Encoder(Protocol):
    """A model with features of several sizes."""

    widths: tuple[int, ...]
    """Channels of each of `stages`."""

    def stages(self, x: jax.Array) -> list[jax.Array]:
        """Images (B, H, W, C), floating -> features (B, h, w, D), the finest first."""
        ...


class DensePredictor(nnx.Module):
    """Features of all sizes, added up from the coarsest to the finest, and heads.

    Args:
      encoder: The encoder; what it has to classify whole images is taken away.
      outputs: Names of what is said of each place, each with its channels.
      width: Channels of the decoder.
      dtype, rngs: As of `PooledClassifier`.
    """

    def __init__(
        self,
        encoder: Encoder,
        outputs: Mapping[str, int],
        width: int,
        *,
        dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ) -> None:
        options: dict[str, Any] = {"dtype": dtype, "rngs": rngs}
        self.laterals = nnx.List(
            [ConvNorm(one, width, 1, relu=False, **options) for one in encoder.widths]
        )
        self.smoothed = nnx.List(
            # At the finest size what follows is a layer of each output's own.
            [ConvNorm(width, width, 3, **options) for _ in encoder.widths[1:]]
        )
        hidden = {name: ConvNorm(width, width, 3, **options) for name in outputs}
        self.hidden = nnx.Dict(hidden)
        options["kernel_init"] = nnx.initializers.normal(0.01)
        heads = {
            name: nnx.Conv(width, channels, (1, 1), **options)
            for name, channels in outputs.items()
        }
        self.heads = nnx.Dict(heads)
        encoder.head = None  # type: ignore[attr-defined]
        self.encoder = encoder

    def __call__(self, x: jax.Array) -> dict[str, jax.Array]:
        """Inputs (B, H, W, C), floating -> each output (B, h, w, channels), float32.

        Places are those of the encoder's finest features.
        """
        found = self.encoder.stages(x)
        up: jax.Array | None = None
        for i in reversed(range(len(found))):
            here = self.laterals[i](found[i])
            if up is not None:
                here = here + jax.image.resize(up, here.shape, "bilinear")
            here = nnx.relu(here)
            up = self.smoothed[i - 1](here) if i else here
        assert up is not None
        return {
            name: head(self.hidden[name](up)).astype(jnp.float32)
            for name, head in self.heads.items()
        }

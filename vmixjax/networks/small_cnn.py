"""A small convolutional network for small images, quick to train on a processor."""

import itertools

import jax
import jax.numpy as jnp
from flax import nnx


class SmallCNN(nnx.Module):
    """Three strided convolutions and a linear layer that knows places.

    Not pooled at the end: where a region lies is much of what mixing leaves.

    References:
      Ours.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int,
        *,
        dtype: jnp.dtype | None = None,
        rngs: nnx.Rngs,
    ) -> None:
        height, width, channels = shape
        widths = (channels, 16, 32, 64)
        self.convolutions = nnx.List(
            [
                nnx.Conv(a, b, (3, 3), strides=2, dtype=dtype, rngs=rngs)
                for a, b in itertools.pairwise(widths)
            ]
        )
        self.norms = nnx.List(
            [nnx.LayerNorm(b, dtype=dtype, rngs=rngs) for b in widths[1:]]
        )
        places = -(-height // 8) * -(-width // 8)
        self.head = nnx.Linear(places * widths[-1], classes, rngs=rngs)

    def __call__(self, images: jax.Array) -> jax.Array:
        """Computes logits (B, classes), float32, of images (B, H, W, C), floating."""
        x = images
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = nnx.relu(norm(convolution(x)))
        return self.head(x.reshape(len(x), -1).astype(jnp.float32))

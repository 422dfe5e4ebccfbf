"""The network of the audit's classifiers."""

import functools

import jax
from flax import nnx

from vmixjax._grid import fold
from vmixjax.networks.inputs import pad_to

GRID = 4
"""Places down and across that the features tell apart."""
FEATURES = 128


class ConvNet(nnx.Module):
    """Six convolutions and two linear layers that know places.

    Not pooled to one place at the end: where a region lies is much of what mixing
    leaves.

    References:
      Ours.
    """

    def __init__(
        self, channels: int, classes: int, *, width: int, rngs: nnx.Rngs
    ) -> None:
        conv = functools.partial(nnx.Conv, kernel_size=(3, 3), rngs=rngs)
        convolutions, norms = [], []
        inputs = 4 * channels
        for outputs in (width, 2 * width, 4 * width):
            for _ in range(2):
                convolutions.append(conv(inputs, outputs))
                norms.append(nnx.LayerNorm(outputs, rngs=rngs))
                inputs = outputs
        self.convolutions, self.norms = nnx.List(convolutions), nnx.List(norms)
        self.penultimate = nnx.Linear(GRID**2 * inputs, FEATURES, rngs=rngs)
        self.head = nnx.Linear(FEATURES, classes, rngs=rngs)

    def features(self, images: jax.Array) -> jax.Array:
        """Computes features (B, 128) of images (B, H, W, C), floating."""
        x = fold(pad_to(images, 8), 2)
        layers = list(zip(self.convolutions, self.norms, strict=True))
        for number, (convolution, norm) in enumerate(layers):
            if number in (2, 4):
                x = nnx.avg_pool(x, (2, 2), (2, 2))
            x = nnx.relu(norm(convolution(x)))
        batch, *_, channels = x.shape
        x = jax.image.resize(x, (batch, GRID, GRID, channels), "linear")
        return nnx.relu(self.penultimate(x.reshape(batch, -1)))

    def __call__(self, images: jax.Array) -> jax.Array:
        """Computes logits (B, classes) of images (B, H, W, C), floating."""
        return self.head(self.features(images))

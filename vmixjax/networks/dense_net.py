"""A small network that says something of each place of an image."""

import jax
import jax.numpy as jnp
from flax import nnx

from vmixjax._grid import fold
from vmixjax.networks import trainer
from vmixjax.networks.inputs import pad_to
from vmixjax.networks.trainer import Graph, Parameters
from vmixjax.networks.unet import UNet

CELL = 4
"""Side of a place, in pixels."""


class DenseNet(nnx.Module):
    """Two convolutions down to places of 4 pixels, and a U-Net over these.

    References:
      Ours; for the U-Net, see there.
    """

    def __init__(
        self, channels: int, outputs: int, *, width: int, rngs: nnx.Rngs
    ) -> None:
        """Makes a network from `channels` to `outputs` channels.

        Args:
          channels: channels of the images.
          outputs: numbers that are said of each place, which start as zeros.
          width: channels after the first convolution; places have twice as many.
          rngs: of the initial weights.
        """
        self.first = nnx.Conv(4 * channels, width, (3, 3), rngs=rngs)
        self.second = nnx.Conv(4 * width, 2 * width, (3, 3), rngs=rngs)
        self.unet = UNet(2 * width, outputs, width=2 * width, depth=1, rngs=rngs)

    def __call__(self, images: jax.Array) -> jax.Array:
        """Computes (B, H/4, W/4, outputs), rounded up, of images (B, H, W, C)."""
        x = fold(pad_to(images, CELL), 2)
        x = fold(nnx.gelu(self.first(x)), 2)
        return self.unet(nnx.gelu(self.second(x))).astype(jnp.float32)


def untrained(
    key: jax.Array, channels: int, outputs: int, width: int
) -> tuple[Graph, Parameters]:
    """Makes what training begins with."""
    return trainer.init_params(key, DenseNet, channels, outputs, width=width)

"""A discriminator that judges patches."""

import jax
from flax import nnx

from vmixjax._grid import fold
from vmixjax.networks.inputs import pad_to


class PatchDiscriminator(nnx.Module):
    """Tells originals from reconstructed images, patch by patch.

    References:
      Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks",
      2017, section 3.2.2 (arXiv 1611.07004): the PatchGAN. Ours is much smaller.
    """

    def __init__(self, channels: int, *, width: int, rngs: nnx.Rngs) -> None:
        self.first = nnx.Conv(4 * channels, width, (3, 3), rngs=rngs)
        self.second = nnx.Conv(4 * width, 2 * width, (3, 3), rngs=rngs)
        self.norm = nnx.LayerNorm(2 * width, rngs=rngs)
        self.last = nnx.Conv(2 * width, 1, (3, 3), rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Computes how original (B, H, W, C), floating, looks: (B, H/4, W/4, 1)."""
        x = fold(pad_to(x, 4), 2)
        x = fold(nnx.leaky_relu(self.first(x), 0.2), 2)
        return self.last(nnx.leaky_relu(self.norm(self.second(x)), 0.2))

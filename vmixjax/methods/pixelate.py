"""Pixelation: no key, nothing random, and what is left is there to see.

>>> image = jnp.arange(16, dtype=jnp.uint8).reshape(4, 4, 1)
>>> pixelate(image, block=2)[:, :, 0].tolist()
[[3, 3, 5, 5], [3, 3, 5, 5], [11, 11, 13, 13], [11, 11, 13, 13]]
"""

import jax
import jax.numpy as jnp
import numpy as np

from vmixjax.methods import _checks
from vmixjax.methods.method import from_function


def pixelate(image: jax.typing.ArrayLike, *, block: int = 8) -> jax.Array:
    """Paints each block in its mean colour.

    It is also all that a shuffle inside regions of that size leaves for certain.

    Args:
      image: (H, W, C) uint8, H and W multiples of `block`.
      block: The strength, higher is stronger: side of a block in pixels, 1 to 4096.

    Returns:
      uint8 (H, W, C); means are exact, and rounded half up.

    Raises:
      TypeError: An image that is not uint8.
      ValueError: A batch instead of one image, sides that the block does not divide.

    References:
      Folklore; as an obfuscation, and what networks see through it, McPherson, Shokri
      and Shmatikov, "Defeating Image Obfuscation with Deep Learning" (2016).
    """
    return _checks.blockwise(_pixelate, image, block)


def _pixelate(blocks: jax.Array) -> jax.Array:
    count = np.uint32(blocks.shape[1] ** 2)
    sums = blocks.sum((1, 2), jnp.uint32, keepdims=True)
    upwards = sums % count >= count - count // 2
    means = sums // count + upwards.astype(jnp.uint32)
    return jnp.broadcast_to(means.astype(jnp.uint8), blocks.shape)


METHOD = from_function(
    pixelate,
    "block",
    keys="none",
    title="pixelation",
    strengths=(2, 4, 8, 16, 32),
    known=lambda shape, block: {"region": block},
)

"""Pixelation and blur: no key, nothing random, and what is left is there to see.

>>> image = jnp.arange(16, dtype=jnp.uint8).reshape(4, 4, 1)
>>> pixelate(image, block=2)[:, :, 0].tolist()
[[3, 3, 5, 5], [3, 3, 5, 5], [11, 11, 13, 13], [11, 11, 13, 13]]
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage

from vmixjax.methods import _checks
from vmixjax.methods._blocks import from_blocks, to_blocks


def pixelate(image: jax.typing.ArrayLike, *, block: int = 8) -> jax.Array:
    """Paints each block in its mean colour.

    It is also all that a shuffle inside regions of that size leaves for certain.

    Args:
      image: (H, W, C) uint8, H and W multiples of `block`.
      block: the strength, higher is stronger: side of a block in pixels, 1 to 4096.

    Returns:
      uint8 (H, W, C); means are exact, and rounded half up.

    Raises:
      TypeError: an image that is not uint8.
      ValueError: a batch instead of one image, sides that the block does not divide.

    Source: folklore; as an obfuscation, and what networks see through it, McPherson,
    Shokri and Shmatikov, "Defeating Image Obfuscation with Deep Learning" (2016).
    """
    return _pixelate(_checks.image(image, block), int(block))


def gaussian_blur(image: jax.typing.ArrayLike, *, sigma: float = 4.0) -> jax.Array:
    """Blurs each channel by a Gaussian, with the edge repeated beyond the image.

    Args:
      image: (H, W, C) uint8.
      sigma: the strength, higher is stronger: standard deviation in pixels, over 0;
        cut off at 4 sigma.

    Returns:
      uint8 (H, W, C). Computed in float32, so that another device or batch may round
      a value the other way.

    Raises:
      TypeError: an image that is not uint8.
      ValueError: a batch instead of one image, a sigma not over 0.

    Source: as `pixelate`.
    """
    return _gaussian_blur(_checks.image(image), _checks.over_zero("sigma", sigma))


@functools.partial(jax.jit, static_argnums=1)
def _pixelate(image: jax.Array, block: int) -> jax.Array:
    blocks = to_blocks(image, block)
    count = np.uint32(block**2)
    sums = blocks.astype(jnp.uint32).sum((1, 2), keepdims=True)
    means = sums // count + (sums % count >= count - count // 2)
    means = jnp.broadcast_to(means.astype(jnp.uint8), blocks.shape)
    return from_blocks(means, image.shape)


@functools.partial(jax.jit, static_argnums=1)
def _gaussian_blur(image: jax.Array, sigma: float) -> jax.Array:
    # Linear along each axis, hence a matrix product: what accelerators do best.
    down, across = (_blur_matrix(side, sigma) for side in image.shape[:2])
    highest = jax.lax.Precision.HIGHEST
    values = jnp.einsum(
        "ih,hwc->iwc", down, image.astype(jnp.float32), precision=highest
    )
    values = jnp.einsum("jw,iwc->ijc", across, values, precision=highest)
    return jnp.round(jnp.clip(values, 0, 255)).astype(jnp.uint8)


@functools.lru_cache(maxsize=8)
def _blur_matrix(side: int, sigma: float) -> np.ndarray:
    """Row i: the weights of all places of a line in the blurred place i."""
    lines = np.eye(side, dtype=np.float64)
    blurred = ndimage.gaussian_filter1d(lines, sigma, axis=0, mode="nearest")
    return blurred.astype(np.float32)

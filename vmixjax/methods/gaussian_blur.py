"""Gaussian blur: no key, nothing random, and what is left is there to see."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage

from vmixjax.methods import _checks
from vmixjax.methods.method import from_function


def gaussian_blur(image: jax.typing.ArrayLike, *, sigma: float = 4.0) -> jax.Array:
    """Blurs each channel by a Gaussian, with the edge repeated beyond the image.

    Args:
      image: (H, W, C) uint8.
      sigma: The strength, higher is stronger: standard deviation in pixels, over 0;
        cut off at 4 sigma.

    Returns:
      uint8 (H, W, C). Computed in float32, so that another device or batch may round
      a value the other way.

    Raises:
      TypeError: An image that is not uint8.
      ValueError: A batch instead of one image, a sigma not over 0.

    References:
      As `pixelate`.
    """
    return _gaussian_blur(_checks.image(image), _checks.over_zero("sigma", sigma))


@functools.partial(jax.jit, static_argnums=1)
def _gaussian_blur(image: jax.Array, sigma: float) -> jax.Array:
    # Linear along each axis, hence a matrix product: what accelerators do best.
    down, across = (_blur_matrix(side, sigma) for side in image.shape[:2])
    highest = jax.lax.Precision.HIGHEST
    values = jnp.einsum(
        "ih,hwc->iwc", down, image.astype(jnp.float32), precision=highest
    )
    values = jnp.einsum("jw,iwc->ijc", across, values, precision=highest)
    return _checks.rounded(values)


@functools.lru_cache(maxsize=8)
def _blur_matrix(side: int, sigma: float) -> np.ndarray:
    """Row i: the weights of all places of a line in the blurred place i."""
    lines = np.eye(side, dtype=np.float64)
    blurred = ndimage.gaussian_filter1d(lines, sigma, axis=0, mode="nearest")
    return blurred.astype(np.float32)


METHOD = from_function(
    gaussian_blur,
    "sigma",
    keys="none",
    title="Gaussian blur",
    strengths=(0.5, 1, 1.5, 2, 2.5, 3, 4, 6, 8),
)

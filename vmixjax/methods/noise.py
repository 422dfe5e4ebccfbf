"""Noise whose privacy can be stated: the Gaussian mechanism, and DP-Pix.

>>> round(noise_epsilon(50.0, (32, 32, 3)))  # noise that leaves CIFAR recognisable
41156
>>> round(noise_epsilon(50_000.0, (32, 32, 3)), 2)  # a guarantee that means something
1.06
"""

import functools
import math

import jax
import jax.numpy as jnp
from scipy import optimize, special

from vmixjax import _validate
from vmixjax.methods import _checks
from vmixjax.methods._blocks import from_blocks, to_blocks


def gaussian_noise(
    key: jax.Array, image: jax.typing.ArrayLike, *, sigma: float = 50.0
) -> jax.Array:
    """Adds Gaussian noise to every value, then rounds and clips to 0 to 255.

    Args:
      key: one typed Threefry key, of its own for each image.
      image: (H, W, C) uint8.
      sigma: the strength, higher is stronger: standard deviation of the noise on the
        scale of 0 to 255, over 0. `noise_epsilon` tells what it guarantees.

    Returns:
      uint8 (H, W, C). The mean of many is biased near 0 and 255, where it is clipped.

    Raises:
      TypeError: an image that is not uint8, a key that is not typed Threefry.
      ValueError: a batch instead of one image, a sigma not over 0.

    Source: the Gaussian mechanism (Dwork and Roth, "The Algorithmic Foundations of
    Differential Privacy", 2014, appendix A) with one image as the data base.
    """
    _validate.key(key)
    image = _checks.image(image)
    return _gaussian_noise(key, image, _checks.over_zero("sigma", sigma))


def noise_epsilon(
    sigma: float, image_shape: tuple[int, int, int], *, delta: float = 1e-5
) -> float:
    """The epsilon at which `gaussian_noise` is (epsilon, delta)-private for one image.

    Neighbours are any two images of the shape: what comes out is nearly as likely
    for any other picture. Two images differ by up to 255 in every value, so the L2
    sensitivity is 255 * sqrt(H W C). This is the local guarantee that hides
    everything in the image, and its epsilon is in the thousands for any noise
    through which people still see: a number above about 10 promises nothing that can
    be put into words. It holds for ideal noise; the float32 normals that are drawn
    are not hardened against attacks on their last bits. Rounding and clipping come
    after the noise and cost nothing.

    Args:
      sigma: standard deviation of the noise on the scale of 0 to 255, over 0.
      image_shape: (H, W, C).
      delta: over 0 and below 1.

    Returns:
      The smallest epsilon, at least 0. Found by bisection in logarithms (Brent's
      method of scipy), good to about 1e-9 of itself.

    Raises:
      TypeError: a sigma or delta that is not a Python number.
      ValueError: a sigma not over 0, a delta out of range, a shape that is none.

    Source: Balle and Wang, "Improving the Gaussian Mechanism for Differential
    Privacy: Analytical Calibration and Optimal Denoising" (ICML 2018), theorem 8.
    What counts as a neighbour is our choice, the strictest.
    """
    sigma = _checks.over_zero("sigma", sigma)
    delta = _checks.over_zero("delta", delta)
    _validate.image_shape(tuple(image_shape))
    if delta >= 1:
        raise ValueError(f"delta must be over 0 and below 1; got {delta}")
    apart = 255 * math.sqrt(math.prod(image_shape)) / sigma

    def excess(epsilon: float) -> float:
        """Log of the delta of an epsilon, less that of the one asked for."""
        above = special.log_ndtr(apart / 2 - epsilon / apart)
        below = epsilon + special.log_ndtr(-apart / 2 - epsilon / apart)
        left = -math.expm1(below - above)
        return float(above) + (math.log(left) if left > 0 else -math.inf)

    target = math.log(delta)
    if excess(0.0) <= target:
        return 0.0
    # Beyond it, the first term alone is below delta.
    most = apart**2 / 2 - apart * float(special.ndtri(delta))
    return float(
        optimize.brentq(
            lambda e: max(excess(e), -1e6) - target, 0.0, most + 1, rtol=1e-9
        )
    )


def dp_pix(
    key: jax.Array,
    image: jax.typing.ArrayLike,
    *,
    epsilon: float = 1.0,
    block: int = 16,
    neighbours: int = 16,
) -> jax.Array:
    """DP-Pix: blocks of one colour, their mean with Laplace noise.

    Epsilon-private for neighbours that differ in at most m = `neighbours` pixels, by
    any amount: which of two such images it was cannot be told from what comes out by
    more than a factor exp(epsilon). An object of more than m pixels has less: k m
    pixels have k epsilon. So has an image that is protected twice.

    Args:
      key: one typed Threefry key, of its own for each image.
      image: (H, W, C) uint8, H and W multiples of `block`.
      epsilon: the strength, lower is stronger; over 0.
      block: side of a block in pixels, 1 to 4096.
      neighbours: m, how many pixels a neighbour may differ in.

    Returns:
      uint8 (H, W, C), rounded and clipped to 0 to 255 after the noise.

    Raises:
      TypeError: an image that is not uint8, a key that is not typed Threefry.
      ValueError: sides that the block does not divide, an epsilon not over 0.

    Source: Fan, "Image Pixelization with Differential Privacy" (DBSec 2018): noise of
    scale 255 m / (b^2 epsilon) for grey images. For C channels, all of which a pixel
    may differ in, ours is C times that, so that epsilon means the same; this and the
    defaults are our reading.
    """
    _validate.key(key)
    image = _checks.image(image, block)
    _validate.size("neighbours", neighbours)
    epsilon = _checks.over_zero("epsilon", epsilon)
    scale = 255 * neighbours * image.shape[2] / (block**2 * epsilon)
    return _dp_pix(key, image, scale, int(block))


@jax.jit
def _gaussian_noise(
    key: jax.Array, image: jax.Array, sigma: jax.typing.ArrayLike
) -> jax.Array:
    return _drawn(image + sigma * jax.random.normal(key, image.shape))


@functools.partial(jax.jit, static_argnums=3)
def _dp_pix(
    key: jax.Array, image: jax.Array, scale: jax.typing.ArrayLike, block: int
) -> jax.Array:
    blocks = to_blocks(image, block)
    sums = blocks.astype(jnp.uint32).sum((1, 2), keepdims=True)
    means = sums.astype(jnp.float32) / block**2
    noisy = _drawn(means + scale * jax.random.laplace(key, means.shape))
    return from_blocks(jnp.broadcast_to(noisy, blocks.shape), image.shape)


def _drawn(values: jax.Array) -> jax.Array:
    return jnp.round(jnp.clip(values, 0, 255)).astype(jnp.uint8)

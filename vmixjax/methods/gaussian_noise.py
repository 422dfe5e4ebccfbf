"""The Gaussian mechanism: noise whose privacy can be stated.

>>> round(noise_epsilon(50.0, (32, 32, 3)))  # noise that leaves CIFAR recognisable
41156
>>> round(noise_epsilon(50_000.0, (32, 32, 3)), 2)  # a guarantee that means something
1.06
"""

import math

import jax
import jax.numpy as jnp
from scipy import optimize, special

from vmixjax import _validate
from vmixjax.methods import _checks
from vmixjax.methods.method import from_function


def gaussian_noise(
    key: jax.Array, image: jax.typing.ArrayLike, *, sigma: float = 50.0
) -> jax.Array:
    """Adds Gaussian noise to every value, then rounds and clips to 0 to 255.

    Args:
      key: One typed key, of its own for each image.
      image: (H, W, C) uint8.
      sigma: The strength, higher is stronger: standard deviation of the noise on the
        scale of 0 to 255, over 0. `noise_epsilon` tells what it guarantees.

    Returns:
      uint8 (H, W, C). The mean of many is biased near 0 and 255, where it is clipped.

    Raises:
      TypeError: An image that is not uint8, a key of another kind.
      ValueError: A batch instead of one image, a sigma not over 0.

    References:
      The Gaussian mechanism (Dwork and Roth, "The Algorithmic Foundations of
      Differential Privacy", 2014, appendix A) with one image as the data base.
    """
    _validate.key(key)
    image = _checks.image(image)
    return _gaussian_noise(key, image, _checks.over_zero("sigma", sigma))


def noise_epsilon(
    sigma: float, image_shape: tuple[int, ...], *, delta: float = 1e-5
) -> float:
    """Computes the epsilon at which `gaussian_noise` is (epsilon, delta)-private.

    Neighbours are any two images of the shape: what comes out is nearly as likely
    for any other picture. Two images differ by up to 255 in every value, so the L2
    sensitivity is 255 * sqrt(H W C). This is the local guarantee that hides
    everything in the image, and its epsilon is in the thousands for any noise
    through which people still see: a number above about 10 promises nothing that can
    be put into words. It holds for ideal noise; the float32 normals that are drawn
    are not hardened against attacks on their last bits. Rounding and clipping come
    after the noise and cost nothing.

    Args:
      sigma: Standard deviation of the noise on the scale of 0 to 255, over 0.
      image_shape: (H, W, C).
      delta: Over 0 and below 1.

    Returns:
      The smallest epsilon for one image, at least 0. Found by bisection in logarithms
      (Brent's method of scipy), good to about 1e-9 of itself.

    Raises:
      TypeError: A sigma or delta that is not a Python number.
      ValueError: A sigma not over 0, a delta out of range, a shape that is none.

    References:
      Balle and Wang, "Improving the Gaussian Mechanism for Differential Privacy:
      Analytical Calibration and Optimal Denoising" (ICML 2018), theorem 8. What counts
      as a neighbour is our choice, the strictest.
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


@jax.jit
def _gaussian_noise(
    key: jax.Array, image: jax.Array, sigma: jax.typing.ArrayLike
) -> jax.Array:
    noise = sigma * jax.random.normal(key, image.shape, jnp.float32)
    return _checks.rounded(image.astype(jnp.float32) + noise)


def _guarantee(shape: tuple[int, ...], sigma: float) -> dict[str, str]:
    epsilon = f"{noise_epsilon(sigma, shape):,.0f}"
    remark = f"For a single image it is ({epsilon}, 1e-5)-differentially private."
    return {"remark": remark}


METHOD = from_function(
    gaussian_noise,
    "sigma",
    keys="each",
    title="Gaussian noise",
    strengths=(10, 20, 30, 40, 60, 80, 110, 150),
    known=_guarantee,
)

"""Peak signal-to-noise ratio."""

import jax
import numpy as np

from vmixjax.metrics.metric import Metric, pair

MOST_DECIBELS = 99
"""What counts in means for images that are equal, whose ratio is infinite."""


def psnr(originals: jax.typing.ArrayLike, images: jax.typing.ArrayLike) -> np.ndarray:
    """Computes each image's peak signal-to-noise ratio; higher is more alike.

    Args:
      originals: Images, uint8 (B, H, W, C).
      images: What came back of them, of the same shape and dtype.

    Returns:
      Decibels, float64 (B,), at least 0; infinite for images that are equal.

    Raises:
      TypeError: Images that are not uint8.
      ValueError: Shapes that differ, or are not batches.

    References:
      10 log10(255^2 / mean squared error).
    """
    originals, images = pair(originals, images)
    apart = originals.astype(np.float64) - images
    errors = np.square(apart).mean((1, 2, 3))
    with np.errstate(divide="ignore"):
        return np.asarray(10 * np.log10(255**2 / errors))


METRIC = Metric(
    name="psnr",
    prepare=lambda reference: (
        lambda images: np.minimum(psnr(reference.originals, images), MOST_DECIBELS)
    ),
    about="PSNR against the original, in decibels.",
    number=".1f",
    rank=5,
)

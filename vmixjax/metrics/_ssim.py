"""Structural similarity."""

import functools

import jax
import numpy as np
from skimage import metrics

from vmixjax.metrics.metric import Metric, pair

_RADIUS, _SIGMA = 5, 1.5


def ssim(originals: jax.typing.ArrayLike, images: jax.typing.ArrayLike) -> np.ndarray:
    """Computes each image's structural similarity, the mean over pixels and channels.

    The window is the usual Gaussian, sigma 1.5 over 11 x 11 pixels. Images smaller than
    that get the largest odd window that fits, with sigma in proportion: such values
    compare with each other only.

    Args:
      originals: Images, uint8 (B, H, W, C), H and W at least 3.
      images: What came back of them, of the same shape and dtype.

    Returns:
      Similarities, float64 (B,), -1 to 1; 1 for images that are equal, constant ones
      too.

    Raises:
      TypeError: Images that are not uint8.
      ValueError: Shapes that differ or are not batches, sides below 3.

    References:
      Wang, Bovik, Sheikh and Simoncelli, "Image Quality Assessment: From Error
      Visibility to Structural Similarity" (IEEE TIP 2004), as scikit-image has it.
    """
    originals, images = pair(originals, images)
    smallest = min(originals.shape[1:3])
    if smallest < 3:
        raise ValueError(
            f"images of {originals.shape[1]} x {originals.shape[2]} have no window of "
            f"3 x 3 to be compared in; SSIM needs sides of at least 3"
        )
    radius = min(_RADIUS, (smallest - 1) // 2)
    values = [
        metrics.structural_similarity(
            original,
            image,
            data_range=255,
            channel_axis=-1,
            gaussian_weights=True,
            sigma=_SIGMA * radius / _RADIUS,
            use_sample_covariance=False,
        )
        for original, image in zip(originals, images, strict=True)
    ]
    return np.array(values, np.float64)


METRIC = Metric(
    name="ssim",
    prepare=lambda reference: functools.partial(ssim, reference.originals),
    about="Likeness is SSIM against the original: {guess:.2f} is what a guess gets "
    "that has seen nothing (the mean public image), 1 is the original. Bold is each "
    "method's strongest.",
    number=".2f",
    rank=1,
)

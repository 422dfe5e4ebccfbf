"""Outlines that are where they were."""

import functools

import jax
import numpy as np
from skimage import filters

from vmixjax.metrics.metric import Metric, pair


def edge_correlation(
    originals: jax.typing.ArrayLike, images: jax.typing.ArrayLike
) -> np.ndarray:
    """Computes whether edges are where they were: correlation of gradient magnitudes.

    Of the mean over channels, by Sobel's filter. People recognise line drawings: this
    tells what PSNR and SSIM do not, where colours are wrong and outlines are right.

    Args:
      originals: Images, uint8 (B, H, W, C).
      images: What came back of them, of the same shape and dtype.

    Returns:
      Pearson's correlation, float64 (B,), -1 to 1. It is 0 where original or image has
      no edges, or equally strong ones everywhere: then nothing agrees, nor differs.

    Raises:
      TypeError: Images that are not uint8.
      ValueError: Shapes that differ, or are not batches.

    References:
      Ours; Sobel's filter as scikit-image has it.
    """
    a, b = (_edges(x) for x in pair(originals, images))
    spread = np.sqrt((a * a).sum(1) * (b * b).sum(1))
    together = (a * b).sum(1)
    values = np.divide(together, spread, out=np.zeros_like(spread), where=spread > 0)
    return np.clip(values, -1, 1)


def _edges(images: np.ndarray) -> np.ndarray:
    """Gradient magnitudes (B, H * W), less their mean; zeros where all are alike."""
    grey = images.mean(-1, dtype=np.float64)
    edges = np.stack([filters.sobel(one) for one in grey]).reshape(len(images), -1)
    # Constant up to roundings of the filter, which must not pass for edges.
    alike = np.ptp(edges, axis=1, keepdims=True) < 1e-9
    return np.where(alike, 0, edges - edges.mean(1, keepdims=True))


METRIC = Metric(
    name="edges",
    prepare=lambda reference: functools.partial(edge_correlation, reference.originals),
    about="Correlation of edges with those of the original: 1 is the same outlines.",
    number=".2f",
    rank=6,
)

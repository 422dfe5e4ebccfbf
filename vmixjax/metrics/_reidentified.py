"""Re-identification: whether it can be told which image something was."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from scipy.spatial.distance import cdist

from vmixjax import _grid
from vmixjax.metrics.metric import Measure, Metric, Reference, batch

MANY = 256
"""Reconstructions that are compared with all originals at a time."""

SQUARE = 8
"""Side of the squares that an audit tells images apart by, in pixels."""


def reidentified(
    originals: jax.typing.ArrayLike, images: jax.typing.ArrayLike
) -> float:
    """Computes the share of images whose own original is the nearest of all originals.

    Args:
      originals: Features (B, D) of the originals, such as `region_means`, or values of
        a network; any numbers. Chance is 1 / B.
      images: Features (B, D) of what came back, in the same order.

    Returns:
      A share, 0 to 1, by Euclidean distance. Where the nearest originals are k equally
      near ones, own one among them, the image counts 1 / k, as if one were picked
      blindly: features that say nothing score chance.

    Raises:
      ValueError: Shapes that differ or are not (B, D), values that are not finite.

    References:
      Ours; re-identification is usual where faces are protected, such as McPherson,
      Shokri and Shmatikov 2016 (arXiv 1609.00408).
    """
    a, b = np.asarray(originals, np.float64), np.asarray(images, np.float64)
    if a.shape != b.shape or a.ndim != 2 or 0 in a.shape:
        raise ValueError(
            f"originals and images must be features (B, D) of the same images; got "
            f"{a.shape} and {b.shape}"
        )
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("originals and images must be finite; got NaN or infinity")
    found = 0.0
    for start in range(0, len(b), MANY):
        distances = cdist(b[start : start + MANY], a, "sqeuclidean")
        nearest = distances == distances.min(1, keepdims=True)
        own = nearest[np.arange(len(nearest)), start + np.arange(len(nearest))]
        found += float((own / nearest.sum(1)).sum())
    return found / len(b)


def region_means(images: jax.typing.ArrayLike, region: int) -> np.ndarray:
    """Computes the mean colour of each region, as features for `reidentified`.

    What mixing inside regions never hides, and so the fewest features that an attacker
    has.

    Args:
      images: Images, uint8 (B, H, W, C), H and W multiples of `region`.
      region: Side of a region in pixels.

    Returns:
      Means, float64 (B, H // region * W // region * C), 0 to 255.

    Raises:
      TypeError: Images that are not uint8.
      ValueError: No batch, or sides that the region does not divide.

    References:
      Ours.
    """
    images = batch("images", images)
    height, width = images.shape[1:3]
    if region < 1 or height % region or width % region:
        raise ValueError(
            f"region of {region} does not divide images of {height} x {width}; choose "
            f"a size that does"
        )
    means = _grid.cut(images, region).mean((2, 4), np.float64)
    return means.reshape(len(images), -1)


def _prepare(reference: Reference) -> Measure:
    """By what tells most: mean colours of squares, or what a classifier sees."""
    ways: list[Callable[[np.ndarray], Any]] = [lambda x: region_means(x, SQUARE)]
    if reference.classifier is not None:
        ways.append(reference.classifier.features)
    known = [(way, way(reference.originals)) for way in ways]
    return lambda images: max(reidentified(own, way(images)) for way, own in known)


METRIC = Metric(
    name="reidentified",
    prepare=_prepare,
    about="Share of the images whose original is the nearest of all {images}, where "
    "luck gives {chance:.1%}.",
    number=".0%",
    rank=2,
)

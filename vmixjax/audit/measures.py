"""How images that came back are measured."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from vmixjax.entropy import vfe
from vmixjax.metrics import Measure

LIKENESS = "ssim"
"""The metric by which single images are ordered, in pictures of an audit."""

RECOGNISED = "recognised"
"""The metric that an attack is measured by that tells classes and gives no images."""

TILE = 8
"""Of the VFE in the report, in pixels: every image is made of whole eights."""


def measure(
    measures: Mapping[str, Measure | None], images: np.ndarray
) -> dict[str, Any]:
    """Measures images that came back, against the originals.

    Args:
      measures: As each metric prepares them, by its name.
      images: What came back, uint8 (B, H, W, C), in the originals' order.

    Returns:
      Mean of each metric by name, None where it has none; and `ssim_each`.
    """
    found = {name: None if of is None else of(images) for name, of in measures.items()}
    means = {
        name: None if value is None else float(np.mean(value))
        for name, value in found.items()
    }
    return {**means, "ssim_each": np.asarray(found[LIKENESS]).tolist()}


def mean_vfe(images: np.ndarray) -> float:
    """Computes the mean VFE of images, uint8 (B, H, W, C)."""
    of_each: Callable[[np.ndarray], jax.Array] = jax.jit(
        jax.vmap(lambda image: vfe(image, TILE))
    )
    return float(of_each(images).mean())

"""Strength: a place in an image's own reachable range of VFE."""

import math

import jax
import numpy as np

from vmixjax.config import MixConfig
from vmixjax.planning import vfe_range


def target_at(
    strength: float,
    image: np.ndarray | jax.Array,
    config: MixConfig,
    *,
    sensitivity: np.ndarray | None = None,
) -> float:
    """The target VFE at a strength: lowest + strength * (highest - lowest).

    Args:
      strength: 0 to 1. Every private tile is mixed at 0, too.
      image: (H, W, C) of whole tiles.
      config: tile size, ladder and channel mode.
      sensitivity: as for `vmixjax.plan`.

    Returns:
      The target; infinity at strength 1. The top of the range is reached before the
      last step where a stronger level adds no VFE to a tile, and the strongest plan
      shuffles those tiles as well.
    """
    if strength == 1:
        return math.inf
    lowest, highest = map(float, vfe_range(image, config, sensitivity=sensitivity))
    return lowest + strength * (highest - lowest)

"""Strength: a place in an image's own reachable range of VFE."""

import jax
import jax.numpy as jnp

from vmixjax.config import MixConfig
from vmixjax.planning import vfe_range


def target_at(
    strength: jax.typing.ArrayLike,
    image: jax.typing.ArrayLike,
    config: MixConfig,
    *,
    sensitivity: jax.typing.ArrayLike | None = None,
) -> jax.Array:
    """The target VFE at a strength: lowest + strength * (highest - lowest).

    Args:
      strength: 0 to 1. Every private tile is mixed at 0, too.
      image: (H, W, C) of whole tiles.
      config: tile size, ladder and channel mode.
      sensitivity: as for `vmixjax.plan`.

    Returns:
      The target, float32; infinity at strength 1. The top of the range is reached
      before the last step where a stronger level adds no VFE to a tile, and the
      strongest plan shuffles those tiles as well.
    """
    lowest, highest = vfe_range(image, config, sensitivity=sensitivity)
    between = lowest + jnp.float32(strength) * (highest - lowest)
    return jnp.where(jnp.float32(strength) == 1, jnp.inf, between)

"""Plans from levels that a rule gave."""

import jax
import jax.numpy as jnp

from vmixjax.config import MixConfig
from vmixjax.entropy import expected_vfe_map
from vmixjax.planning import Plan


def with_levels(image: jax.Array, levels: jax.Array, config: MixConfig) -> Plan:
    """A plan of an image: its levels (H // T, W // T), and what can be expected."""
    expected = jnp.take_along_axis(
        expected_vfe_map(image, config), levels[None].astype(jnp.int32), axis=0
    )
    return Plan(levels.astype(jnp.uint8), expected.mean(), jnp.bool_(True), config)

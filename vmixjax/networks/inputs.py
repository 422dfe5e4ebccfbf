"""How images become what a network takes."""

import jax
import jax.numpy as jnp


def centred(images: jax.Array) -> jax.Array:
    """Brings uint8 values of any shape to float32 from -0.5 to 0.5."""
    return images.astype(jnp.float32) / 255 - 0.5

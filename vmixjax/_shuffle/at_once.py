"""A batch of images at once, for compilers that fuse stages by themselves."""

import jax
import jax.numpy as jnp
import numpy as np

from vmixjax._shuffle.apply import apply_stages
from vmixjax._shuffle.cipher import KEY_WORDS
from vmixjax._shuffle.layout import Batch, TileRows
from vmixjax.config import MixConfig


def permute_images(batch: Batch, config: MixConfig, inverse: bool) -> jax.Array:
    """`permute` for batches of any dtype."""
    return jax.vmap(lambda one: permute_image(one, config, inverse))(batch)


def permute_image(one: Batch, config: MixConfig, inverse: bool) -> jax.Array:
    """All rows of tiles of one image at once."""
    image, key_data, levels = one
    height, width, channels = image.shape
    number = np.arange(height // config.tile_size, dtype=np.uint32)
    # One axis at a time: under explicit sharding JAX follows only such reshapes.
    lines = image.reshape(height, width * channels)
    # Batched as the key is: explicit sharding joins nothing else.
    nought = key_data[0] & np.uint32(0)
    rows = TileRows(
        lines.reshape(number.size, config.tile_size, width * channels),
        jnp.broadcast_to(key_data, (number.size, 1, KEY_WORDS)),
        (jnp.asarray(number) | nought)[:, None],
        jnp.broadcast_to(nought, (number.size, 1)),
        levels,
    )
    mixed = apply_stages(rows, config, channels, inverse=inverse, materialized=False)
    return mixed.reshape(height, width * channels).reshape(image.shape)

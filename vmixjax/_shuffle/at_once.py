"""A batch of images at once, for compilers that fuse stages by themselves."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from vmixjax._shuffle.apply import apply_stages
from vmixjax._shuffle.layout import TileRows
from vmixjax.config import MixConfig


def permute_images(
    key_data: jax.Array,
    images: jax.Array,
    levels: jax.Array,
    *,
    config: MixConfig,
    inverse: bool,
) -> jax.Array:
    """`permute` for (B, ...) arrays of any dtype."""
    one = functools.partial(permute_image, config=config, inverse=inverse)
    return jax.vmap(one)(key_data, images, levels)


def permute_image(
    key_data: jax.Array,
    image: jax.Array,
    levels: jax.Array,
    *,
    config: MixConfig,
    inverse: bool,
) -> jax.Array:
    """All rows of tiles of one image at once."""
    height, width, channels = image.shape
    number = np.arange(height // config.tile_size, dtype=np.uint32)
    # One axis at a time: under explicit sharding JAX follows only such reshapes.
    lines = image.reshape(height, width * channels)
    rows = TileRows(
        lines.reshape(number.size, config.tile_size, width * channels),
        jnp.broadcast_to(key_data, (number.size, 1, 2)),
        # Batched as the key is: explicit sharding joins nothing else.
        (jnp.asarray(number) | (key_data[0] & np.uint32(0)))[:, None],
        levels,
    )
    mixed = apply_stages(rows, config, channels, inverse=inverse, materialized=False)
    return mixed.reshape(height, width * channels).reshape(image.shape)

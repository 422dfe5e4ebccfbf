"""Keyed bijections: each region's blocks trade places, as a key says.

A shuffle is a sequence of stages (see `stages.py`): in each, all groups of blocks that
differ in one digit of their number turn that digit by a random amount of their own.
For a binary digit that is a swap of two blocks or none, so the whole is a few dozen
selects between neighbours at fixed distances: no sort, no index map and no gather,
which suits vector units everywhere, TPUs above all. Backwards, the same stages undo
it.

The random bytes are those of ChaCha8 at explicit counters (place along the row, of the
block's first pixel; row of tiles), one for a column of a tile or of several. No JAX
flag, batch shape, image size, device count or backend can change a bit: all of it is
integer arithmetic, one place at a time.

References:
  The stages are ours, of the kind of Benes' and of Thorp's shuffle; the paper (Li et
  al., NDSS 2024) draws one uniform permutation for a whole batch.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vmixjax._shuffle import at_once, platforms
from vmixjax._shuffle.bits import tiles_per_block
from vmixjax._shuffle.layout import Batch, TileRows
from vmixjax._shuffle.stages import stages
from vmixjax.config import MixConfig


@functools.partial(jax.custom_jvp, nondiff_argnums=(3, 4))
def permute(
    key_data: jax.Array,
    image: jax.Array,
    levels: jax.Array,
    config: MixConfig,
    inverse: bool,
) -> jax.Array:
    """Shuffles the blocks of each region, or with `inverse` brings them back.

    Args:
      key_data: uint32 (8,), the words of a key.
      image: (H, W, C), any dtype; so is what comes back, each value exactly once.
      levels: uint8 (H // T, W // T), the level of each tile, 0 to len(ladder).
      config: tile size, ladder and channel mode.
      inverse: whether to undo the shuffle of the same key, levels and config.
    """
    # As integers, since arithmetic units may rewrite a NaN that only passes through.
    whole = jnp.dtype(f"uint{8 * image.dtype.itemsize}")
    bits = jax.lax.bitcast_convert_type(image, whole)
    batch = _permute_batch(config, inverse)(key_data[None], bits[None], levels[None])
    return jax.lax.bitcast_convert_type(batch[0], image.dtype)


def permute_rows(
    rows: TileRows, config: MixConfig, channels: int, *, inverse: bool
) -> jax.Array:
    """Shuffles rows of tiles of any images, as `permute` shuffles each image whole.

    Args:
      rows: Rows of pieces, of unsigned integers; each is of whole `tiles_together`.
      config: Tile size, ladder and channel mode.
      channels: Channels C of all the images.
      inverse: As of `permute`.

    Returns:
      Values, as they were laid out.
    """
    return platforms.permute_rows(rows, config, channels, inverse)


def tiles_together(config: MixConfig, channels: int) -> int:
    """Tells how many tiles, side by side, can only be shuffled together."""
    return tiles_per_block(stages(config, channels), config)


@permute.defjvp
def _permute_jvp(
    config: MixConfig, inverse: bool, primals: Any, tangents: Any
) -> tuple[jax.Array, Any]:
    key_data, image, levels = primals
    mixed = permute(key_data, image, levels, config, inverse)
    if not jnp.issubdtype(image.dtype, jnp.floating):
        return mixed, np.zeros(image.shape, jax.dtypes.float0)
    # Linear in the image; by selects, which JAX can transpose and batch again.
    one = Batch(tangents[1], key_data, levels)
    return mixed, at_once.permute_image(one, config, inverse)


@functools.lru_cache
def _permute_batch(config: MixConfig, inverse: bool) -> Any:
    """`permute` for (B, ...) arrays, which vmap makes larger instead of deeper."""

    @jax.custom_batching.custom_vmap
    def batch(key_data: jax.Array, images: jax.Array, levels: jax.Array) -> jax.Array:
        return platforms.permute_images(
            Batch(images, key_data, levels), config, inverse
        )

    @batch.def_vmap
    def _(size: int, batched: list[bool], *arrays: jax.Array) -> tuple[jax.Array, bool]:
        like = arrays[batched.index(True)]
        if size == 0:
            return jnp.zeros((0, *arrays[1].shape[batched[1] :]), arrays[1].dtype), True
        wide = [
            x if mapped else _widened(x, like)
            for x, mapped in zip(arrays, batched, strict=True)
        ]
        mixed = batch(*(x.reshape(-1, *x.shape[2:]) for x in wide))
        return mixed.reshape(wide[1].shape), True

    return batch


def _widened(x: jax.Array, like: jax.Array) -> jax.Array:
    """One x for each of a batch of integers, sharded over it as they are."""
    zero = like[(slice(None), *[0] * (like.ndim - 1))].astype(x.dtype)
    return x[None] | (zero & np.zeros((), x.dtype)).reshape(-1, *[1] * x.ndim)

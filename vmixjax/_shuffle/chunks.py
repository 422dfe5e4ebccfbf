"""A batch of images, as much at a time as a CPU's caches hold.

A stage over a whole batch would go through memory each time. So all stages run over
some rows of tiles, of whichever images, before any runs over the next.
"""

import functools

import jax
import jax.numpy as jnp

from vmixjax._shuffle import at_once
from vmixjax._shuffle.apply import apply_stages
from vmixjax._shuffle.cipher import KEY_WORDS
from vmixjax._shuffle.layout import Batch, TileRows
from vmixjax.config import MixConfig

# Values that the CPU works on at once: small enough for its caches, large enough
# that starting a stage costs little beside running it.
_CHUNK_BYTES = 900_000
# Rows shorter than this would waste vector units: narrow images lie side by side.
_ROW_VALUES = 200


def permute_images(batch: Batch, config: MixConfig, inverse: bool) -> jax.Array:
    """`permute` for batches of unsigned integers."""
    if not _runs_on_one_device(batch.images):
        return at_once.permute_images(batch, config, inverse)
    shape = batch.images.shape
    units = _units(batch, config.tile_size)
    count = units.values.shape[0]
    apply = functools.partial(
        _apply_to_chunk, config=config, channels=shape[3], inverse=inverse
    )
    size = units.values[0].size * units.values.dtype.itemsize
    chunk = max(1, _CHUNK_BYTES // size)
    if not _is_known(count):
        # So many there are at the least, in a batch of one.
        chunk = min(chunk, shape[1] // config.tile_size)
    elif count <= chunk:
        return apply(units).reshape(shape)

    def step(i: jax.Array, mixed: jax.Array) -> jax.Array:
        # The last chunk may overlap the one before: what it writes twice is the same.
        start = jnp.minimum(i * chunk, count - chunk)
        some = jax.tree.map(
            lambda x: jax.lax.dynamic_slice_in_dim(x, start, chunk), units
        )
        return jax.lax.dynamic_update_slice_in_dim(mixed, apply(some), start, 0)

    empty = jnp.zeros_like(units.values)
    mixed = jax.lax.fori_loop(0, -(-count // chunk), step, empty)
    return mixed.reshape(shape)


def _runs_on_one_device(images: jax.Array) -> bool:
    """Whether nobody will split the batch: a loop over it would undo the split."""
    kind = jax.typeof(images)
    if getattr(kind, "vma", ()):  # inside shard_map: already split
        return True
    if any(kind.sharding.spec):  # explicitly split, if only over one device
        return False
    return jax.default_backend() != "cpu" or jax.device_count() == 1


def _is_known(count: object) -> bool:
    """Whether a size is a number, and not a symbol, as `jax.export` allows them."""
    return isinstance(count, int)


def _units(batch: Batch, tile: int) -> TileRows:
    """What a chunk has so many of: a row of tiles, or images that lie side by side.

    Returns:
      Arrays (units, images side by side, rows of tiles, ...).
    """
    count, height, width, channels = batch.images.shape
    most = max(1, _ROW_VALUES // (width * channels)) if _is_known(count) else 1
    abreast = max(k for k in range(1, most + 1) if count % k == 0)
    rows = height // tile
    number = jnp.broadcast_to(jnp.arange(rows, dtype=jnp.uint32), (count, rows))
    shape = (-1, abreast, rows) if abreast > 1 else (-1, 1, 1)
    return TileRows(
        batch.images.reshape(*shape, tile, width * channels),
        jnp.broadcast_to(batch.key_data[:, None], (count, rows, KEY_WORDS)).reshape(
            *shape, KEY_WORDS
        ),
        number.reshape(*shape, 1),
        jnp.zeros((*number.reshape(shape).shape, 1), jnp.uint32),
        batch.levels.reshape(*shape, width // tile),
    )


def _apply_to_chunk(
    units: TileRows, config: MixConfig, channels: int, inverse: bool
) -> jax.Array:
    """The values of some units, shuffled."""
    some, abreast, rows, tile, length = units.values.shape
    values, keys, number, first, levels = (jnp.swapaxes(x, 1, 2) for x in units)
    mixed = apply_stages(
        TileRows(
            values.swapaxes(2, 3).reshape(some * rows, tile, -1),
            keys.reshape(some * rows, abreast, KEY_WORDS),
            number.reshape(some * rows, abreast),
            first.reshape(some * rows, abreast),
            levels.reshape(some * rows, -1),
        ),
        config,
        channels,
        inverse=inverse,
        materialized=True,
    )
    return mixed.reshape(some, rows, tile, abreast, length).transpose(0, 3, 1, 2, 4)

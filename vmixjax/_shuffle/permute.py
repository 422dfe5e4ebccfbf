"""Keyed bijections: each region's blocks trade places, as a key says.

A shuffle is a network of stages (see `_shuffle.stages`): in each, all groups of blocks
that differ in one digit of their number turn that digit by a random amount of their
own. For a binary digit that is a swap of two blocks or none, so the whole is a few
dozen selects between neighbours at fixed distances: no sort, no index map and no
gather, which suits vector units everywhere, TPUs above all. Backwards, the same
turns undo it.

The random bytes are Threefry-2x32 words of explicit counters (strip of tiles, byte,
row; place along the row, of the block's first pixel), eight rows to a call. No JAX
flag, batch shape, device count or backend can change a bit: all of it is integer
arithmetic, one place at a time.

On CPU, where a stage over a whole batch would go through memory each time, the same
stages run over as many strips of tiles as the caches hold, one lot after the other.
Elsewhere the compiler sees them all at once and fuses them.

Source: the network is ours (stages of the kind of Benes' and of Thorp's shuffle); the
paper draws one uniform permutation for a whole batch.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vmixjax._shuffle.apply import Strips, turn_strips
from vmixjax.config import MixConfig

# Values that the CPU works on at once: small enough for its caches, large enough
# that starting a stage costs little beside running it.
_LOT_BYTES = 900_000
# Rows shorter than this would waste vector units: narrow images lie side by side.
_ROW_VALUES = 200


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
      key_data: uint32 (2,), the words of a Threefry key.
      image: (H, W, C), any dtype.
      levels: uint8 (H // T, W // T), the level of each tile, 0 to len(ladder).
      config: tile size, ladder and channel mode.
      inverse: whether to undo the shuffle of the same key, levels and config.

    Returns:
      Same shape and dtype; each value of the image exactly once.
    """
    # As integers, since arithmetic units may rewrite a NaN that only passes through.
    whole = jnp.dtype(f"uint{8 * image.dtype.itemsize}")
    bits = jax.lax.bitcast_convert_type(image, whole)
    batch = _permute_batch(config, inverse)(key_data[None], bits[None], levels[None])
    return jax.lax.bitcast_convert_type(batch[0], image.dtype)


@permute.defjvp
def _permute_jvp(
    config: MixConfig, inverse: bool, primals: Any, tangents: Any
) -> tuple[jax.Array, Any]:
    key_data, image, levels = primals
    mixed = permute(key_data, image, levels, config, inverse)
    if not jnp.issubdtype(image.dtype, jnp.floating):
        return mixed, np.zeros(image.shape, jax.dtypes.float0)
    # Linear in the image; by selects, which JAX can transpose and batch again.
    moved = _permute_image(
        key_data, tangents[1], levels, config=config, inverse=inverse
    )
    return mixed, moved


@functools.lru_cache
def _permute_batch(config: MixConfig, inverse: bool) -> Any:
    """`permute` for (B, ...) arrays, which vmap makes larger instead of deeper."""
    image = functools.partial(_permute_image, config=config, inverse=inverse)
    in_lots = functools.partial(_permute_in_lots, config=config, inverse=inverse)

    @jax.custom_batching.custom_vmap
    def batch(key_data: jax.Array, images: jax.Array, levels: jax.Array) -> jax.Array:
        at_once = jax.vmap(image)
        on_cpu = in_lots if _runs_on_one_device(images) else at_once
        return jax.lax.platform_dependent(
            key_data, images, levels, cpu=on_cpu, default=at_once
        )

    @batch.def_vmap
    def _(size: int, batched: list[bool], *arrays: jax.Array) -> tuple[jax.Array, bool]:
        like = next(x for x, mapped in zip(arrays, batched, strict=True) if mapped)
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
    return x | (zero & np.zeros((), x.dtype)).reshape(-1, *[1] * x.ndim)


def _runs_on_one_device(images: jax.Array) -> bool:
    """Whether nobody will split the batch: a loop over it would undo the split."""
    if getattr(jax.typeof(images), "vma", ()):  # inside shard_map: already split
        return True
    return jax.default_backend() != "cpu" or jax.device_count() == 1


def _permute_image(
    key_data: jax.Array,
    image: jax.Array,
    levels: jax.Array,
    *,
    config: MixConfig,
    inverse: bool,
) -> jax.Array:
    """All strips of one image at once."""
    height, width, channels = image.shape
    number = np.arange(height // config.tile_size, dtype=np.uint32)
    # One axis at a time: under explicit sharding JAX follows only such reshapes.
    rows = image.reshape(height, width * channels)
    strips = Strips(
        rows.reshape(number.size, config.tile_size, width * channels),
        jnp.broadcast_to(key_data, (number.size, 1, 2)),
        # Batched as the key is: explicit sharding joins nothing else.
        (jnp.asarray(number) | (key_data[0] & np.uint32(0)))[:, None],
        levels,
    )
    turned = turn_strips(strips, config, channels, inverse=inverse, apart=False)
    return turned.reshape(height, width * channels).reshape(image.shape)


def _permute_in_lots(
    key_data: jax.Array,
    images: jax.Array,
    levels: jax.Array,
    *,
    config: MixConfig,
    inverse: bool,
) -> jax.Array:
    """As many strips at a time as the caches hold, of whichever images."""
    batch, height, width, channels = images.shape
    tile = config.tile_size
    most = max(1, _ROW_VALUES // (width * channels))
    beside = max(k for k in range(1, most + 1) if batch % k == 0)
    # A lot is so many strips or, where images lie side by side, so many groups of them.
    strips = height // tile
    number = jnp.broadcast_to(jnp.arange(strips, dtype=jnp.uint32), (batch, strips))
    units = (-1, beside, strips) if beside > 1 else (-1, 1, 1)
    parts = (
        images.reshape(*units, tile, width * channels),
        jnp.broadcast_to(key_data[:, None], (batch, strips, 2)).reshape(*units, 2),
        number.reshape(*units, 1),
        levels.reshape(*units, width // tile),
    )
    count, _, strips, *_ = parts[0].shape

    def turn(parts: tuple[jax.Array, ...]) -> jax.Array:
        values, keys, number, levels = (jnp.swapaxes(x, 1, 2) for x in parts)
        some = len(values) * strips
        turned = turn_strips(
            Strips(
                values.swapaxes(2, 3).reshape(some, tile, -1),
                keys.reshape(some, beside, 2),
                number.reshape(some, beside),
                levels.reshape(some, -1),
            ),
            config,
            channels,
            inverse=inverse,
            apart=True,
        )
        turned = turned.reshape(-1, strips, tile, beside, width * channels)
        return turned.transpose(0, 3, 1, 2, 4)

    lot = max(1, _LOT_BYTES // (parts[0][0].size * images.dtype.itemsize))
    if count <= lot:
        return turn(parts).reshape(images.shape)

    def step(i: jax.Array, turned: jax.Array) -> jax.Array:
        # The last lot may overlap the one before: what it writes twice is the same.
        start = jnp.minimum(i * lot, count - lot)
        some = jax.tree.map(
            lambda x: jax.lax.dynamic_slice_in_dim(x, start, lot), parts
        )
        return jax.lax.dynamic_update_slice_in_dim(turned, turn(some), start, 0)

    empty = jnp.zeros_like(parts[0])
    return jax.lax.fori_loop(0, -(-count // lot), step, empty).reshape(images.shape)

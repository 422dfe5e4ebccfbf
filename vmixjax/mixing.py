"""Mix, unmix, and the form that no key changes.

>>> import jax.numpy as jnp
>>> import vmixjax
>>> config = vmixjax.MixConfig(tile_size=4, ladder=((4, 1),))
>>> image = jnp.arange(16, dtype=jnp.uint8).reshape(4, 4, 1)
>>> plan = vmixjax.full_plan(image.shape, config)
>>> key = vmixjax.key(vmixjax.new_secret())
>>> mixed = vmixjax.mix(key, image, plan)
>>> bool((mixed == image).all()), bool((vmixjax.unmix(key, mixed, plan) == image).all())
(False, True)

Batches are `jax.vmap(vmixjax.mix)(keys, images, plans)`, one key for each image.
"""

import functools

import jax
import jax.numpy as jnp

from vmixjax import _validate
from vmixjax._grid import cut, join
from vmixjax._shuffle import permute
from vmixjax._shuffle.prng import full_length
from vmixjax.config import CHANNEL_MODES, Channels, MixConfig, check_channels
from vmixjax.planning import Plan


def mix(key: jax.Array, image: jax.typing.ArrayLike, plan: Plan) -> jax.Array:
    """Shuffles the blocks of each region of an image, as its plan says.

    Values only trade places: no arithmetic touches them, so each region keeps
    exactly its values (per channel; over all channels in `"joint"` mode).

    Args:
      key: One typed key, from `vmixjax.key` wherever the mixed image goes to somebody
        else. Inside a training step a plain Threefry key will do, which protects
        nothing. Never use one key for two images: with the same plan they would be
        shuffled alike, and one known pair would undo both.
      image: (H, W, C) uint8, uint16 or floating, H and W multiples of the tile size.
      plan: Plan of this image, from `plan` or `full_plan`.

    Returns:
      The mixed image: same shape, same dtype.

    Raises:
      TypeError: A key of another kind, or that is not typed; another dtype of image.
      ValueError: A batch instead of one image, sides that are not whole tiles,
        a plan for another shape, a count of blocks with a prime factor above 1021.

    References:
      Li et al., NDSS 2024 (arXiv 2404.04098), "spatial and chromatic shuffling", for
      what is shuffled. How it is shuffled is ours (`vmixjax._shuffle`).
    """
    return _rearrange(key, image, plan, inverse=False)


def unmix(key: jax.Array, image: jax.typing.ArrayLike, plan: Plan) -> jax.Array:
    """Inverts `mix` exactly: the same key and plan bring every value back.

    Args:
      key: Key that the image was mixed with.
      image: Mixed image, (H, W, C) uint8, uint16 or floating.
      plan: Plan that it was mixed by.

    Returns:
      The original image, bit for bit; same shape, same dtype. A wrong key or plan
      gives another shuffle, not an error.

    Raises:
      TypeError, ValueError: Causes as `mix` has them.

    References:
      Ours. The paper does not undo its shuffling.
    """
    return _rearrange(key, image, plan, inverse=True)


def canonical(
    image: jax.typing.ArrayLike,
    region_size: int,
    *,
    channels: Channels = "independent",
) -> jax.Array:
    """Sorts the values of each region, which undoes no shuffle but forgets which.

    What a fresh key leaves unchanged in a region is its values, not their places.
    Sorted, they are the same for every key: `canonical(mix(key, x, p), s)` equals
    `canonical(x, s)` for any key, where s is the largest region size of the ladder.
    A trainer who knows no key can apply it before the model.

    Args:
      image: (H, W, C) uint8, uint16 or floating, mixed or not.
      region_size: Side of the regions in pixels; divides H and W.
      channels: Channel mode that the image was mixed in. In `"joint"` mode values
        changed channels, so a region is sorted over all of them, channel after
        channel.

    Returns:
      Same shape and dtype; ascending in raster order within each region.

    Raises:
      TypeError: Another dtype of image.
      ValueError: A batch, or sides that the region size does not divide.

    References:
      Ours.
    """
    _validate.size("region_size", region_size)
    image = _validate.image(image, region_size)
    check_channels(channels)
    crosses = CHANNEL_MODES[channels].crosses_channels
    return _canonical(image, int(region_size), crosses)


def _rearrange(
    key: jax.Array, image: jax.typing.ArrayLike, plan: Plan, *, inverse: bool
) -> jax.Array:
    _validate.key(key)
    if not isinstance(plan, Plan):
        raise TypeError(f"plan must be a vmixjax.Plan; got {type(plan).__name__}")
    image = _validate.image(image, plan.config.tile_size)
    _validate.levels(plan.levels, image.shape, plan.config)
    _validate.grid_of_blocks(plan.config, image.shape[2])
    return _permute(key, image, plan.levels, plan.config, inverse)


@functools.partial(jax.jit, static_argnums=(3, 4))
def _permute(
    key: jax.Array,
    image: jax.Array,
    levels: jax.Array,
    config: MixConfig,
    inverse: bool,
) -> jax.Array:
    import chex  # and with it test frameworks: not before it is used

    mixed = permute(full_length(key), image, levels, config, inverse)
    chex.assert_equal_shape([mixed, image])
    chex.assert_type(mixed, image.dtype)
    return mixed


@functools.partial(jax.jit, static_argnums=(1, 2))
def _canonical(image: jax.Array, region: int, crosses: bool) -> jax.Array:
    regions = cut(image, region).transpose(0, 2, 4, 1, 3)
    rows, columns, channels = regions.shape[:3]
    sorted_together = (rows, columns) if crosses else (rows, columns, channels)
    together = regions.reshape(*sorted_together, -1)
    if jnp.issubdtype(image.dtype, jnp.integer):
        # Equal integers are alike, and where values are sorted side by side, keeping
        # their order takes an index for each of them, four times an image.
        values = jax.lax.platform_dependent(
            together,
            cpu=functools.partial(jnp.sort, axis=-1),
            default=functools.partial(jnp.sort, axis=-1, stable=False),
        )
    else:
        values = jnp.sort(together, axis=-1)
    return join(values.reshape(regions.shape).transpose(0, 3, 1, 4, 2))

"""Batches of images of one shape, compiled once for each shape.

A batch is filled up with copies of its last image, so that all batches of a shape run
the same program; what comes out for an image does not depend on the others.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from vmixjax.config import MixConfig
from vmixjax.entropy import vfe
from vmixjax.mixing import mix, unmix
from vmixjax.planning import Plan, full_plan, plan, target_vfe
from vmixjax.release.recipe import Recipe

_VALUES = 2**23
"""Of all images in a batch: enough to keep a device busy, little memory."""

_MOST = 256
"""Images in a batch, however small."""


@dataclasses.dataclass(frozen=True)
class Planned:
    """What a plan promises for one image.

    Attributes:
      levels: uint8 (H // T, W // T).
      vfe: of the image as it is.
      reachable: whether the VFE that was asked for lies in the image's range.
    """

    levels: np.ndarray
    vfe: float
    reachable: bool


def batch_size(shape: tuple[int, ...]) -> int:
    """How many images of a shape make a batch.

    A power of two, so that as many images as are worked on together are whole batches.
    """
    most = max(1, min(_MOST, _VALUES // math.prod(shape)))
    return int(2 ** math.floor(math.log2(most)))


def plan_batch(
    images: Sequence[np.ndarray],
    sensitivities: Sequence[np.ndarray] | None,
    recipe: Recipe,
) -> list[Planned]:
    """Plans images of one shape, at most `batch_size` of them."""
    count, full = len(images), batch_size(images[0].shape)
    filled = _filled(images, full)
    masks = None if sensitivities is None else _filled(sensitivities, full)
    if recipe.target_vfe is None and recipe.strength == 1:
        found = _strongest(filled, masks, recipe.config)
    else:
        target = np.nan if recipe.target_vfe is None else recipe.target_vfe
        found = _plan(
            filled,
            masks,
            np.float32(recipe.strength),
            np.float32(target),
            recipe.config,
        )
    levels, before, reachable = jax.device_get(found)
    return [
        Planned(levels=levels[i], vfe=float(before[i]), reachable=bool(reachable[i]))
        for i in range(count)
    ]


def mix_batch(
    keys: Sequence[np.ndarray],
    images: Sequence[np.ndarray],
    levels: Sequence[np.ndarray],
    config: MixConfig,
) -> tuple[np.ndarray, np.ndarray]:
    """Mixed images (N, H, W, C) and their VFE (N,); keys are uint32 (2,)."""
    full = batch_size(images[0].shape)
    arrays = (_filled(values, full) for values in (keys, images, levels))
    mixed, after = jax.device_get(_mix(*arrays, config))
    return mixed[: len(images)], after[: len(images)]


def unmix_batch(
    keys: Sequence[np.ndarray],
    mixed: Sequence[np.ndarray],
    levels: Sequence[np.ndarray],
    config: MixConfig,
) -> np.ndarray:
    """Images as they were before `mix_batch`."""
    full = batch_size(mixed[0].shape)
    arrays = (_filled(values, full) for values in (keys, mixed, levels))
    images: np.ndarray = jax.device_get(_unmix(*arrays, config))
    return images[: len(mixed)]


def vfe_batch(images: Sequence[np.ndarray], tile_size: int) -> np.ndarray:
    """VFE (N,) of images of one shape."""
    filled = _filled(images, batch_size(images[0].shape))
    values: np.ndarray = jax.device_get(_vfe(filled, tile_size))
    return values[: len(images)]


def _filled(values: Sequence[np.ndarray], count: int) -> np.ndarray:
    return np.stack([*values, *[values[-1]] * (count - len(values))])


@functools.partial(jax.jit, static_argnames="config")
def _plan(
    images: jax.Array,
    sensitivities: jax.Array | None,
    strength: jax.Array,
    asked: jax.Array,
    config: MixConfig,
) -> tuple[jax.Array, ...]:
    def one(image: jax.Array, sensitivity: jax.Array | None) -> tuple[jax.Array, ...]:
        at = target_vfe(image, strength, config, sensitivity=sensitivity)
        target = jnp.where(jnp.isnan(asked), at, asked)
        chosen = plan(image, target, config, sensitivity=sensitivity)
        return chosen.levels, vfe(image, config.tile_size), chosen.reachable

    return jax.vmap(one, (0, None if sensitivities is None else 0))(
        images, sensitivities
    )


@functools.partial(jax.jit, static_argnames="config")
def _strongest(
    images: jax.Array, sensitivities: jax.Array | None, config: MixConfig
) -> tuple[jax.Array, ...]:
    """As `_plan` at strength 1, which needs no search."""
    full = full_plan(images.shape[1:], config).levels
    levels = jnp.broadcast_to(full, (len(images), *full.shape))
    if sensitivities is not None:
        levels = jnp.where(sensitivities > 0, levels, 0)
    before = jax.vmap(lambda image: vfe(image, config.tile_size))(images)
    return levels, before, jnp.ones(len(images), bool)


def _planned(levels: jax.Array, config: MixConfig) -> Plan:
    unknown = jnp.float32(jnp.nan)
    return Plan(
        levels=levels, expected_vfe=unknown, reachable=jnp.bool_(True), config=config
    )


def _key(words: jax.Array) -> jax.Array:
    return jax.random.wrap_key_data(words, impl="threefry2x32")


@functools.partial(jax.jit, static_argnames="config")
def _mix(
    words: jax.Array, images: jax.Array, levels: jax.Array, config: MixConfig
) -> tuple[jax.Array, jax.Array]:
    mixed = jax.vmap(lambda w, i, k: mix(_key(w), i, _planned(k, config)))(
        words, images, levels
    )
    return mixed, jax.vmap(lambda image: vfe(image, config.tile_size))(mixed)


@functools.partial(jax.jit, static_argnames="config")
def _unmix(
    words: jax.Array, mixed: jax.Array, levels: jax.Array, config: MixConfig
) -> jax.Array:
    return jax.vmap(lambda w, i, k: unmix(_key(w), i, _planned(k, config)))(
        words, mixed, levels
    )


@functools.partial(jax.jit, static_argnames="tile_size")
def _vfe(images: jax.Array, tile_size: int) -> jax.Array:
    return jax.vmap(lambda image: vfe(image, tile_size))(images)

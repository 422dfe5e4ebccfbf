"""Batches of images of one shape, compiled once for each shape.

A batch is filled up with copies of its last image, so that all batches of a shape run
the same program; what comes out for an image does not depend on the others.
"""

import dataclasses
import functools
import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from vmixjax.config import MixConfig
from vmixjax.entropy import vfe
from vmixjax.mixing import mix, unmix
from vmixjax.planning import Plan, plan, plan_at
from vmixjax.release.recipe import Recipe

_VALUES = 2**23
"""Of all images in a batch: enough to keep a device busy, little memory."""

_MOST = 256
"""Images in a batch, however small."""


ItemT = TypeVar("ItemT")


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


def in_batches(
    items: Iterable[ItemT],
    image: Callable[[ItemT], np.ndarray],
    alike: Callable[[ItemT], Hashable] = lambda item: None,
) -> Iterator[list[ItemT]]:
    """Gathers items whose images have one shape and type, as many as make a batch.

    Args:
      items: What to gather.
      image: Gives the image of an item.
      alike: Gives what else items of a batch have in common.
    """
    groups: dict[Hashable, list[ItemT]] = defaultdict(list)
    for item in items:
        pixels = image(item)
        groups[pixels.shape, pixels.dtype.str, alike(item)].append(item)
    for group in groups.values():
        size = batch_size(image(group[0]).shape)
        for start in range(0, len(group), size):
            yield group[start : start + size]


def plan_batch(
    images: Sequence[np.ndarray],
    sensitivities: Sequence[np.ndarray] | None,
    recipe: Recipe,
) -> list[Planned]:
    """Plans images of one shape, at most `batch_size` of them."""
    full = batch_size(images[0].shape)
    masks = None if sensitivities is None else _filled(sensitivities, full)
    levels, before, reachable = jax.device_get(
        _plan(
            _filled(images, full),
            masks,
            recipe.strength,
            recipe.target_vfe,
            recipe.config,
        )
    )
    return [
        Planned(levels=levels[i], vfe=float(before[i]), reachable=bool(reachable[i]))
        for i in range(len(images))
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


@functools.partial(jax.jit, static_argnames=("strength", "target", "config"))
def _plan(
    images: jax.Array,
    sensitivities: jax.Array | None,
    strength: float,
    target: float | None,
    config: MixConfig,
) -> tuple[jax.Array, ...]:
    def one(image: jax.Array, sensitivity: jax.Array | None) -> tuple[jax.Array, ...]:
        chosen = (
            plan_at(image, strength, config, sensitivity=sensitivity)
            if target is None
            else plan(image, target, config, sensitivity=sensitivity)
        )
        return chosen.levels, vfe(image, config.tile_size), chosen.reachable

    return jax.vmap(one, (0, None if sensitivities is None else 0))(
        images, sensitivities
    )


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

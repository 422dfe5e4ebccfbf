"""Batches of images of one shape, compiled once for each shape.

A batch is filled up with copies of its last image, so that all batches of a shape run
the same program; what comes out for an image does not depend on the others.
"""

import dataclasses
import functools
import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

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
      vfe: VFE of the image as it is.
      reachable: Whether the VFE that was asked for lies in the image's range.
    """

    levels: np.ndarray
    vfe: float
    reachable: bool


def batch_size(shape: tuple[int, ...]) -> int:
    """Tells how many images of a shape make a batch.

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
    settings = recipe.strength, recipe.target_vfe, recipe.config
    levels, before, reachable = _run(_plan, [images, sensitivities], *settings)
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
    """Gives mixed images (N, H, W, C) and their VFE (N,); keys are uint32 (2,)."""
    mixed, after = _run(_mix, [images, keys, levels], config)
    return mixed, after


def unmix_batch(
    keys: Sequence[np.ndarray],
    mixed: Sequence[np.ndarray],
    levels: Sequence[np.ndarray],
    config: MixConfig,
) -> np.ndarray:
    """Gives images as they were before `mix_batch`."""
    (images,) = _run(_unmix, [mixed, keys, levels], config)
    return images


def vfe_batch(images: Sequence[np.ndarray], tile_size: int) -> np.ndarray:
    """Gives the VFE (N,) of images of one shape."""
    (values,) = _run(_vfe, [images], tile_size)
    return values


def _run(
    function: Callable[..., tuple[jax.Array, ...]],
    arrays: Sequence[Sequence[np.ndarray] | None],
    *settings: Any,
) -> tuple[np.ndarray, ...]:
    """What a function makes of a batch, filled up; images are the first of arrays."""
    images = arrays[0]
    assert images is not None
    count, full = len(images), batch_size(images[0].shape)
    filled = [
        None if one is None else np.stack([*one, *[one[-1]] * (full - count)])
        for one in arrays
    ]
    results = jax.device_get(function(*filled, *settings))
    return tuple(values[:count] for values in results)


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


@functools.partial(jax.jit, static_argnames="config")
def _mix(
    images: jax.Array, words: jax.Array, levels: jax.Array, config: MixConfig
) -> tuple[jax.Array, ...]:
    mixed = _each(mix, images, words, levels, config)
    return mixed, jax.vmap(lambda image: vfe(image, config.tile_size))(mixed)


@functools.partial(jax.jit, static_argnames="config")
def _unmix(
    mixed: jax.Array, words: jax.Array, levels: jax.Array, config: MixConfig
) -> tuple[jax.Array, ...]:
    return (_each(unmix, mixed, words, levels, config),)


def _each(
    shuffle: Callable[[jax.Array, jax.Array, Plan], jax.Array],
    images: jax.Array,
    words: jax.Array,
    levels: jax.Array,
    config: MixConfig,
) -> jax.Array:
    def one(image: jax.Array, words: jax.Array, levels: jax.Array) -> jax.Array:
        key = jax.random.wrap_key_data(words, impl="threefry2x32")
        return shuffle(key, image, _planned(levels, config))

    return jax.vmap(one)(images, words, levels)


@functools.partial(jax.jit, static_argnames="tile_size")
def _vfe(images: jax.Array, tile_size: int) -> tuple[jax.Array, ...]:
    return (jax.vmap(lambda image: vfe(image, tile_size))(images),)

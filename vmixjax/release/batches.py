"""Batches of images of one shape, compiled once for each shape.

A batch is filled up with copies of its last image, so that all batches of a shape run
the same program; what comes out for an image does not depend on the others.
"""

import functools
import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from vmixjax._shuffle.prng import CHACHA8
from vmixjax.config import MixConfig
from vmixjax.entropy import vfe
from vmixjax.mixing import mix, unmix
from vmixjax.planning import Plan, plan, plan_at
from vmixjax.release.config import Recipe

_VALUES = 2**23
"""Of all images in a batch: enough to keep a device busy, little memory."""

_MOST = 256
"""Images in a batch, however small."""


ItemT = TypeVar("ItemT")


class Planned(NamedTuple):
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


def _batched(*static: str) -> Callable[..., Callable[..., Any]]:
    """Compiles a function of a batch, and has it filled up.

    Args:
      static: Names of the arguments that are no arrays of the batch.

    Returns:
      A decorator. What it gives takes a sequence for each array, images first.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        compiled = jax.jit(function, static_argnames=static)

        @functools.wraps(function)
        def filled(
            images: Sequence[np.ndarray],
            *others: Sequence[np.ndarray] | None,
            **settings: Any,
        ) -> Any:
            count, full = len(images), batch_size(images[0].shape)
            arrays = [
                None if one is None else np.stack([*one, *[one[-1]] * (full - count)])
                for one in (images, *others)
            ]
            results = jax.device_get(compiled(*arrays, **settings))
            return jax.tree.map(lambda values: values[:count], results)

        return filled

    return decorate


def plan_batch(
    images: Sequence[np.ndarray],
    sensitivities: Sequence[np.ndarray] | None,
    recipe: Recipe,
) -> list[Planned]:
    """Plans images of one shape, at most `batch_size` of them."""
    levels, before, reachable = _plan(
        images,
        sensitivities,
        strength=recipe.strength,
        target=recipe.target_vfe,
        config=recipe.config,
    )
    return list(map(Planned, levels, before.tolist(), reachable.tolist()))


@_batched("strength", "target", "config")
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


@_batched("config")
def mix_batch(
    images: jax.Array, keys: jax.Array, levels: jax.Array, config: MixConfig
) -> tuple[jax.Array, jax.Array]:
    """Gives mixed images (N, H, W, C) and their VFE (N,); keys are uint32 (8,)."""
    mixed = _each(mix, images, keys, levels, config)
    return mixed, jax.vmap(lambda image: vfe(image, config.tile_size))(mixed)


@_batched("config")
def unmix_batch(
    mixed: jax.Array, keys: jax.Array, levels: jax.Array, config: MixConfig
) -> jax.Array:
    """Gives images as they were before `mix_batch`."""
    return _each(unmix, mixed, keys, levels, config)


@_batched("tile_size")
def vfe_batch(images: jax.Array, tile_size: int) -> jax.Array:
    """Gives the VFE (N,) of images of one shape."""
    return jax.vmap(lambda image: vfe(image, tile_size))(images)


def _each(
    shuffle: Callable[[jax.Array, jax.Array, Plan], jax.Array],
    images: jax.Array,
    keys: jax.Array,
    levels: jax.Array,
    config: MixConfig,
) -> jax.Array:
    def one(image: jax.Array, words: jax.Array, levels: jax.Array) -> jax.Array:
        key = jax.random.wrap_key_data(words, impl=CHACHA8)
        planned = Plan(levels, jnp.float32(jnp.nan), jnp.bool_(True), config)
        return shuffle(key, image, planned)

    return jax.vmap(one)(images, keys, levels)

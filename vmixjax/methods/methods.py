"""All baselines under one form: what an audit needs to know of a method to attack it.

>>> import jax
>>> found = method("pixelate", (32, 32, 3), strength=8)
>>> found.region, found.keys
(8, 'none')
>>> image = jax.random.bits(jax.random.key(0), (32, 32, 3), "uint8")
>>> bool((found.protect(jax.random.key(1), image) == pixelate(image, block=8)).all())
True
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp

from vmixjax import _validate
from vmixjax.attacks.threat_model import Protect
from vmixjax.config import Channels
from vmixjax.entropy import vfe_map
from vmixjax.methods.encryption import ele, etc, le, pe
from vmixjax.methods.noise import dp_pix, gaussian_noise
from vmixjax.methods.shuffling import (
    csvar_plan,
    csvar_region,
    permute_blocks,
    published_plan,
    published_region,
)
from vmixjax.methods.smoothing import gaussian_blur, pixelate
from vmixjax.mixing import mix

Keys = Literal["none", "each", "one"]
"""How keys were published: none at all, one for each image, one for all images."""


@dataclasses.dataclass(frozen=True)
class Method:
    """A way to protect images, and what everybody may know of it.

    Attributes:
      name: what it is called here.
      strength: what it was made with; None where there is nothing to choose.
      protect: (key, image (H, W, C) uint8) -> the protected image.
      keys: as published: `"each"`, every image has its own; `"one"`, all images share
        one; `"none"`, there is none, and `protect` ignores what it is given.
      region: side of the squares that no value leaves, in pixels; None where values
        stay at their places, or where the whole image is one region and not square.
      block: side of the blocks that stay whole inside it, in pixels; the smallest where
        there are several.
      channels: how the channels of moving values take part, as in
        `vmixjax.MixConfig`; None where values do not only move, but change.
      half_bytes: whether what moves inside regions, in all of them alike, are half
        bytes, some of them inverted.
    """

    name: str
    strength: float | None
    protect: Protect
    keys: Keys
    region: int | None = None
    block: int = 1
    channels: Channels | None = None
    half_bytes: bool = False


def method(
    name: str, image_shape: tuple[int, int, int], *, strength: float | None = None
) -> Method:
    """One baseline, for images of one shape.

    Args:
      name: one of `METHODS`.
      image_shape: (H, W, C) of the images to protect.
      strength: of the parameter that the function of that name calls its strength;
        None for its default, or for the largest block up to it that fits the images.
        `published_vmix` has none; its attention is replaced by each region's VFE,
        scaled to 1 at the highest.

    Returns:
      The method.

    Raises:
      ValueError: a name that is not known, a strength or shape that it cannot have.

    Source: ours.
    """
    if name not in _MAKERS:
        raise ValueError(f"name must be one of {', '.join(METHODS)}; got {name!r}")
    _validate.image_shape(tuple(image_shape))
    made = _MAKERS[name](tuple(image_shape), strength)
    image = jax.ShapeDtypeStruct(tuple(image_shape), jnp.uint8)
    key = jax.eval_shape(lambda: jax.random.key(0, impl="threefry2x32"))
    jax.eval_shape(made.protect, key, image)
    return made


def _gaussian_noise(shape: tuple[int, ...], strength: float | None) -> Method:
    sigma = 50.0 if strength is None else strength

    def protect(key: jax.Array, image: jax.Array) -> jax.Array:
        return gaussian_noise(key, image, sigma=sigma)

    return Method("gaussian_noise", sigma, protect, "each")


def _dp_pix(shape: tuple[int, ...], strength: float | None) -> Method:
    epsilon = 1.0 if strength is None else strength
    # The published blocks of 16 are an eighth or less of the published images' sides.
    block = _fitting(min(16, max(min(shape[:2]) // 8, 1)), shape)

    def protect(key: jax.Array, image: jax.Array) -> jax.Array:
        return dp_pix(key, image, epsilon=epsilon, block=block)

    return Method("dp_pix", epsilon, protect, "each", region=block)


def _pixelate(shape: tuple[int, ...], strength: float | None) -> Method:
    block = _block(strength, 8, shape)

    def protect(key: jax.Array, image: jax.Array) -> jax.Array:
        del key
        return pixelate(image, block=block)

    return Method("pixelate", block, protect, "none", region=block)


def _gaussian_blur(shape: tuple[int, ...], strength: float | None) -> Method:
    sigma = 4.0 if strength is None else strength

    def protect(key: jax.Array, image: jax.Array) -> jax.Array:
        del key
        return gaussian_blur(image, sigma=sigma)

    return Method("gaussian_blur", sigma, protect, "none")


def _permute_blocks(shape: tuple[int, ...], strength: float | None) -> Method:
    block = _block(strength, 1, shape)

    def protect(key: jax.Array, image: jax.Array) -> jax.Array:
        return permute_blocks(key, image, block=block)

    region = _whole(shape)
    return Method("permute_blocks", block, protect, "each", region, block, "shared")


def _le(shape: tuple[int, ...], strength: float | None) -> Method:
    block = _block(strength, 4, shape)

    def protect(key: jax.Array, image: jax.Array) -> jax.Array:
        return le(key, image, block=block)

    return Method("le", block, protect, "one", region=block, half_bytes=True)


def _ele(shape: tuple[int, ...], strength: float | None) -> Method:
    block = _block(strength, 4, shape)

    def protect(key: jax.Array, image: jax.Array) -> jax.Array:
        return ele(key, image, block=block)

    return Method("ele", block, protect, "one", region=_whole(shape), half_bytes=True)


def _pe(shape: tuple[int, ...], strength: float | None) -> Method:
    share = 0.5 if strength is None else strength

    def protect(key: jax.Array, image: jax.Array) -> jax.Array:
        return pe(key, image, share=share)

    return Method("pe", share, protect, "each")


def _etc(shape: tuple[int, ...], strength: float | None) -> Method:
    block = _block(strength, 8, shape)

    def protect(key: jax.Array, image: jax.Array) -> jax.Array:
        return etc(key, image, block=block)

    return Method("etc", block, protect, "each", _whole(shape), block)


def _csvar(shape: tuple[int, ...], strength: float | None) -> Method:
    finest = _whole_number(1 if strength is None else strength)

    def protect(key: jax.Array, image: jax.Array) -> jax.Array:
        return mix(key, image, csvar_plan(image, finest=finest))

    region = csvar_region(shape)
    return Method("csvar", finest, protect, "each", region, finest, "independent")


def _published_vmix(shape: tuple[int, ...], strength: float | None) -> Method:
    if strength is not None:
        raise ValueError(f"published_vmix has no strength to choose; got {strength}")
    region = published_region(shape)

    def protect(key: jax.Array, image: jax.Array) -> jax.Array:
        features = vfe_map(image, region).mean(-1)
        highest = jnp.maximum(features.max(), jnp.finfo(jnp.float32).tiny)
        return mix(key, image, published_plan(image, features / highest))

    block = region // 8
    return Method("published_vmix", None, protect, "one", region, block, "independent")


def _block(strength: float | None, usual: int, shape: tuple[int, ...]) -> int:
    if strength is None:
        return _fitting(usual, shape)
    return _whole_number(strength)


def _whole_number(strength: float) -> int:
    _validate.size("strength", strength)  # type: ignore[arg-type]
    return int(strength)


def _fitting(usual: int, shape: tuple[int, ...]) -> int:
    """The largest block up to the usual one that divides both sides."""
    both = math.gcd(shape[0], shape[1])
    return max(size for size in range(1, usual + 1) if both % size == 0)


def _whole(shape: tuple[int, ...]) -> int | None:
    return shape[0] if shape[0] == shape[1] else None


_MAKERS: dict[str, Callable[[tuple[int, ...], float | None], Method]] = {
    "gaussian_noise": _gaussian_noise,
    "dp_pix": _dp_pix,
    "pixelate": _pixelate,
    "gaussian_blur": _gaussian_blur,
    "permute_blocks": _permute_blocks,
    "le": _le,
    "ele": _ele,
    "pe": _pe,
    "etc": _etc,
    "csvar": _csvar,
    "published_vmix": _published_vmix,
}

METHODS = tuple(_MAKERS)
"""Names of all methods."""

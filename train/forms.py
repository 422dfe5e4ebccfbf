"""Forms: what a model sees of mixed images.

A form is an entry in `FORMS`. All but the plain one are the same whatever the key was:
they describe a region by what shuffling inside of it leaves as it is.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

import vmixjax
from train.config import FormName
from vmixjax.config import Channels
from vmixjax.networks import centred

BINS = 8
"""Of a histogram."""

_LUMINANCE = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in what is seen as bright (ITU-R BT.601)."""


class Form(NamedTuple):
    """A form.

    Attributes:
      make: Makes it: `(images uint8 (B, H, W, C), side of regions, channels of mixing)`
        -> float32, values about -0.5 to 0.5.
      place: Whether a region is one place of the inputs; else they are as large as the
        images.
      channels: Modes of mixing that it is for.
      keyless: Whether it is the same, bit for bit, before mixing inside of such regions
        and after, so that nothing need be mixed for it.
    """

    make: Callable[[jax.Array, int, Channels], jax.Array]
    place: bool = True
    channels: tuple[Channels, ...] = ("independent", "shared", "joint")
    keyless: bool = False


def _plain(images: jax.Array, side: int, channels: Channels) -> jax.Array:
    del side, channels
    return centred(images)


def _canonical(images: jax.Array, side: int, channels: Channels) -> jax.Array:
    return centred(_sorted(images, side, channels))


def _regions(images: jax.Array, side: int, channels: Channels) -> jax.Array:
    return _flat(_cut(centred(_sorted(images, side, channels)), side))


def _tuples(images: jax.Array, side: int, channels: Channels) -> jax.Array:
    """Pixels of a region from dark to bright, each with its colours."""
    del channels
    values = _cut(centred(images), side)
    colours = values.shape[3]
    weights = _LUMINANCE if colours == len(_LUMINANCE) else colours * (1 / colours,)
    brightness = jnp.tensordot(values, jnp.asarray(weights), axes=((3,), (0,)))
    order = jnp.argsort(brightness, axis=-1)[:, :, :, None]
    return _flat(jnp.take_along_axis(values, order, axis=-1))


def _moments(images: jax.Array, side: int, channels: Channels) -> jax.Array:
    """Of each channel mean, deviation, skewness, least and most; then covariances.

    Colours vary together only where pixels keep theirs: else these are noise, and left
    out.
    """
    values = _cut(centred(images), side)
    mean = values.mean(-1, keepdims=True)
    apart = values - mean
    variance = jnp.square(apart).mean(-1)
    told = [
        mean[..., 0],
        jnp.sqrt(variance),
        jnp.cbrt(jnp.power(apart, 3).mean(-1)),
        values.min(-1),
        values.max(-1),
    ]
    if channels == "shared":
        pairs = jnp.einsum("bhwcn,bhwdn->bhwcd", apart, apart) / values.shape[-1]
        rows, columns = jnp.triu_indices(values.shape[3], 1)
        # Regions of one colour have none to divide by.
        scale = jnp.sqrt(variance + 1e-6)
        told.append(
            pairs[..., rows, columns] / (scale[..., rows] * scale[..., columns]) / 2
        )
    return jnp.concatenate(told, axis=-1)


def _histogram(images: jax.Array, side: int, channels: Channels) -> jax.Array:
    """Of each channel the share of its values near each of `BINS` levels, soft."""
    del channels
    levels = jnp.linspace(-0.5, 0.5, BINS)
    away = jnp.abs(_cut(centred(images), side)[..., None] - levels) * (BINS - 1)
    shares = jnp.maximum(0, 1 - away).mean(-2)
    return _flat(shares) - 1 / BINS


FORMS: dict[FormName, Form] = {
    "plain": Form(_plain, place=False),
    "canonical": Form(_canonical, place=False, keyless=True),
    "regions": Form(_regions, keyless=True),
    "tuples": Form(_tuples, channels=("shared",)),
    "moments": Form(_moments),
    "histogram": Form(_histogram),
}
"""All forms by name.

`"plain"`, the images as they are; `"canonical"`, the values of each region sorted where
they are; `"regions"`, the same with a region as one place; `"tuples"`, its pixels
sorted by brightness, each with its colours; `"moments"` and `"histogram"`, what
describes how its values are distributed.
"""


def _sorted(images: jax.Array, side: int, channels: Channels) -> jax.Array:
    return jax.vmap(lambda image: vmixjax.canonical(image, side, channels=channels))(
        images
    )


def _cut(images: jax.Array, side: int) -> jax.Array:
    """(B, H, W, C) -> (B, H / side, W / side, C, side * side)."""
    count, height, width, colours = images.shape
    regions = images.reshape(count, height // side, side, width // side, side, colours)
    return regions.transpose(0, 1, 3, 5, 2, 4).reshape(
        count, height // side, width // side, colours, -1
    )


def _flat(values: jax.Array) -> jax.Array:
    """(B, h, w, C, N) -> (B, h, w, C * N)."""
    return values.reshape(*values.shape[:3], -1)

"""Batches of images on their way to a network."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from vmixjax.methods import Protect

CHUNK = 2**19
"""Values of the images handled at once, at most, unless one image has more."""


def centred(images: jax.Array) -> jax.Array:
    """Brings uint8 values of any shape to float32 from -0.5 to 0.5."""
    return images.astype(jnp.float32) / 255 - 0.5


def pad_to(x: jax.Array, unit: int) -> jax.Array:
    """Repeats the edges of (B, H, W, C) until H and W are multiples of `unit`."""
    missing = ((0, 0), (0, -x.shape[1] % unit), (0, -x.shape[2] % unit), (0, 0))
    return jnp.pad(x, missing, mode="edge")


def mirror_half(key: jax.Array, images: jax.Array) -> jax.Array:
    """Mirrors images (B, H, W, C) left to right, each with probability 1/2."""
    return mirror(jax.random.bernoulli(key, shape=(len(images),)), images)


def mirror(flips: jax.Array, images: jax.Array) -> jax.Array:
    """Mirrors those of images (B, H, W, …) left to right that `flips` (B,) says."""
    flips = flips.reshape(-1, *(1,) * (images.ndim - 1))
    return jnp.where(flips, images[:, :, ::-1], images)


def protect_all(protect: Protect, key: jax.Array, images: jax.Array) -> jax.Array:
    """Protects images (B, H, W, C), each with a key of its own."""
    return jax.vmap(protect)(jax.random.split(key, len(images)), images)


def in_chunks(
    function: Callable[[jax.Array], jax.Array], images: jax.Array
) -> jax.Array:
    """Computes `function(images)` a few at a time, in pieces of one shape."""
    size = min(max(CHUNK // images[0].size, 1), len(images))
    missing = -len(images) % size
    padded = jnp.concatenate([images, jnp.repeat(images[-1:], missing, 0)])
    chunks = [function(padded[i : i + size]) for i in range(0, len(padded), size)]
    return jnp.concatenate(chunks)[: len(images)]

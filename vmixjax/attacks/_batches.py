"""Batches of images, in pieces that fit into memory, and each with a key of its own."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from vmixjax import _validate
from vmixjax.methods.method import Protect

VALUES = 2**19
"""Values of the images handled at once, at most, unless one image has more."""


def check_counts(**counts: int) -> None:
    """Refuses a count that is not positive, by its name."""
    for name, value in counts.items():
        _validate.at_least(name, value, 1)


def protect_all(protect: Protect, key: jax.Array, images: jax.Array) -> jax.Array:
    """A batch of images, each protected with a key of its own."""
    return jax.vmap(protect)(jax.random.split(key, len(images)), images)


def in_chunks(
    function: Callable[[jax.Array], jax.Array], images: jax.Array
) -> jax.Array:
    """`function(images)`, a few images at a time, all pieces of one shape."""
    size = min(max(VALUES // images[0].size, 1), len(images))
    missing = -len(images) % size
    padded = jnp.concatenate([images, jnp.repeat(images[-1:], missing, 0)])
    chunks = [function(padded[i : i + size]) for i in range(0, len(padded), size)]
    return jnp.concatenate(chunks)[: len(images)]

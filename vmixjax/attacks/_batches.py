"""Batches of images: checked by name, and handled in pieces that fit into memory."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from vmixjax.attacks.threat_model import Protect

VALUES = 2**19
"""Values of the images handled at once, at most, unless one image has more."""


def check_images(
    name: str, value: jax.typing.ArrayLike, *, fewest: int = 1
) -> jax.Array:
    """A batch of images as a JAX array, or an error that says what is wrong with it."""
    images = jnp.asarray(value)
    if images.dtype != jnp.uint8:
        raise TypeError(
            f"{name} must be uint8; got {images.dtype}. Convert them to 0 to 255"
        )
    if images.ndim != 4 or 0 in images.shape[1:]:
        raise ValueError(
            f"{name} must be images (B, H, W, C); got shape {images.shape}. "
            f"For one image, image[None]"
        )
    if len(images) < fewest:
        raise ValueError(f"{name} must be at least {fewest} images; got {len(images)}")
    return images


def check_labels(
    name: str, value: jax.typing.ArrayLike | None, images: jax.Array
) -> jax.Array:
    """Labels of a batch, int32 (B,), or an error that says what is wrong with them."""
    if value is None:
        raise ValueError(f"{name} must be given: one class for each image")
    labels = jnp.asarray(value)
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise TypeError(f"{name} must be integers; got {labels.dtype}")
    if labels.shape != images.shape[:1]:
        raise ValueError(
            f"{name} must be one for each image, shape {images.shape[:1]}; "
            f"got {labels.shape}"
        )
    if int(labels.min()) < 0:
        raise ValueError(f"{name} must be at least 0; got {int(labels.min())}")
    return labels.astype(jnp.int32)


def check_counts(**counts: int) -> None:
    """Nothing, or an error that names the count that is not positive."""
    for name, value in counts.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1; got {value}")


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

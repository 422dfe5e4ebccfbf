"""How images become what a network takes, and the other way."""

import jax
import jax.numpy as jnp


def centred(images: jax.Array) -> jax.Array:
    """Brings uint8 values of any shape to float32 from -0.5 to 0.5."""
    return images.astype(jnp.float32) / 255 - 0.5


def pad_to(x: jax.Array, unit: int) -> jax.Array:
    """(B, H, W, C) -> the same with H and W multiples of `unit`: edges are repeated."""
    missing = ((0, 0), (0, -x.shape[1] % unit), (0, -x.shape[2] % unit), (0, 0))
    return jnp.pad(x, missing, mode="edge")


def space_to_depth(x: jax.Array, side: int) -> jax.Array:
    """(B, H, W, C) -> (B, H/side, W/side, side*side*C): squares become channels."""
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // side, side, width // side, side, channels)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(
        batch, height // side, width // side, side * side * channels
    )


def depth_to_space(x: jax.Array, side: int) -> jax.Array:
    """Undoes `space_to_depth`."""
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height, width, side, side, channels // side**2)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(
        batch, height * side, width * side, channels // side**2
    )


def mirror_half(key: jax.Array, images: jax.Array) -> jax.Array:
    """Mirrors images (B, H, W, C) left to right, each with probability 1/2."""
    flip = jax.random.bernoulli(key, shape=(len(images), 1, 1, 1))
    return jnp.where(flip, images[:, :, ::-1], images)

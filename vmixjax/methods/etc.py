"""Encryption then compression, EtC: whole blocks move, turn and trade their colours."""

import jax
import jax.numpy as jnp

from vmixjax import _validate
from vmixjax.methods import _checks
from vmixjax.methods.method import from_function, whole_image


def etc(key: jax.Array, image: jax.typing.ArrayLike, *, block: int = 8) -> jax.Array:
    """Moves, turns, mirrors and inverts blocks, and shuffles the colours of each.

    Inside, a block stays a picture (so that it still compresses): what a jigsaw
    solver needs.

    Args:
      key: One typed key: as published for storage, of its own for each image;
        where networks learn from it, the same for all.
      image: (H, W, C) uint8, H and W multiples of `block`.
      block: The strength, lower is stronger: side of a block in pixels. Published with
        16 (for JPEG) and 8; with 4 where networks learn from it.

    Returns:
      uint8 (H, W, C).

    Raises:
      TypeError, ValueError: As `le`.

    References:
      Chuman, Sirichotedumrong and Kiya, "Encryption-Then-Compression Systems Using
      Grayscale-Based Image Encryption for JPEG Images" (IEEE TIFS 2019, online 2018),
      which goes back to the colour scheme that is done here (Kurihara, Shiota and
      Kiya, 2015). That all eight ways to lay a square down are as likely is our
      reading.
    """
    _validate.key(key)
    return _checks.blockwise(_etc, image, block, key)


def _etc(blocks: jax.Array, key: jax.Array) -> jax.Array:
    count, *_, channels = blocks.shape
    move_key, block_key = jax.random.split(key)
    blocks = blocks[jax.random.permutation(move_key, count)]
    bits = jax.random.bits(block_key, (count, 1, 1, 4 + channels), jnp.uint32)
    flags, colours = bits[..., :4] & 1 == 1, bits[..., 4:]
    # Mirrors along the diagonal, rows and columns make all eight of a square.
    blocks = jnp.where(flags[..., :1], blocks.swapaxes(1, 2), blocks)
    blocks = jnp.where(flags[..., 1:2], blocks[:, ::-1], blocks)
    blocks = jnp.where(flags[..., 2:3], blocks[:, :, ::-1], blocks)
    blocks = jnp.where(flags[..., 3:], 255 - blocks, blocks)
    order = jnp.argsort(colours, axis=3)
    return jnp.take_along_axis(blocks, order, axis=3)


METHOD = from_function(
    etc,
    "block",
    keys="each",
    title="block scrambling, EtC",
    strengths=(16, 8, 4, 2),
    known=lambda shape, block: {
        "region": whole_image(shape),
        "block": block,
        "turned": True,
    },
)

"""Learnable encryption, LE: one scramble of half bytes for all blocks.

What the original codes keep as a secret is drawn from a JAX key. LE, ELE and, where
networks learn from it, EtC were published with one secret for all images: a network
must see the same scramble everywhere. That is what an audit should attack: one key for
a whole data set, so that a known pair tells something of every other image. PE was
published both ways; its authors recommend a key for each image. All four are bijections
of images: the key undoes them, and equal images under one key stay equal.
"""

import jax
import jax.numpy as jnp

from vmixjax import _validate
from vmixjax.methods import _checks
from vmixjax.methods.method import from_function


def le(key: jax.Array, image: jax.typing.ArrayLike, *, block: int = 4) -> jax.Array:
    """Shuffles the half bytes of each block, and inverts some, alike in all blocks.

    The values of a block, C of each pixel, are split into their lower and upper four
    bits: 2 b b C half bytes. Those at half of the places are inverted (15 - v), all
    are shuffled, those that are then at the same places are inverted (so some twice),
    and pairs become bytes again. One permutation serves all blocks.

    Args:
      key: One typed key; as published, the same for all images.
      image: (H, W, C) uint8, H and W multiples of `block`.
      block: Side of a block in pixels; the published one is 4. The strength: more
        places to go to, but fewer blocks with less in common.

    Returns:
      uint8 (H, W, C).

    Raises:
      TypeError: An image that is not uint8, a key of another kind.
      ValueError: A batch instead of one image, sides that the block does not divide.

    References:
      Tanaka, "Learnable Image Encryption" (ICCE-TW 2018, arXiv 1804.00490), in the
      order of the author's published code, which pads where we refuse.
    """
    _validate.key(key)
    return _checks.blockwise(_le, image, block, key)


def _le(blocks: jax.Array, key: jax.Array) -> jax.Array:
    return jax.vmap(scramble, (None, 0))(half_byte_order(key, blocks), blocks)


def half_byte_order(key: jax.Array, blocks: jax.Array) -> jax.Array:
    """A permutation of the half bytes of one of the blocks."""
    return jax.random.permutation(key, 2 * blocks[0].size)


def scramble(order: jax.Array, block: jax.Array) -> jax.Array:
    """One block by one permutation, which also says where half bytes are inverted."""
    values = block.reshape(-1)
    halves = jnp.concatenate([values & 15, values >> 4])
    mask = jnp.where(order > order.size // 2, 15, 0).astype(jnp.uint8)
    halves = (halves ^ mask)[order] ^ mask
    low, high = jnp.split(halves, 2)
    return (low | high << 4).reshape(block.shape)


METHOD = from_function(
    le,
    "block",
    keys="one",
    title="learnable encryption, LE",
    strengths=(2, 4, 8, 16),
    known=lambda shape, block: {"region": block, "half_bytes": True},
)

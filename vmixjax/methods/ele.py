"""Learnable encryption, ELE: a scramble of its own for each block; then blocks move."""

import jax

from vmixjax import _validate
from vmixjax.methods import _checks
from vmixjax.methods.le import half_byte_order, scramble
from vmixjax.methods.method import from_function, whole_image


def ele(key: jax.Array, image: jax.typing.ArrayLike, *, block: int = 4) -> jax.Array:
    """Scrambles as `le` does, but each block by its own permutation; then moves blocks.

    Args:
      key: One typed key; as published, the same for all images.
      image: (H, W, C) uint8, H and W multiples of `block`.
      block: As for `le`.

    Returns:
      uint8 (H, W, C).

    Raises:
      TypeError, ValueError: As `le`.

    References:
      Madono, Tanaka, Onishi and Ogawa, "Block-wise Scrambled Image Recognition Using
      Adaptation Network" (AAAI workshop 2020, arXiv 2001.07761). That blocks are
      scrambled first and move then is our reading, from public codes.
    """
    _validate.key(key)
    return _checks.blockwise(_ele, image, block, key)


def _ele(blocks: jax.Array, key: jax.Array) -> jax.Array:
    move_key, scramble_key = jax.random.split(key)
    keys = jax.random.split(scramble_key, len(blocks))
    orders = jax.vmap(half_byte_order, (0, None))(keys, blocks)
    scrambled = jax.vmap(scramble)(orders, blocks)
    return scrambled[jax.random.permutation(move_key, len(blocks))]


METHOD = from_function(
    ele,
    "block",
    keys="one",
    title="learnable encryption, ELE",
    strengths=(2, 4, 8, 16),
    known=lambda shape, block: {"region": whole_image(shape), "half_bytes": True},
)

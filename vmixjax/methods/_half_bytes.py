"""The scramble of half bytes that LE and ELE share."""

import jax
import jax.numpy as jnp


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

"""How images lie in memory, before stages are applied and meanwhile."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Materialize = Callable[[jax.Array], jax.Array]
"""What happens to integers that are read several times: `in_memory`, or nothing."""


class Batch(NamedTuple):
    """What is shuffled: a batch of images, or without the axes B, one.

    Attributes:
      images: (B, H, W, C).
      key_data: uint32 (B, 8), the words of keys.
      levels: uint8 (B, H // T, W // T).
    """

    images: jax.Array
    key_data: jax.Array
    levels: jax.Array


class TileRows(NamedTuple):
    """Rows of tiles, of one image or of many; k pieces of such may lie side by side.

    Attributes:
      values: (N, T, k * W * C).
      key: uint32 (N, k, 8), the words of the key of each piece's image.
      number: uint32 (N, k), which row of tiles of its image each piece is of, from the
        top.
      first: uint32 (N, k), with which tile of that row each piece begins, a multiple of
        `bits.tiles_per_block`.
      levels: uint8 (N, k * W // T).
    """

    values: jax.Array
    key: jax.Array
    number: jax.Array
    first: jax.Array
    levels: jax.Array


def in_memory(x: jax.Array) -> jax.Array:
    """Integers x, computed once for all readers: on CPU, XLA joins parts in memory.

    Left alone, it computes x anew for each reader, and loses the vector units over it.
    The parts are or-ed with a zero that the compiler does not know, or it would see
    through the joining.
    """
    half = x.shape[-1] // 2
    zero = jax.lax.optimization_barrier(np.zeros((), x.dtype))
    return jnp.concatenate([x[..., :half] | zero, x[..., half:] | zero], -1)


def zero_rows(key: jax.Array, rows: int, width: int) -> jax.Array:
    """Zeros, uint8 (N, rows, width), that the compiler does not know to be zeros.

    Known ones would make it pad, and test each value anew for being in the padding.
    They come from the key so that they are batched, and sharded, as it is. They are to
    be read from memory: to look each up in the key is slow.
    """
    zero = key[:, :1, :1] & jax.lax.optimization_barrier(np.uint32(0))
    return jnp.broadcast_to(zero.astype(jnp.uint8), (key.shape[0], rows, width))

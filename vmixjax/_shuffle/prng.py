"""Keys of 256 bits, as JAX has keys: what it asks of an implementation, by ChaCha8.

Such a key is the key of the cipher; what is drawn from it is a block, or blocks, of a
counter whose last word says for what. So a key that was split, folded and asked for
bits gives each time unrelated words, and shuffles by others again.
"""

import enum
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.random import define_prng_impl

from vmixjax._shuffle.cipher import BLOCK_WORDS, KEY_WORDS, chacha8


class Purpose(enum.Enum):
    """What words are drawn for: the last word of their counter."""

    SHUFFLE = b"mix "
    SPLIT = b"keys"
    FOLD_IN = b"fold"
    BITS = b"bits"

    @property
    def word(self) -> np.uint32:
        """As a number."""
        return np.uint32(int.from_bytes(self.value, "little"))


def full_length(key: jax.Array) -> jax.Array:
    """Gives the words of a key, uint32 (..., 8): those of Threefry before zeros."""
    words = jax.random.key_data(key)
    missing = KEY_WORDS - words.shape[-1]
    return jnp.pad(words, [(0, 0)] * (words.ndim - 1) + [(0, missing)])


def _seed(seed: jax.Array) -> jax.Array:
    raise TypeError(
        "a key of 256 bits cannot come from a seed, which somebody could guess: make "
        "it of a secret, vmixjax.key(vmixjax.new_secret())"
    )


def _split(words: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    number = jnp.arange(math.prod(shape), dtype=jnp.uint32).reshape(shape)
    return _key(words, Purpose.SPLIT, number)


def _fold_in(words: jax.Array, data: jax.typing.ArrayLike) -> jax.Array:
    return _key(words, Purpose.FOLD_IN, jnp.asarray(data).astype(jnp.uint32))


def _random_bits(words: jax.Array, width: int, shape: tuple[int, ...]) -> jax.Array:
    dtype = jnp.dtype(f"uint{width}")
    each = 2 if width == 64 else 1
    count = math.prod(shape) * each
    blocks = jnp.arange(-(-count // BLOCK_WORDS), dtype=jnp.uint32)
    drawn = jnp.stack(_blocks(words, Purpose.BITS, blocks), -1).reshape(-1)[:count]
    if each == 2:
        low, high = drawn.reshape(-1, 2).T.astype(dtype)
        drawn = low | high << np.array(32, dtype)
    return drawn.reshape(shape).astype(dtype)


def _key(words: jax.Array, purpose: Purpose, number: jax.Array) -> jax.Array:
    """Another key for each number: uint32 (*number.shape, 8)."""
    return jnp.stack(_blocks(words, purpose, number)[:KEY_WORDS], -1)


def _blocks(
    words: jax.Array, purpose: Purpose, number: jax.Array
) -> tuple[jax.Array, ...]:
    zero = jnp.uint32(0)
    counter = (number, zero, zero, jnp.asarray(purpose.word))
    return chacha8([words[i] for i in range(KEY_WORDS)], counter)


CHACHA8 = define_prng_impl(
    key_shape=(KEY_WORDS,),
    seed=_seed,
    split=_split,
    random_bits=_random_bits,
    fold_in=_fold_in,
    name="chacha8",
    tag="chacha8",
)
"""For `jax.random.wrap_key_data(words, impl=CHACHA8)`."""

IMPLEMENTATIONS = (CHACHA8, "threefry2x32")
"""Of keys that can mix, as `jax.random.key_impl` calls them. Of no other do JAX's own
versions and flags leave what is drawn as it is."""

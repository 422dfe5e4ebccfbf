"""ChaCha8: sixteen random words from a key of 256 bits and a counter of 128.

A published cipher, with a key that nobody can search for, and few operations: 24 for
each word, where Threefry-2x32 takes 57, as long as all words of a block are computed
together. XLA on CPU has to be led to that, or it computes each word from the beginning:
see `in_one_pass`.

References:
  Bernstein, "ChaCha, a variant of Salsa20" (2008), with 8 rounds. The best attacks
  known reach 7 rounds, and are none in practice.
"""

import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

KEY_WORDS = 8
"""Words of a key."""

BLOCK_WORDS = 16
"""Words that a key and a counter give."""

State = tuple[jax.Array, ...]

_DOUBLE_ROUNDS = 4
_CONSTANTS = np.frombuffer(b"expand 32-byte k", "<u4").astype(np.uint32)
_COLUMNS = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15))
_DIAGONALS = ((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))


def chacha8(
    key: Sequence[jax.Array], counter: Sequence[jax.Array]
) -> tuple[jax.Array, ...]:
    """Computes the block of a key and a counter.

    Its rounds are a loop: little to compile. For much to compute, see `unrolled`.

    Args:
      key: Eight words, uint32, of shapes that broadcast.
      counter: Four words, as those of the key: what ChaCha calls block counter and
        nonce.

    Returns:
      Sixteen words, uint32, each of the shape that all broadcast to.
    """
    first = _first_state(*_broadcast(key, counter))
    state = lax.fori_loop(0, _DOUBLE_ROUNDS, lambda _, x: _double_round(x), first)
    return _sums(state, first)


def unrolled(
    key: Sequence[jax.Array], counter: Sequence[jax.Array]
) -> tuple[jax.Array, ...]:
    """Computes what `chacha8` does, four times as fast where there is much of it."""
    blocks: tuple[jax.Array, ...] = lax.platform_dependent(
        *_broadcast(key, counter), cpu=in_one_pass, default=block
    )
    return blocks


def _broadcast(*words: Sequence[jax.Array]) -> list[jax.Array]:
    flat = list(itertools.chain(*words))
    shape = jnp.broadcast_shapes(*(x.shape for x in flat))
    return [jnp.broadcast_to(x, shape) for x in flat]


def in_one_pass(*words: jax.Array) -> tuple[jax.Array, ...]:
    """The block, in a form that XLA on CPU computes once.

    Its loops give one result each, and would compute all rounds for each of the sixteen
    words; but a loop that reduces may give many. So words are computed twice in
    parallel, from the same, which the compiler makes one of, and or-ed with themselves.
    """
    twice = [jnp.broadcast_to(x, (2, *x.shape)) for x in words]
    # Known to be broadcast scalars, words would be simplified back and forth, for long.
    twice = lax.optimization_barrier(twice)
    zeros = (np.uint32(0),) * BLOCK_WORDS

    def either(one: State, other: State) -> State:
        return tuple(a | b for a, b in zip(one, other, strict=True))

    reduced: State = lax.reduce(block(*twice), zeros, either, (0,))
    return reduced


def block(*words: jax.Array) -> State:
    """Computes what `chacha8` does, of words of one shape, with nothing to loop."""
    state = first = _first_state(*words)
    for _ in range(_DOUBLE_ROUNDS):
        state = _double_round(state)
    return _sums(state, first)


def _first_state(*words: jax.Array) -> State:
    return (*(lax.full_like(words[0], x) for x in _CONSTANTS), *words)


# Traced once for all rounds; XLA inlines it.
@jax.jit
def _double_round(state: State) -> State:
    words = list(state)
    for quarter in (*_COLUMNS, *_DIAGONALS):
        _quarter_round(words, *quarter)
    return tuple(words)


def _quarter_round(state: list[jax.Array], a: int, b: int, c: int, d: int) -> None:
    # By `lax`, as in `apply.py`: operators take three times as long to trace.
    for one, other, turned, bits in (
        (a, b, d, 16),
        (c, d, b, 12),
        (a, b, d, 8),
        (c, d, b, 7),
    ):
        state[one] = lax.add(state[one], state[other])
        mixed = lax.bitwise_xor(state[turned], state[one])
        state[turned] = lax.bitwise_or(
            lax.shift_left(mixed, np.uint32(bits)),
            lax.shift_right_logical(mixed, np.uint32(32 - bits)),
        )


def _sums(state: State, first: State) -> State:
    return tuple(x + y for x, y in zip(state, first, strict=True))

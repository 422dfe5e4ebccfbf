"""What the attacks that learn have in common: first weights and the learning rate."""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

Graph = nnx.GraphDef[Any]
Parameters = nnx.State[Any, Any]


def init_params(
    key: jax.Array, kind: Callable[..., nnx.Module], *args: int, **options: int
) -> tuple[Graph, Parameters]:
    """A network `kind(*args, **options)`: what is static of it, and its first weights.

    Weights are drawn by another generator of JAX's, seeded by the key: Threefry's
    programs take 12 s to compile for a small network, these take 2 s. Its numbers may
    differ between kinds of devices, as anyway does what is trained from them.
    """
    words = jnp.resize(jax.random.key_data(key), (4,))
    make = functools.partial(_network, kind, args, tuple(options.items()))
    graph, _ = nnx.split(nnx.eval_shape(make, words))
    return graph, _draw(kind, args, tuple(options.items()), words)


def rate_at(number: int, steps: int, peak: float) -> jax.Array:
    """Learning rate of a step: up to its peak in a twentieth, then down a cosine.

    Handed to the jitted step as a number, so that other budgets need no other program.
    """
    warm = max(steps // 20, 1)
    if number < warm:
        return jnp.float32(peak * (number + 1) / warm)
    progress = (number - warm) / max(steps - warm, 1)
    return jnp.float32(peak * (1 + math.cos(math.pi * progress)) / 2)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _draw(
    kind: Callable[..., nnx.Module],
    args: tuple[int, ...],
    options: tuple[tuple[str, int], ...],
    words: jax.Array,
) -> Parameters:
    return nnx.split(_network(kind, args, options, words))[1]


def _network(
    kind: Callable[..., nnx.Module],
    args: tuple[int, ...],
    options: tuple[tuple[str, int], ...],
    words: jax.Array,
) -> nnx.Module:
    rngs = nnx.Rngs(jax.random.wrap_key_data(words, impl="rbg"))
    return kind(*args, **dict(options), rngs=rngs)

"""One trainer for small networks: a pure step, and a loop that hands it batches.

Flax NNX driven functionally: a network is split once into a static graph and a tree of
parameters, and a step is a pure function from one state of training to the next. What
makes a batch is not part of the step, which is therefore one compiled program whatever
protects the images.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import optax
from flax import nnx

Graph = nnx.GraphDef[Any]
Parameters = nnx.State[Any, Any]
Loss = Callable[[Any, Any], tuple[jax.Array, Any]]
"""(network, batch) -> (loss, what the network makes of the batch)."""
BatchOf = Callable[[jax.Array], Any]
"""(key of a step) -> batch."""
Schedule = Callable[[int], jax.typing.ArrayLike]
"""(number of a step) -> learning rate."""


class TrainState(NamedTuple):
    """A network in training."""

    parameters: Parameters
    optimizer: optax.OptState


StateT = TypeVar("StateT")


Step = Callable[[StateT, Any, jax.typing.ArrayLike], tuple[StateT, jax.Array]]
"""(state, batch, learning rate) -> (state, loss)."""


def fit(
    key: jax.Array,
    state: StateT,
    step: Step[StateT],
    batch_of: BatchOf,
    *,
    rate: Schedule,
    steps: int,
    watch: Callable[[int, StateT, jax.Array], None] | None = None,
) -> StateT:
    """Takes the steps of a training, one after the other.

    Args:
      key: typed JAX key; each step has its own, folded in by its number.
      state: what training begins with.
      step: takes one step, such as `step_of` makes it.
      batch_of: gives a step its batch.
      rate: the learning rate.
      steps: how many there are.
      watch: called after each step with the number of steps so far, the state and the
        loss: the place to show progress and to evaluate.

    Returns:
      The state after the last step.
    """
    for number in range(steps):
        batch = batch_of(jax.random.fold_in(key, number))
        state, loss = step(state, batch, rate(number))
        if watch is not None:
            watch(number + 1, state, loss)
    return state


def init(optimizer: optax.GradientTransformation, parameters: Parameters) -> TrainState:
    """Makes the state that training begins with."""
    return TrainState(parameters, optimizer.init(parameters))


def step_of(
    graph: Graph, loss: Loss, optimizer: optax.GradientTransformation
) -> Step[TrainState]:
    """Makes the jitted step of one network, one program for all batches of a shape.

    Args:
      graph: of the network.
      loss: what to make small. This and the optimizer are part of the program: best
        defined once, in a module.
      optimizer: scales gradients, all but the learning rate.

    Returns:
      The step. It takes over the memory of the state that it is given.
    """
    return functools.partial(_step, graph, loss, optimizer)


def update(
    graph: Graph,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    state: TrainState,
    batch: Any,
    rate: jax.Array,
) -> tuple[TrainState, jax.Array, Any]:
    """Takes one step down the gradient; to be used under `jax.jit`.

    Args:
      graph: of the network.
      loss: what to make small.
      optimizer: scales gradients; the learning rate is not its business.
      state: before the step.
      batch: what the loss is given.
      rate: learning rate, a scalar.

    Returns:
      The state after the step; the loss and what the network made, before it.
    """

    def loss_of(parameters: Parameters) -> tuple[jax.Array, Any]:
        return loss(nnx.merge(graph, parameters), batch)

    (value, made), gradient = jax.value_and_grad(loss_of, has_aux=True)(
        state.parameters
    )
    updates, moments = optimizer.update(gradient, state.optimizer, state.parameters)
    updates = optax.tree.scale(-rate, updates)
    parameters = optax.apply_updates(state.parameters, updates)
    return TrainState(parameters, moments), value, made


def learning_rate(peak: float, steps: int) -> Schedule:
    """Makes a schedule: up to the peak in a twentieth of the steps, then down a cosine.

    A step is handed its rate as a number, so that another schedule needs no other
    program.

    References:
      Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts",
      2017, equation 5 (arXiv 1608.03983), without restarts.
    """
    warm = max(steps // 20, 1)

    def rate(number: int) -> jax.Array:
        if number < warm:
            return jnp.float32(peak * (number + 1) / warm)
        progress = (number - warm) / max(steps - warm, 1)
        return jnp.float32(peak * (1 + math.cos(math.pi * progress)) / 2)

    return rate


def init_params(
    key: jax.Array, kind: Callable[..., nnx.Module], *args: int, **options: int
) -> tuple[Graph, Parameters]:
    """Makes a network `kind(*args, **options)`: its static graph, its first weights.

    Weights are drawn by another generator of JAX's, seeded by the key: Threefry's
    programs take 12 s to compile for a small network, these take 2 s. Its numbers may
    differ between kinds of devices, as anyway does what is trained from them.
    """
    words = jnp.resize(jax.random.key_data(key), (4,))
    return _draw(kind, args, tuple(options.items()), words)


@functools.partial(jax.jit, static_argnums=(0, 1, 2), donate_argnums=3)
def _step(
    graph: Graph, loss: Loss, optimizer: optax.GradientTransformation, *moving: Any
) -> tuple[TrainState, jax.Array]:
    return update(graph, loss, optimizer, *moving)[:2]


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _draw(
    kind: Callable[..., nnx.Module],
    args: tuple[int, ...],
    options: tuple[tuple[str, int], ...],
    words: jax.Array,
) -> tuple[Graph, Parameters]:
    rngs = nnx.Rngs(jax.random.wrap_key_data(words, impl="rbg"))
    return nnx.split(kind(*args, **dict(options), rngs=rngs))

"""ST-Adam: Adam whose momentum follows how well gradients agree.

Freshly shuffled images make gradients swing from step to step. Where gradients have
opposed their momentum of late, ST-Adam trusts the past more; where they have agreed,
the present.

>>> import jax.numpy as jnp
>>> import optax
>>> optimizer = optax.chain(optax.clip_by_global_norm(1.0), st_adam(1e-3))
>>> parameters = {"w": jnp.ones(3)}
>>> state = optimizer.init(parameters)
>>> updates, state = optimizer.update({"w": jnp.ones(3)}, state, parameters)
>>> parameters = optax.apply_updates(parameters, updates)

`scale_by_st_adam` is the part without the learning rate, for chains of one's own.
"""

import functools

import chex
import flax
import jax
import jax.numpy as jnp
import optax


@flax.struct.dataclass
class ScaleByStAdamState:
    """What `scale_by_st_adam` remembers; a pytree, shaped as the parameters are.

    Attributes:
      count: updates so far, int32 ().
      mu: momentum, before bias correction.
      nu: mean of squared gradients, before bias correction.
      agreement: of gradients with the momentum before them, -1 to 1, smoothed.
      forgotten: for each value, the running product of the beta1 that were used: the
        share of `mu` that is still its first value, 0.
    """

    count: jax.Array
    mu: optax.Updates
    nu: optax.Updates
    agreement: optax.Updates
    forgotten: optax.Updates


def st_adam(
    learning_rate: optax.ScalarOrSchedule,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    *,
    adaptation: float = 0.5,
) -> optax.GradientTransformation:
    """Adapts Adam's beta1, value by value, to the agreement of gradients.

    The updates of `scale_by_st_adam`, scaled by a learning rate. For weight decay,
    chain `optax.add_decayed_weights` between the two.

    Args:
      learning_rate: Number or optax schedule.
      b1: Beta1 where gradients and momentum have nothing to do with each other, 0 to 1
        (exclusive).
      b2: Decay of the mean of squared gradients, 0 to 1 (exclusive).
      eps: Addend to its root.
      adaptation: Reach of beta1, 0 to 1 (exclusive). 0 is `optax.adam`, exactly.

    Returns:
      An `optax.GradientTransformation`, for any pytree of floating arrays.

    Raises:
      ValueError: `b1`, `b2` or `adaptation` outside 0 to 1, 1 excluded.

    References:
      As `scale_by_st_adam`.
    """
    return optax.chain(
        scale_by_st_adam(b1, b2, eps, adaptation=adaptation),
        optax.scale_by_learning_rate(learning_rate),
    )


def scale_by_st_adam(
    b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8, *, adaptation: float = 0.5
) -> optax.GradientTransformation:
    """Rescales updates by Adam with a beta1 that adapts to the agreement of gradients.

    With g the gradient and m the bias-corrected momentum before it, for each value,

        agreement = b1 * agreement + (1 - b1) * 2 g m / (g^2 + m^2)     in [-1, 1]
        beta1 = b1 - adaptation * (1 - b1) * agreement
        mu = beta1 * mu + (1 - beta1) * g
        forgotten = forgotten * beta1,  m = mu / (1 - forgotten)

    and the rest is Adam. Agreement begins at 0. It is smoothed: a beta1 that followed
    each single gradient would keep more of those that agree than of those that oppose,
    and bias the mean towards where it already points. It does not change with the scale
    of the loss, nor with how parameters are sharded.

    Args:
      b1: Beta1 at agreement 0, and the decay of agreement; 0 to 1 (exclusive).
      b2: Decay of the mean of squared gradients, 0 to 1 (exclusive).
      eps: Addend to its root.
      adaptation: Reach of beta1, 0 to 1 (exclusive). 0 is `optax.scale_by_adam`.

    Returns:
      An `optax.GradientTransformation`, for any pytree of floating arrays.

    Raises:
      ValueError: `b1`, `b2` or `adaptation` outside 0 to 1, 1 excluded.

    References:
      Li et al., NDSS 2024 (arXiv 2404.04098), on ST-Adam: the momentum follows how far
      the current gradient agrees with past ones, against the oscillation that shuffling
      causes. The exact update is not public: the measure of agreement, its smoothing,
      the linear law and the bias correction by the product of the betas are our
      reading.
    """
    for name, value in (("b1", b1), ("b2", b2), ("adaptation", adaptation)):
        if not 0 <= value < 1:
            raise ValueError(f"{name} must be from 0 to below 1; got {value}")
    if adaptation == 0:
        return optax.scale_by_adam(b1, b2, eps)
    update = functools.partial(_update, b1=b1, b2=b2, eps=eps, adaptation=adaptation)
    return optax.GradientTransformation(_init, update)


def _init(parameters: optax.Params) -> ScaleByStAdamState:
    zeros = jax.tree.map(jnp.zeros_like, parameters)
    ones = jax.tree.map(jnp.ones_like, parameters)
    return ScaleByStAdamState(jnp.zeros((), jnp.int32), zeros, zeros, zeros, ones)


def _update(
    gradients: optax.Updates,
    state: ScaleByStAdamState,
    params: optax.Params | None = None,
    *,
    b1: float,
    b2: float,
    eps: float,
    adaptation: float,
) -> tuple[optax.Updates, ScaleByStAdamState]:
    del params
    chex.assert_trees_all_equal_structs(gradients, state.mu)
    count = optax.safe_increment(state.count)

    def agree(
        before: jax.Array, g: jax.Array, mu: jax.Array, forgotten: jax.Array
    ) -> jax.Array:
        # Before the first update there is no momentum, and nothing to agree with.
        momentum = jnp.where(forgotten < 1, mu / (1 - jnp.minimum(forgotten, b1)), 0)
        size = g**2 + momentum**2
        now = 2 * g * momentum / jnp.where(size > 0, size, 1)
        return b1 * before + (1 - b1) * now

    agreement = jax.tree.map(
        agree, state.agreement, gradients, state.mu, state.forgotten
    )
    betas = jax.tree.map(lambda a: b1 - adaptation * (1 - b1) * a, agreement)
    mu = jax.tree.map(lambda b, m, g: b * m + (1 - b) * g, betas, state.mu, gradients)
    forgotten = jax.tree.map(jnp.multiply, betas, state.forgotten)
    nu = optax.tree.update_moment_per_elem_norm(gradients, state.nu, b2, 2)
    # As a float, which strict promotion of dtypes asks for.
    nu_hat = optax.tree.bias_correction(nu, b2, count.astype(float))
    updates = jax.tree.map(
        lambda m, f, n: m / (1 - f) / (jnp.sqrt(n) + eps), mu, forgotten, nu_hat
    )
    return updates, ScaleByStAdamState(count, mu, nu, agreement, forgotten)

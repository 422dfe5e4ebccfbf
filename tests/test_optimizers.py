import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vmixjax.optimizers import scale_by_st_adam, st_adam

SHAPES = {"w": (3, 4), "b": (4,), "scalar": ()}


def gradients(count, seed=0):
    rng = np.random.default_rng(seed)
    return [
        {
            name: jnp.asarray(rng.normal(size=shape), jnp.float32)
            for name, shape in SHAPES.items()
        }
        for _ in range(count)
    ]


def run(optimizer, given, parameters):
    state, seen = optimizer.init(parameters), []
    update = jax.jit(optimizer.update)
    for gradient in given:
        updates, state = update(gradient, state, parameters)
        parameters = optax.apply_updates(parameters, updates)
        seen.append(parameters)
    return seen


START = {name: jnp.ones(shape) for name, shape in SHAPES.items()}


def test_without_adaptation_it_is_adam_bit_for_bit():
    given = gradients(20)
    rate = optax.cosine_decay_schedule(1e-2, 20)
    ours = run(st_adam(rate, 0.8, 0.99, 1e-6, adaptation=0), given, START)
    adams = run(optax.adam(rate, 0.8, 0.99, 1e-6), given, START)
    for one, other in zip(ours, adams, strict=True):
        jax.tree.map(np.testing.assert_array_equal, one, other)


def test_without_adaptation_it_scales_as_adam_does():
    given = gradients(20)
    ours = run(scale_by_st_adam(0.8, 0.99, 1e-6, adaptation=0), given, START)
    adams = run(optax.scale_by_adam(0.8, 0.99, 1e-6), given, START)
    for one, other in zip(ours, adams, strict=True):
        jax.tree.map(np.testing.assert_array_equal, one, other)


@pytest.mark.parametrize("adaptation", [0, 0.5])
def test_it_is_a_chain_of_its_scaling_and_a_learning_rate(adaptation):
    given = gradients(5)
    chain = optax.chain(
        scale_by_st_adam(adaptation=adaptation), optax.scale_by_learning_rate(1e-2)
    )
    assert jax.tree.structure(chain.init(START)) == jax.tree.structure(
        st_adam(1e-2, adaptation=adaptation).init(START)
    )
    for one, other in zip(
        run(st_adam(1e-2, adaptation=adaptation), given, START),
        run(chain, given, START),
        strict=True,
    ):
        jax.tree.map(np.testing.assert_array_equal, one, other)


def test_with_little_adaptation_it_is_nearly_adam():
    given = gradients(20)
    ours = run(st_adam(1e-2, adaptation=1e-6), given, START)[-1]
    adams = run(optax.adam(1e-2), given, START)[-1]
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), ours, adams
    )


def oracle(given, start, rate, b1, b2, eps, adaptation):
    """The docstring's formulas, in float64, one value at a time."""
    x = np.asarray(start, np.float64)
    mu, nu, agreement = np.zeros_like(x), np.zeros_like(x), np.zeros_like(x)
    forgotten = np.ones_like(x)
    for t, g in enumerate(given, 1):
        g = np.asarray(g, np.float64)
        for i in np.ndindex(x.shape):
            m = mu[i] / (1 - forgotten[i]) if t > 1 else 0.0
            now = 2 * g[i] * m / (g[i] ** 2 + m**2)
            agreement[i] = b1 * agreement[i] + (1 - b1) * now
            beta = b1 - adaptation * (1 - b1) * agreement[i]
            mu[i] = beta * mu[i] + (1 - beta) * g[i]
            forgotten[i] *= beta
            nu[i] = b2 * nu[i] + (1 - b2) * g[i] ** 2
            step = mu[i] / (1 - forgotten[i])
            x[i] -= rate * step / (np.sqrt(nu[i] / (1 - b2**t)) + eps)
    return x


@pytest.mark.parametrize("adaptation", [0.3, 0.9])
def test_it_follows_the_formulas(adaptation):
    given = gradients(30)
    got = run(st_adam(1e-2, adaptation=adaptation), given, START)[-1]
    for name in SHAPES:
        expected = oracle(
            [g[name] for g in given], START[name], 1e-2, 0.9, 0.999, 1e-8, adaptation
        )
        np.testing.assert_allclose(got[name], expected, rtol=2e-5, atol=1e-6)


def test_swinging_gradients_shake_it_less_than_adam_and_a_change_is_followed_sooner():
    def steps(optimizer, given):
        start = {"x": jnp.asarray(0.0)}
        seen = run(optimizer, [{"x": jnp.asarray(g)} for g in given], start)
        return np.diff([float(one["x"]) for one in seen])

    ours, adams = st_adam(1.0, adaptation=0.9), optax.adam(1.0)
    swinging = [0.1 + sign for sign in (1.0, -1.0) * 20]
    assert np.ptp(steps(ours, swinging)[-10:]) < np.ptp(steps(adams, swinging)[-10:])
    # They agreed for long, so history is trusted less when they grow.
    growing = [0.1] * 20 + [1.0]
    assert steps(ours, growing)[-1] < steps(adams, growing)[-1] < 0


def test_zero_gradients_and_odd_trees_are_fine():
    start = {"a": (jnp.zeros(2), None), "b": [jnp.zeros(())]}
    seen = run(st_adam(1e-2), [start] * 3, start)[-1]
    jax.tree.map(np.testing.assert_array_equal, seen, start)


def test_it_works_in_a_chain_with_schedule_decay_and_vmap():
    optimizer = optax.chain(
        optax.clip_by_global_norm(1.0),
        st_adam(optax.linear_schedule(1e-2, 0, 10)),
        optax.add_decayed_weights(-1e-3),
    )

    def learn(start):
        state = optimizer.init(start)
        for _ in range(10):
            updates, state = optimizer.update(2 * start, state, start)
            start = optax.apply_updates(start, updates)
        return start

    starts = jnp.linspace(0.5, 1, 4)
    ends = jax.jit(jax.vmap(learn))(starts)
    assert (ends < starts).all()
    np.testing.assert_allclose(ends[2], learn(starts[2]), rtol=1e-6)


@pytest.mark.parametrize("wrong", [{"b1": 1.0}, {"b2": -0.1}, {"adaptation": 1.0}])
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(
        ValueError, match=f"{next(iter(wrong))} must be from 0 to below 1"
    ):
        st_adam(1e-3, **wrong)

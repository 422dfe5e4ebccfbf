import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import vmixjax.networks
from vmixjax.networks import learning_rate, trainer

KEY = jax.random.key(4)
OPTIMIZER = optax.scale_by_adam()


def squared_error(network, batch):
    x, y = batch
    found = network(x)
    return jnp.mean((found - y) ** 2), found


def line(key):
    """Points on a line, others for each key."""
    x = jax.random.normal(key, (16, 1))
    return x, 3 * x + 1


def fit(loss=squared_error, **options):
    graph, parameters = nnx.split(nnx.Linear(1, 1, rngs=nnx.Rngs(0)))
    step = trainer.step_of(graph, loss, OPTIMIZER)
    options = {"batch_of": line, "rate": learning_rate(0.3, 60), "steps": 60} | options
    state = trainer.fit(KEY, trainer.init(OPTIMIZER, parameters), step, **options)
    return nnx.merge(graph, state.parameters)


def test_a_network_learns_what_its_batches_show():
    losses = []
    network = fit(watch=lambda number, state, loss: losses.append((number, loss)))
    np.testing.assert_allclose(network(jnp.array([[2.0]])), [[7]], atol=0.05)
    assert [number for number, _ in losses] == list(range(1, 61))
    assert losses[-1][1] < losses[0][1] / 100


def test_each_step_has_its_own_key_folded_in_by_its_number():
    seen = []
    fit(batch_of=lambda key: (seen.append(key), line(key))[1], steps=3)
    assert seen == [jax.random.fold_in(KEY, number) for number in range(3)]


def test_other_batches_rates_and_lengths_need_no_other_program():
    traced = []

    def counted(network, batch):
        traced.append(batch)
        return squared_error(network, batch)

    fit(loss=counted)
    once = len(traced)
    other = {"batch_of": lambda key: line(key)[::-1], "rate": learning_rate(0.1, 5)}
    fit(loss=counted, steps=5, **other)
    assert len(traced) == once > 0


def test_the_rate_climbs_to_its_peak_and_falls_to_nothing():
    rates = [float(learning_rate(2.0, 100)(number)) for number in range(100)]
    assert np.argmax(rates) in (4, 5)
    assert max(rates) == 2
    assert rates[0] == pytest.approx(0.4)
    assert rates[-1] < 0.01
    assert float(learning_rate(2.0, 1)(0)) == 2


@pytest.mark.parametrize("name", vmixjax.networks.__all__)
def test_every_public_name_is_there_and_documented(name):
    assert getattr(vmixjax.networks, name).__doc__

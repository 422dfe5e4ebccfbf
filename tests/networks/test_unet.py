import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from vmixjax.networks.training import init_params, rate_at
from vmixjax.networks.unet import UNet, folded, unfolded


@pytest.mark.parametrize(("size", "depth"), [((8, 8), 1), ((7, 5), 2), ((1, 3), 2)])
def test_a_network_for_images_of_any_size(size, depth):
    def apply(x):
        return UNet(3, 2, width=4, depth=depth, rngs=nnx.Rngs(0))(x)

    x = jax.ShapeDtypeStruct((2, *size, 3), jnp.float32)
    assert jax.eval_shape(apply, x).shape == (2, *size, 2)


def test_it_starts_by_correcting_nothing_the_same_for_the_same_key():
    def drawn(seed):
        return init_params(jax.random.key(seed), UNet, 3, 3, width=4, depth=1)

    graph, parameters = drawn(0)
    corrected = jax.jit(lambda x: nnx.merge(graph, parameters)(x))(
        jnp.ones((1, 8, 8, 3))
    )
    assert not corrected.any()
    chex.assert_trees_all_equal(parameters, drawn(0)[1])
    first, other = (drawn(seed)[1]["stem"]["kernel"][...] for seed in (0, 1))
    assert (first != other).any()


def test_the_rate_climbs_to_its_peak_and_falls_to_nothing():
    rates = [float(rate_at(number, 100, 2.0)) for number in range(100)]
    assert np.argmax(rates) in (4, 5)
    assert max(rates) == 2
    assert rates[0] == pytest.approx(0.4)
    assert rates[-1] < 0.01
    assert float(rate_at(0, 1, 2.0)) == 2


def test_a_fold_makes_squares_channels():
    x = np.arange(2 * 4 * 6 * 3).reshape(2, 4, 6, 3)
    y = np.asarray(folded(jnp.asarray(x), 2))
    np.testing.assert_array_equal(y[1, 1, 2], x[1, 2:4, 4:6].reshape(-1))
    np.testing.assert_array_equal(unfolded(jnp.asarray(y), 2), x)

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from vmixjax.attacks.unet import UNet, folded, unfolded


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("size", [(8, 8), (7, 5), (1, 3)])
def test_a_network_for_images_of_any_size(depth, size):
    network = UNet(3, 2, width=4, depth=depth, rngs=nnx.Rngs(0))
    x = jax.random.normal(jax.random.key(0), (2, *size, 3))
    assert network(x).shape == (2, *size, 2)


def test_it_starts_by_correcting_nothing():
    network = UNet(3, 3, width=4, depth=1, rngs=nnx.Rngs(0))
    assert not network(jnp.ones((1, 8, 8, 3))).any()


def test_a_fold_makes_squares_channels():
    x = np.arange(2 * 4 * 6 * 3).reshape(2, 4, 6, 3)
    y = np.asarray(folded(jnp.asarray(x), 2))
    np.testing.assert_array_equal(y[1, 1, 2], x[1, 2:4, 4:6].reshape(-1))
    np.testing.assert_array_equal(unfolded(jnp.asarray(y), 2), x)

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from vmixjax.attacks.unet import UNet, folded, unfolded


@pytest.mark.parametrize(("size", "depth"), [((8, 8), 1), ((7, 5), 2), ((1, 3), 2)])
def test_a_network_for_images_of_any_size(size, depth):
    graph, parameters = nnx.split(UNet(3, 2, width=4, depth=depth, rngs=nnx.Rngs(0)))
    x = jax.ShapeDtypeStruct((2, *size, 3), jnp.float32)
    found = jax.eval_shape(lambda x: nnx.merge(graph, parameters)(x), x)
    assert found.shape == (2, *size, 2)


def test_it_starts_by_correcting_nothing():
    graph, parameters = nnx.split(UNet(3, 3, width=4, depth=1, rngs=nnx.Rngs(0)))
    corrected = jax.jit(lambda x: nnx.merge(graph, parameters)(x))(
        jnp.ones((1, 8, 8, 3))
    )
    assert not corrected.any()


def test_a_fold_makes_squares_channels():
    x = np.arange(2 * 4 * 6 * 3).reshape(2, 4, 6, 3)
    y = np.asarray(folded(jnp.asarray(x), 2))
    np.testing.assert_array_equal(y[1, 1, 2], x[1, 2:4, 4:6].reshape(-1))
    np.testing.assert_array_equal(unfolded(jnp.asarray(y), 2), x)

import jax.numpy as jnp
import numpy as np

from vmixjax.networks.inputs import depth_to_space, space_to_depth


def test_squares_become_channels_and_come_back():
    x = np.arange(2 * 4 * 6 * 3).reshape(2, 4, 6, 3)
    y = np.asarray(space_to_depth(jnp.asarray(x), 2))
    np.testing.assert_array_equal(y[1, 1, 2], x[1, 2:4, 4:6].reshape(-1))
    np.testing.assert_array_equal(depth_to_space(jnp.asarray(y), 2), x)

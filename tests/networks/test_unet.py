import chex
import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from vmixjax.networks import UNet, init_params


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

import chex
import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest

import vmixjax

PHOTO = oracle.smooth_image(64, 64)
MANY_SHUFFLES = 2000
MODES = ("independent", "shared", "joint")


@pytest.mark.parametrize("tile", [7, 8, 14, 16, 28])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_vfe_is_its_definition(tile, channels, dtype):
    rng = np.random.default_rng(tile * channels)
    shape = (2 * tile, 3 * tile, channels)
    if dtype == np.float32:
        image = rng.normal(size=shape).astype(dtype)
    else:
        image = rng.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
    expected = oracle.vfe_map(image, tile)
    np.testing.assert_allclose(vmixjax.vfe_map(image, tile), expected, rtol=1e-5)
    np.testing.assert_allclose(vmixjax.vfe(image, tile), expected.mean(), rtol=1e-5)


def test_a_flat_image_has_only_the_zero_border():
    image = np.full((8, 8, 1), 255, np.uint8)
    assert float(vmixjax.vfe(image, 8)) == 16.0


@pytest.mark.parametrize("variant", [lambda f: f, jax.jit])
def test_vfe_plain_jitted_and_vmapped(variant):
    images = np.stack([PHOTO, PHOTO[::-1]])
    one = variant(lambda image: vmixjax.vfe_map(image, 16))
    both = jax.vmap(one)(images)
    chex.assert_shape(both, (2, 4, 4, 3))
    np.testing.assert_allclose(both[1], one(images[1]), rtol=1e-6)


def test_vfe_has_a_gradient():
    image = jnp.asarray(PHOTO / 255, jnp.float32)
    gradient = jax.grad(lambda x: vmixjax.vfe(x, 32))(image)
    # VFE is a mean of homogeneous quadratic forms, so x . gradient = 2 VFE.
    inner = float(jnp.vdot(image, gradient))
    assert inner == pytest.approx(2 * float(vmixjax.vfe(image, 32)), rel=1e-4)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float16])
def test_level_0_is_the_vfe_as_it_is(dtype):
    image = oracle.smooth_image(64, 96, 3, dtype)
    expected = vmixjax.expected_vfe_map(image, vmixjax.MixConfig())[0]
    actual = vmixjax.vfe_map(image, 32).mean(-1)
    rtol = 1e-4 if np.issubdtype(dtype, np.floating) else 1e-5
    np.testing.assert_allclose(expected, actual, rtol=rtol)


@pytest.mark.parametrize(
    "channels",
    [MODES[0], *(pytest.param(mode, marks=pytest.mark.long) for mode in MODES[1:])],
)
@pytest.mark.parametrize(
    ("tile", "ladder"),
    [
        # One, four and sixteen regions to a tile; each with every block size.
        (32, ((32, 1), (32, 2), (32, 4), (32, 8), (32, 16))),
        (16, ((8, 1), (8, 2), (8, 4))),
        (32, ((8, 4), (8, 2), (8, 1), (4, 1), (2, 1))),
        pytest.param(
            *(14, ((14, 1), (14, 2), (14, 7), (7, 1))), marks=pytest.mark.long
        ),
        (12, ((6, 2), (6, 1), (12, 3), (3, 1))),
    ],
)
def test_expected_vfe_is_the_mean_of_many_shuffles(tile, ladder, channels):
    config = vmixjax.MixConfig(tile_size=tile, ladder=ladder, channels=channels)
    image = oracle.smooth_image(2 * tile, 2 * tile)
    image[:tile, :tile] //= 16
    expected = np.asarray(vmixjax.expected_vfe_map(image, config))

    @jax.jit
    def shuffled(key, plan):
        keys = jax.random.split(key, MANY_SHUFFLES)
        one = lambda key: vmixjax.vfe_map(vmixjax.mix(key, image, plan), tile).mean(-1)  # noqa: E731
        return jax.lax.map(one, keys, batch_size=250)

    plan = vmixjax.full_plan(image.shape, config)
    for level in range(1, len(ladder) + 1):
        at_level = vmixjax.Plan(
            jnp.full_like(plan.levels, level), plan.expected_vfe, plan.reachable, config
        )
        samples = np.asarray(shuffled(jax.random.key(level), at_level), np.float64)
        error = samples.mean(0) - expected[level]
        standard = samples.std(0, ddof=1) / MANY_SHUFFLES**0.5
        assert (np.abs(error) <= 4 * standard + 1e-6).all(), (level, error / standard)
        assert abs(error.mean()) <= 0.005 * expected[level].mean()


def test_expected_vfe_does_not_depend_on_the_unit_of_a_float_image():
    image = oracle.smooth_image(32, 32, 1, np.float32)
    config = vmixjax.MixConfig()
    expected = np.asarray(vmixjax.expected_vfe_map(image, config))
    for factor in (2.0**-50, 2.0**50):
        scaled = vmixjax.expected_vfe_map(np.float32(image * factor), config)
        np.testing.assert_allclose(np.asarray(scaled) / factor / factor, expected)


@pytest.mark.parametrize(
    ("image", "error", "words"),
    [
        (np.zeros((2, 32, 32, 3), np.uint8), ValueError, "jax.vmap"),
        (np.zeros((32, 32), np.uint8), ValueError, r"image\[..., None\]"),
        (np.zeros((32, 32, 3), np.int32), TypeError, "int32"),
        (np.zeros((33, 32, 3), np.uint8), ValueError, "64 x 32"),
        (np.zeros((0, 32, 3), np.uint8), ValueError, r"\(0, 32, 3\)"),
    ],
)
def test_bad_images_are_named(image, error, words):
    for function in (
        lambda x: vmixjax.vfe(x, 32),
        lambda x: vmixjax.expected_vfe_map(x, vmixjax.MixConfig()),
        lambda x: vmixjax.canonical(x, 32),
    ):
        with pytest.raises(error, match=words):
            function(image)


@pytest.mark.parametrize("tile", [0, -8, 8.0, True])
def test_bad_tile_sizes_are_named(tile):
    with pytest.raises(ValueError, match="tile_size must be a positive integer"):
        vmixjax.vfe(PHOTO, tile)

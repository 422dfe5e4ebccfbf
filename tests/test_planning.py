import chex
import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from skimage import data

import vmixjax
from vmixjax.planning import plan_at

PHOTO = oracle.smooth_image(64, 96)
PHOTO[:32, :32] //= 8
SMALL = vmixjax.MixConfig(16, ((4, 2), (4, 1), (8, 1), (16, 1)))


def features_of(image, tile):
    """Gradient energy inside each tile, without the border term, exactly."""
    height, width, channels = image.shape
    tiles = image.astype(np.int64).reshape(
        height // tile, tile, width // tile, tile, channels
    )
    down = (np.diff(tiles, axis=1) ** 2).sum((1, 3, 4))
    return down + (np.diff(tiles, axis=3) ** 2).sum((1, 3, 4))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 0.5, 0.8, 0.99, 1.0])
def test_a_plan_is_the_first_step_of_the_climb_that_reaches_the_target(share):
    expected = np.asarray(vmixjax.expected_vfe_map(PHOTO, SMALL), np.float64)
    expected = expected.reshape(len(expected), -1) / expected[0].size
    lowest, highest = vmixjax.vfe_range(PHOTO, SMALL)
    target = float(lowest) + share * (float(highest) - float(lowest))
    plan = vmixjax.plan(PHOTO, target, SMALL)
    levels, total = oracle.levels_by_climbing(
        expected[1],
        np.diff(expected[1:], axis=0),
        features_of(PHOTO, 16).ravel(),
        # Float64 sums of float32 parts may differ from the exact sum by this much.
        target - 1e-5,
    )
    assert plan.levels.ravel().tolist() == levels.tolist()
    assert float(plan.expected_vfe) == pytest.approx(total, rel=1e-5)
    assert bool(plan.reachable)
    assert plan.levels.max() - plan.levels.min() <= 1


def test_range_is_level_1_to_strongest_and_beyond_is_said():
    lowest, highest = vmixjax.vfe_range(PHOTO, SMALL)
    below, above = (vmixjax.plan(PHOTO, t, SMALL) for t in (0.0, float("inf")))
    assert (below.levels == 1).all()
    assert below.expected_vfe == lowest
    assert bool(below.reachable)
    assert (above.levels == 4).all()
    assert above.expected_vfe == highest
    assert not bool(above.reachable)
    at_top = vmixjax.plan(PHOTO, highest, SMALL)
    assert bool(at_top.reachable)
    assert at_top.expected_vfe == highest


def test_a_ladder_of_one_level_has_one_plan():
    config = vmixjax.MixConfig(16, ((16, 1),))
    lowest, highest = vmixjax.vfe_range(PHOTO, config)
    assert lowest == highest
    for target in (0.0, float(lowest), 2 * float(highest)):
        plan = vmixjax.plan(PHOTO, target, config)
        assert (plan.levels == 1).all()
        assert bool(plan.reachable) == (target <= float(lowest))


def test_sensitivity_says_who_climbs_first_and_who_is_not_private():
    sensitivity = np.zeros((4, 6), np.float32)
    sensitivity[1:3, 2:5] = [[1, 2, 3], [6, 5, 4]]
    lowest, highest = vmixjax.vfe_range(PHOTO, SMALL, sensitivity=sensitivity)
    strongest = vmixjax.plan(PHOTO, np.inf, SMALL, sensitivity=sensitivity)
    assert ((strongest.levels == 4) == (sensitivity > 0)).all()
    assert ((strongest.levels == 0) == (sensitivity == 0)).all()
    assert strongest.expected_vfe == highest
    mixed = vmixjax.mix(jax.random.key(0), PHOTO, strongest)
    kept = np.repeat(np.repeat(sensitivity == 0, 16, 0), 16, 1)
    assert (np.asarray(mixed)[kept] == PHOTO[kept]).all()

    weakest = vmixjax.plan(PHOTO, 0.0, SMALL, sensitivity=sensitivity)
    assert ((weakest.levels == 1) == (sensitivity > 0)).all()
    # One step above the lowest lifts the most sensitive tile, and no other.
    step = np.nextafter(np.float32(lowest), np.float32(np.inf))
    lifted = vmixjax.plan(PHOTO, step, SMALL, sensitivity=sensitivity)
    assert np.argwhere(np.asarray(lifted.levels) == 2).tolist() == [[2, 2]]


def test_nothing_private_leaves_the_image_as_it_is():
    nothing = np.zeros((4, 6))
    plan = vmixjax.plan(PHOTO, 1e9, SMALL, sensitivity=nothing)
    assert not plan.levels.any()
    np.testing.assert_allclose(plan.expected_vfe, vmixjax.vfe(PHOTO, 16), rtol=1e-5)


def test_equal_features_climb_in_raster_order():
    image = np.tile(oracle.smooth_image(16, 16), (2, 3, 1))
    lowest, highest = vmixjax.vfe_range(image, SMALL)
    step = (float(highest) - float(lowest)) / 1000
    plan = vmixjax.plan(image, float(lowest) + step, SMALL)
    assert plan.levels.tolist() == [[2, 1, 1], [1, 1, 1]]


@pytest.mark.parametrize(
    ("dtype", "mode"),
    [
        (np.uint8, "independent"),
        pytest.param(np.float32, "joint", marks=pytest.mark.long),
        pytest.param(np.uint16, "shared", marks=pytest.mark.long),
    ],
)
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0, 1))
def test_plans_are_the_same_eager_jitted_and_in_any_batch(dtype, mode, seed, share):
    rng = np.random.default_rng(seed)
    config = vmixjax.MixConfig(8, ((4, 1), (8, 2), (8, 1)), mode)
    images = rng.integers(0, 256, (3, 16, 24, 3)) * rng.random((3, 1, 24, 1)) ** 4
    if dtype == np.float32:
        images = images * np.float32(rng.normal())
    images = images.astype(dtype)
    targets = []
    for image in images:
        lowest, highest = map(float, vmixjax.vfe_range(image, config))
        targets.append(np.float32(lowest + share * (highest - lowest)))
    one = lambda image, target: vmixjax.plan(image, target, config)  # noqa: E731
    alone = [one(image, target) for image, target in zip(images, targets, strict=True)]
    with jax.disable_jit():
        eager = one(images[0], targets[0])
    chex.assert_trees_all_equal(eager, alone[0])
    batch = jax.vmap(one)(images, np.array(targets))
    jitted = jax.jit(jax.vmap(one))(images[:2], np.array(targets[:2]))
    for i, plan in enumerate(alone):
        chex.assert_trees_all_equal(jax.tree.map(lambda x, i=i: x[i], batch), plan)
        if i < 2:
            chex.assert_trees_all_equal(jax.tree.map(lambda x, i=i: x[i], jitted), plan)


@pytest.mark.parametrize("name", ["astronaut", "cat", "coffee", "rocket", "retina"])
@pytest.mark.parametrize("ladder", [vmixjax.MixConfig().ladder, ((8, 2), (8, 1))])
def test_photographs_come_out_at_the_vfe_that_was_asked_for(name, ladder):
    # The middle of each: of one size, so that nothing is compiled twice.
    image = np.asarray(ImageOps.fit(Image.fromarray(getattr(data, name)()), (288, 288)))
    config = vmixjax.MixConfig(ladder=ladder)
    expected = np.asarray(vmixjax.expected_vfe_map(image, config), np.float64)
    one_step = np.abs(np.diff(expected[1:], axis=0)).max() / expected[0].size
    lowest, highest = map(float, vmixjax.vfe_range(image, config))
    for i, share in enumerate((0.1, 0.25, 0.5, 0.75, 0.9)):
        target = lowest + share * (highest - lowest)
        plan = vmixjax.plan(image, target, config)
        mixed = vmixjax.mix(jax.random.key(i), image, plan)
        realised = float(vmixjax.vfe(mixed, 32))
        allowed = max(0.05 * (highest - lowest), 0.005 * target, one_step)
        assert abs(realised - target) <= allowed


def test_full_plan_is_the_strongest_everywhere():
    plan = vmixjax.full_plan((64, 96, 3), SMALL)
    assert (plan.levels == 4).all()
    assert plan.levels.dtype == jnp.uint8
    assert plan.expected_vfe == np.inf
    assert plan.reachable


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: vmixjax.plan(PHOTO, float("nan"), SMALL), ValueError, "got nan"),
        (lambda: vmixjax.plan(PHOTO, -1, SMALL), ValueError, "got -1"),
        (lambda: vmixjax.plan(PHOTO, [1.0, 2.0], SMALL), ValueError, "one number"),
        (lambda: vmixjax.plan(PHOTO, 1.0, 16), TypeError, "MixConfig; got 16"),
        (lambda: vmixjax.plan(PHOTO[:, :60], 1.0, SMALL), ValueError, "64 x 64"),
        (
            lambda: vmixjax.plan(PHOTO, 1.0, SMALL, sensitivity=np.ones((4, 4))),
            ValueError,
            r"shape \(4, 6\); got \(4, 4\)",
        ),
        (
            lambda: vmixjax.plan(PHOTO, 1.0, SMALL, sensitivity=-np.ones((4, 6))),
            ValueError,
            "at least 0",
        ),
        (
            lambda: vmixjax.vfe_range(
                PHOTO, SMALL, sensitivity=np.full((4, 6), np.nan)
            ),
            ValueError,
            "at least 0",
        ),
        (
            lambda: jax.eval_shape(
                lambda x: vmixjax.plan(x, 1.0, vmixjax.MixConfig(8192, ((8192, 1),))),
                jax.ShapeDtypeStruct((8192, 8192, 3), jnp.uint8),
            ),
            ValueError,
            "tile_size of 8192 is too large",
        ),
        (lambda: vmixjax.full_plan((64, 96), SMALL), ValueError, r"\(H, W, C\)"),
        (lambda: vmixjax.full_plan((64, 90, 3), SMALL), ValueError, "64 x 96"),
    ],
)
def test_bad_arguments_are_named(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_a_traced_nan_gives_the_strongest_plan():
    plan = jax.jit(lambda t: vmixjax.plan(PHOTO, t, SMALL))(jnp.nan)
    assert (plan.levels == 4).all()
    assert not bool(plan.reachable)


@pytest.mark.parametrize("strength", [0.0, 0.3, 0.99])
def test_a_strength_is_the_target_at_its_place_in_the_range(strength):
    planned = plan_at(PHOTO, strength, SMALL)
    target = vmixjax.target_vfe(PHOTO, strength, SMALL)
    chex.assert_trees_all_equal(planned, vmixjax.plan(PHOTO, target, SMALL))


def test_strength_1_is_the_strongest_plan_and_reachable():
    sensitivity = np.ones((4, 6), np.float32)
    sensitivity[1, 2:4] = 0
    for strength in (1, 1.0, jnp.float32(1)):
        planned = plan_at(PHOTO, strength, SMALL, sensitivity=sensitivity)
        assert (planned.levels == np.where(sensitivity > 0, 4, 0)).all()
        assert bool(planned.reachable)
    whole = plan_at(PHOTO, 1, SMALL)
    chex.assert_trees_all_equal(whole, vmixjax.full_plan(PHOTO.shape, SMALL))

"""Laws that hold for all images, levels and keys; jitted, of batches, of one shape."""

import jax
import jax.numpy as jnp
import numpy as np
import oracle
from hypothesis import given, settings
from hypothesis import strategies as st

import vmixjax

CONFIG = vmixjax.MixConfig(4, ((2, 1), (4, 1)))
SHAPE = (2, 8, 12, 3)
REGION = CONFIG.ladder[-1][0]
SEEDS = st.integers(0, 2**32 - 1)


@st.composite
def images_of(draw):
    """Two images of few values or many, of any size, with places that are alike."""
    rng = np.random.default_rng(draw(SEEDS))
    values = rng.normal(size=SHAPE) * 2.0 ** draw(st.integers(-8, 8))
    steps = draw(st.sampled_from([1, 2, 2**10]))
    flat = rng.random(SHAPE) < draw(st.sampled_from([0, 0.5, 1]))
    return np.where(flat, 0.25, np.round(values * steps) / steps).astype(np.float32)


IMAGES = images_of()


@st.composite
def levels_of(draw):
    return np.random.default_rng(draw(SEEDS)).integers(0, 3, (2, 2, 3), np.uint8)


def plan_of(levels):
    plan = vmixjax.full_plan(SHAPE[1:], CONFIG)
    return vmixjax.Plan(levels, plan.expected_vfe, plan.reachable, CONFIG)


@jax.jit
@jax.vmap
def both_ways(key, image, other, levels):
    """Mixed, restored, and the gradient of an inner product by either image."""
    plan = plan_of(levels)

    def together(image, other):
        return jnp.vdot(vmixjax.mix(key, image, plan), other)

    by_image, by_other = jax.grad(together, (0, 1))(image, other)
    restored = vmixjax.unmix(key, by_other, plan)
    forms = [vmixjax.canonical(x, REGION) for x in (image, by_other)]
    return by_image, by_other, restored, vmixjax.unmix(key, other, plan), forms


@settings(max_examples=12, deadline=None)
@given(IMAGES, IMAGES, levels_of(), SEEDS)
def test_mixing_is_a_linear_bijection_inside_regions(images, others, levels, seed):
    keys = jax.random.split(jax.random.key(seed))
    by_image, mixed, restored, unmixed, forms = both_ways(keys, images, others, levels)
    np.testing.assert_array_equal(restored, images)
    # Its transpose is its inverse.
    np.testing.assert_array_equal(by_image, unmixed)
    for one, form, other in zip(images, *forms, strict=True):
        values = np.sort(oracle.regions(one, REGION), -1)
        np.testing.assert_array_equal(oracle.regions(form, REGION), values)
        np.testing.assert_array_equal(other, form)
    still = np.repeat(np.repeat(levels == 0, 4, 1), 4, 2)
    np.testing.assert_array_equal(np.asarray(mixed)[still], images[still])


@jax.jit
@jax.vmap
def planned(image, share):
    lowest, highest = vmixjax.vfe_range(image, CONFIG)
    target = vmixjax.target_vfe(image, share, CONFIG)
    levels = vmixjax.expected_vfe_map(image, CONFIG)
    return lowest, highest, target, vmixjax.plan(image, target, CONFIG), levels


@settings(max_examples=12, deadline=None)
@given(IMAGES, st.floats(0, 1, width=32))
def test_plans_are_what_their_levels_are_expected_to_be(images, share):
    shares = np.full(2, share, np.float32)
    lowest, highest, target, plans, by_level = planned(images, shares)
    ends = np.sort([lowest, highest], axis=0)
    assert (ends[0] * (1 - 1e-6) <= plans.expected_vfe).all()
    chosen = np.take_along_axis(
        np.asarray(by_level), np.asarray(plans.levels)[:, None].astype(int), 1
    )
    np.testing.assert_allclose(
        chosen.mean((1, 2, 3)), plans.expected_vfe, rtol=1e-5, atol=1e-6
    )
    assert (np.asarray(plans.levels) >= 1).all()
    assert (np.ptp(np.asarray(plans.levels), (1, 2)) <= 1).all()
    reached = np.asarray(plans.expected_vfe >= target)
    assert (reached == plans.reachable).all()
    if share == 1:
        assert (np.asarray(plans.levels) == 2).all()


@jax.jit
@jax.vmap
def measured(image):
    return vmixjax.vfe(image, 4), jax.grad(vmixjax.vfe)(image, 4)


@settings(max_examples=12, deadline=None)
@given(IMAGES)
def test_vfe_is_a_square_whose_gradient_leads_to_it(images):
    values, gradients = measured(images)
    # Euler: of a form of degree 2, the gradient times the place is twice the value.
    along = (np.asarray(gradients, float) * images).sum((1, 2, 3))
    np.testing.assert_allclose(along, 2 * values, rtol=1e-4)
    expected = [oracle.vfe_map(image, 4).mean() for image in images]
    np.testing.assert_allclose(values, expected, rtol=1e-5)

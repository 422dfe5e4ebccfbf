import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vmixjax

PHOTO = oracle.smooth_image(64, 96)
CONFIG = vmixjax.MixConfig(16, ((8, 2), (16, 1)))
PLAN = vmixjax.full_plan(PHOTO.shape, CONFIG)
KEY = jax.random.key(7)
DTYPES = ["uint8", "uint16", "float16", "bfloat16", "float32"]


def ragged(shape, config, seed):
    """A plan with all levels in it, 0 included."""
    plan = vmixjax.full_plan(shape, config)
    rng = np.random.default_rng(seed)
    levels = rng.integers(0, len(config.ladder) + 1, plan.levels.shape, np.uint8)
    return vmixjax.Plan(jnp.asarray(levels), plan.expected_vfe, plan.reachable, config)


def leveled(level):
    """A plan as a caller might make it by hand."""
    dtype = jnp.uint8 if isinstance(level, int) else jnp.float32
    levels = jnp.full(PLAN.levels.shape, level, dtype)
    return vmixjax.Plan(levels, PLAN.expected_vfe, PLAN.reachable, CONFIG)


def bits(image):
    """Bytes, since NaN != NaN and 0.0 == -0.0 would hide a change."""
    return np.asarray(image).view(np.uint8).tobytes()


@st.composite
def mixings(draw):
    """(image, plan, key) for every dtype, mode, ladder and ragged plan."""
    config = vmixjax.MixConfig(
        8,
        draw(st.sampled_from([((8, 1),), ((4, 2), (4, 1), (8, 4)), ((2, 1), (8, 2))])),
        draw(st.sampled_from(["independent", "shared", "joint"])),
    )
    shape = (16, 24, draw(st.sampled_from([1, 3, 4])))
    seed = draw(st.integers(0, 2**32 - 1))
    dtype = jnp.dtype(draw(st.sampled_from(DTYPES)))
    raw = np.random.default_rng(seed).bytes(int(np.prod(shape)) * dtype.itemsize)
    image = np.frombuffer(raw, dtype).reshape(shape)
    return image, ragged(shape, config, seed), jax.random.key(seed)


@settings(max_examples=8, deadline=None)
@given(mixings())
def test_mixing_keeps_each_regions_values_and_is_undone_exactly(mixing):
    image, plan, key = mixing
    mixed = vmixjax.mix(key, image, plan)
    assert mixed.shape == image.shape
    assert mixed.dtype == image.dtype
    assert bits(vmixjax.unmix(key, mixed, plan)) == bits(image)

    # Any values, NaN of any payload included: compared as integers.
    whole = np.dtype(f"u{image.dtype.itemsize}")
    before, after = image.view(whole), np.asarray(mixed).view(whole)
    for (row, column), level in np.ndenumerate(np.asarray(plan.levels)):
        tile = np.s_[8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
        if level == 0:
            assert (before[tile] == after[tile]).all()
            continue
        size = plan.config.ladder[level - 1][0]
        a, b = (oracle.regions(x[tile], size) for x in (before, after))
        if plan.config.channels == "joint":
            a, b = (x.reshape(*x.shape[:2], -1) for x in (a, b))
        assert (np.sort(a) == np.sort(b)).all()


def test_a_mixed_photograph_is_another_picture_with_more_vfe():
    mixed = vmixjax.mix(KEY, PHOTO, PLAN)
    assert np.mean(np.asarray(mixed) == PHOTO) < 0.05
    assert vmixjax.vfe(mixed, 16) > vmixjax.vfe(PHOTO, 16)


def test_shared_keeps_colours_and_independent_parts_them():
    colours = {tuple(pixel) for pixel in PHOTO.reshape(-1, 3)}
    kept = {}
    for mode in ("shared", "independent", "joint"):
        config = vmixjax.MixConfig(16, ((16, 1),), mode)
        plan = vmixjax.full_plan(PHOTO.shape, config)
        mixed = np.asarray(vmixjax.mix(KEY, PHOTO, plan)).reshape(-1, 3)
        kept[mode] = np.mean([tuple(pixel) in colours for pixel in mixed])
    assert kept["shared"] == 1
    assert max(kept["independent"], kept["joint"]) < 0.5


def test_keys_and_images_each_have_their_own_mix():
    keys = [vmixjax.image_key(KEY, i) for i in range(3)]
    mixes = {bits(vmixjax.mix(key, PHOTO, PLAN)) for key in keys}
    assert len(mixes) == 3


def test_batches_and_single_images_agree():
    images = np.stack([PHOTO, PHOTO[::-1], PHOTO[:, ::-1], 255 - PHOTO, PHOTO // 2])
    plans = [ragged(PHOTO.shape, CONFIG, seed) for seed in range(5)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *plans)
    keys = jax.vmap(vmixjax.image_key, (None, 0))(KEY, jnp.arange(5))
    for function in (vmixjax.mix, vmixjax.unmix):
        alone = [
            bits(function(keys[i], images[i], plans[i])) for i in range(len(plans))
        ]
        with jax.disable_jit():
            assert bits(function(keys[0], images[0], plans[0])) == alone[0]
        for many, size in (
            (jax.vmap(function), 5),
            (jax.jit(jax.vmap(function)), 1),
            (jax.jit(jax.vmap(function)), 3),
        ):
            part = jax.tree.map(lambda x, n=size: x[:n], (keys, images, stacked))
            assert [bits(x) for x in many(*part)] == alone[:size]


def test_other_images_and_levels_do_not_recompile():
    traces = []

    @jax.jit
    def batched(keys, images, plans):
        traces.append(1)
        return jax.vmap(vmixjax.mix)(keys, images, plans)

    for seed in range(3):
        plans = [ragged(PHOTO.shape, CONFIG, seed * 2 + i) for i in (0, 1)]
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *plans)
        batched(jax.random.split(KEY), np.stack([PHOTO + seed] * 2), stacked)
    assert len(traces) == 1


def test_mixing_has_a_gradient():
    image = jnp.asarray(PHOTO, jnp.float32)
    weights = jnp.arange(image.size, dtype=jnp.float32).reshape(image.shape)
    gradient = jax.grad(lambda x: jnp.vdot(weights, vmixjax.mix(KEY, x, PLAN)))(image)
    assert bits(gradient) == bits(vmixjax.unmix(KEY, weights, PLAN))


@pytest.mark.parametrize("mode", ["independent", "shared", "joint"])
def test_canonical_is_the_same_for_every_key(mode):
    config = vmixjax.MixConfig(16, ((4, 1), (8, 2), (8, 1)), mode)
    expected = np.asarray(vmixjax.canonical(PHOTO, 8, channels=mode))
    for seed in range(4):
        plan = ragged(PHOTO.shape, config, seed)
        mixed = vmixjax.mix(jax.random.key(seed), PHOTO, plan)
        assert (vmixjax.canonical(mixed, 8, channels=mode) == expected).all()
    values = oracle.regions(PHOTO, 8)
    if mode == "joint":
        values = values.reshape(*values.shape[:2], -1)
    values = np.sort(values, -1).reshape(*oracle.regions(PHOTO, 8).shape)
    assert (oracle.regions(expected, 8) == values).all()


def test_mixing_goes_forward_too():
    image = jnp.asarray(PHOTO, jnp.float32)
    tangent = jnp.arange(image.size, dtype=jnp.float32).reshape(image.shape)
    mixed, moved = jax.jvp(lambda x: vmixjax.mix(KEY, x, PLAN), (image,), (tangent,))
    assert bits(mixed) == bits(vmixjax.mix(KEY, image, PLAN))
    assert bits(moved) == bits(vmixjax.mix(KEY, tangent, PLAN))


def test_image_key_is_fold_in():
    assert vmixjax.image_key(KEY, 5) == jax.random.fold_in(KEY, 5)
    assert vmixjax.image_key(KEY, 2**32 - 1) != vmixjax.image_key(KEY, 0)


@pytest.mark.parametrize("function", [vmixjax.mix, vmixjax.unmix])
@pytest.mark.parametrize(
    ("key", "error", "words"),
    [
        (jax.random.PRNGKey(0), TypeError, "typed JAX PRNG key.*wrap_key_data"),
        (np.zeros(2, np.uint32), TypeError, "typed JAX PRNG key"),
        (0, TypeError, "typed JAX PRNG key; got int"),
        (
            jax.random.key(0, impl="rbg"),
            TypeError,
            "own or Threefry-2x32.*got rbg.*vmixjax\\.key",
        ),
        (jax.random.split(KEY), ValueError, "one key.*jax.vmap"),
    ],
)
def test_bad_keys_are_named(function, key, error, words):
    with pytest.raises(error, match=words):
        function(key, PHOTO, PLAN)
    with pytest.raises(error, match=words):
        vmixjax.image_key(key, 0)


def test_a_refused_key_is_not_shown():
    raw = np.array([123456789, 987654321], np.uint32)
    with pytest.raises(TypeError) as caught:
        vmixjax.mix(raw, PHOTO, PLAN)
    assert "123456789" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: vmixjax.mix(KEY, PHOTO[None], PLAN), ValueError, "jax.vmap"),
        (lambda: vmixjax.mix(KEY, PHOTO[:32], PLAN), ValueError, "plan of this image"),
        (lambda: vmixjax.mix(KEY, PHOTO[:63], PLAN), ValueError, "64 x 96"),
        (lambda: vmixjax.mix(KEY, PHOTO > 9, PLAN), TypeError, "bool"),
        (lambda: vmixjax.mix(KEY, PHOTO / 255, PLAN), TypeError, "float64.*float32"),
        (lambda: vmixjax.mix(KEY, PHOTO, leveled(3)), ValueError, "level of 3.* has 2"),
        (lambda: vmixjax.mix(KEY, PHOTO, leveled(1.0)), TypeError, "float32.*uint8"),
        (lambda: vmixjax.mix(KEY, PHOTO, CONFIG), TypeError, "Plan; got MixConfig"),
        (lambda: vmixjax.canonical(PHOTO, 0), ValueError, "region_size"),
        (lambda: vmixjax.canonical(PHOTO, 8, channels="all"), ValueError, "'all'"),
        (lambda: vmixjax.image_key(KEY, "cat.png"), TypeError, "image_id"),
        (lambda: vmixjax.image_key(KEY, 0.5), TypeError, "image_id"),
        (lambda: vmixjax.image_key(KEY, -1), ValueError, "2\\^64"),
        (lambda: vmixjax.image_key(KEY, 2**64), ValueError, "2\\^64"),
    ],
)
def test_bad_arguments_are_named(call, error, words):
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize(
    ("config", "shape", "words"),
    [
        (vmixjax.MixConfig(2053, ((2053, 1),)), (2053, 2053, 1), "prime factor 2053"),
        (
            vmixjax.MixConfig(2, ((2, 1),), "joint"),
            (2, 2, 2 * 1031),
            "2062 channels.*factor 1031.*independent",
        ),
    ],
)
def test_counts_that_are_too_large_a_prime_are_refused(config, shape, words):
    plan = vmixjax.full_plan(shape, config)
    with pytest.raises(ValueError, match=words):
        jax.eval_shape(vmixjax.mix, KEY, jax.ShapeDtypeStruct(shape, jnp.uint8), plan)

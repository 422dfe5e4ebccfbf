"""Every public function under JAX's settings, and in every way that JAX calls it.

`CALLS` has all functions that JAX can trace. What is public and missing in it, and in
`ON_THE_HOST`, fails the first test.
"""

import contextlib
import functools
import importlib
import inspect
import pkgutil

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest

import vmixjax
from vmixjax import attacks, methods, metrics, optimizers
from vmixjax.attacks._alignment import align
from vmixjax.attacks._assembly import assemble
from vmixjax.attacks._scene import Placed, solve_scene
from vmixjax.attacks._turned_assembly import turned_misfits
from vmixjax.attacks.averaging import averaging
from vmixjax.attacks.region_means import region_means
from vmixjax.attacks.threat_model import ThreatModel
from vmixjax.attacks.total_variation import total_variation

CONFIG = vmixjax.MixConfig(4, ((2, 1), (4, 1)))
SENSITIVITY = np.arange(4, dtype=np.float32).reshape(2, 2)
IMAGE = oracle.smooth_image(8, 8)
KEY = vmixjax.key(bytes(range(32)))
WORDS = jax.random.key_data(KEY)
IMPL = jax.random.key_impl(KEY)
KNOWN = ThreatModel(lambda key, image: image, jnp.asarray(IMAGE[None]), region=4)


def stepped(key, image):
    """Two steps of an optimizer, the second of a gradient that is nowhere."""
    del key
    params = {"w": image.astype(jnp.float32), "b": jnp.float32(1)}
    optimizer = optimizers.st_adam(1e-3)
    state = optimizer.init(params)
    for gradient in (params, jax.tree.map(jnp.zeros_like, params)):
        updates, state = optimizer.update(gradient, state, params)
    return updates


# (key, image) -> arrays, by name of what is called.
CALLS = {
    "canonical": lambda key, image: vmixjax.canonical(image, 4),
    "expected_vfe_map": lambda key, image: vmixjax.expected_vfe_map(image, CONFIG),
    "full_plan": lambda key, image: vmixjax.full_plan(image.shape, CONFIG),
    "image_key": lambda key, image: vmixjax.image_key(key, image[0, 0, 0]),
    "key": lambda key, image: vmixjax.key(bytes(range(32))),
    "mix": lambda key, image: vmixjax.mix(
        key, image, vmixjax.full_plan(image.shape, CONFIG)
    ),
    "plan": lambda key, image: vmixjax.plan(
        image, 3.0, CONFIG, sensitivity=SENSITIVITY
    ),
    "target_vfe": lambda key, image: vmixjax.target_vfe(image, 0.3, CONFIG),
    "unmix": lambda key, image: vmixjax.unmix(
        key, image, vmixjax.full_plan(image.shape, CONFIG)
    ),
    "vfe": lambda key, image: vmixjax.vfe(image, 4),
    "vfe_map": lambda key, image: vmixjax.vfe_map(image, 4),
    "vfe_range": lambda key, image: vmixjax.vfe_range(image, CONFIG),
    "csvar_plan": lambda key, image: methods.csvar_plan(image),
    "published_plan": lambda key, image: methods.published_plan(
        jnp.tile(image, (14, 14, 1)), jnp.ones((14, 14), jnp.float32)
    ),
    "averaging": lambda key, image: averaging(
        key, image[None], KNOWN, repeats=image[None, None, ::-1]
    ),
    "region_means": lambda key, image: region_means(key, image[None], KNOWN),
    "total_variation": lambda key, image: total_variation(
        key, image[None], KNOWN, rounds=1
    ),
    "st_adam": stepped,
    "scale_by_st_adam": stepped,
}
# What is mixing, or a plan and mixing, is called above.
CALLS |= {
    name: methods.named(name, IMAGE.shape).protect
    for name in methods.METHODS
    if not name.startswith("mix") and name not in ("csvar", "published_vmix")
}

ON_THE_HOST = {
    "new_secret",
    # Of names and numbers.
    "method_of",
    "named",
    "noise_epsilon",
    # In NumPy.
    "edge_correlation",
    "faces",
    "psnr",
    "reidentified",
    "ssim",
    # They train networks, or search step by step.
    "gradient_inversion",
    "jigsaw",
    "known_plaintext",
    "recognition",
    "reconstruction",
    "shifted_grids",
    "soft_labels",
    "turned_jigsaw",
}

# Programs that are much like another, or large: traced, but not run.
TRACED = ("unmix", "scale_by_st_adam", "published_plan", "ele")
VALUED = [name for name in CALLS if name not in TRACED]

STRICT = {
    "jax_numpy_dtype_promotion": "strict",
    "jax_numpy_rank_promotion": "raise",
    "jax_debug_nans": True,
    "jax_debug_key_reuse": True,
}
X64 = {"jax_enable_x64": True}


@contextlib.contextmanager
def settings(values):
    """JAX's settings for a while."""
    before = {name: getattr(jax.config, name) for name in values}
    try:
        for name, value in values.items():
            jax.config.update(name, value)
        yield
    finally:
        for name, value in before.items():
            jax.config.update(name, value)


def of_words(name):
    """A call that takes a key as words, which can be exported, and gives no keys."""

    def call(words, image):
        own = name in vmixjax.__all__  # other keys are faster to compile for
        words, impl = (words, IMPL) if own else (words[:2], "threefry2x32")
        result = CALLS[name](jax.random.wrap_key_data(words, impl=impl), image)
        return jax.tree.map(
            lambda x: (
                jax.random.key_data(x)
                if jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
                else x
            ),
            result,
        )

    return call


def public_functions():
    for module in (vmixjax, methods, metrics, optimizers):
        for name in getattr(module, "__all__", vars(module)):
            found = getattr(module, name)
            if (
                inspect.isfunction(found)
                and found.__module__.startswith("vmixjax")
                and not name.startswith("_")
            ):
                yield name
    for module in pkgutil.iter_modules(attacks.__path__, "vmixjax.attacks."):
        name = module.name.rpartition(".")[2]
        if inspect.isfunction(getattr(importlib.import_module(module.name), name, 0)):
            yield name


def test_every_public_function_is_called():
    called = {*CALLS, *ON_THE_HOST}
    assert set(public_functions()) == called
    assert not set(CALLS) & ON_THE_HOST


def shapes(tree, skip=0):
    return jax.tree.map(lambda x: (x.shape[skip:], np.dtype(x.dtype)), tree)


@functools.cache
def expected(name):
    """What a call gives by default, jitted and alone."""
    return jax.tree.map(np.asarray, jax.jit(of_words(name))(WORDS, IMAGE))


# Sums of floats, whose last bits follow the order of summation; and what Optax counts
# in 64 bits where those are enabled.
TOLERANCE = {"vfe": 1e-6, "st_adam": 2e-5}


@pytest.mark.parametrize("name", VALUED)
def test_no_setting_changes_a_value(name):
    with settings(STRICT | X64):
        result = jax.jit(jax.vmap(of_words(name)))(WORDS[None], IMAGE[None])
        result = jax.tree.map(np.asarray, result)
    assert shapes(result, 1) == shapes(expected(name))
    for one, other in zip(*map(jax.tree.leaves, (result, expected(name))), strict=True):
        np.testing.assert_allclose(one[0], other, rtol=TOLERANCE.get(name, 0), atol=0)


@pytest.mark.parametrize("name", CALLS)
def test_no_setting_refuses_a_call(name):
    by_default = jax.eval_shape(of_words(name), WORDS, IMAGE)
    for values in (STRICT, STRICT | X64, {"jax_disable_jit": True}):
        with settings(values):
            assert jax.eval_shape(of_words(name), WORDS, IMAGE) == by_default


@pytest.mark.parametrize("name", CALLS)
def test_batches_may_be_empty_or_of_any_size(name):
    call = jax.jit(jax.vmap(of_words(name)))
    alone = shapes(jax.eval_shape(of_words(name), WORDS, IMAGE))
    sizes = (0, 1, *jax.export.symbolic_shape("b"))
    for size in sizes:
        arguments = [
            jax.ShapeDtypeStruct((size, *x.shape), x.dtype) for x in (WORDS, IMAGE)
        ]
        result = call.eval_shape(*arguments)
        assert shapes(result, 1) == alone
        assert all(x.shape[0] == size for x in jax.tree.leaves(result))


def test_mixing_is_exported_for_batches_of_any_size_and_stored():
    size = jax.export.symbolic_shape("b")
    plan = vmixjax.full_plan(IMAGE.shape, CONFIG)

    def mix(words, images, plans):
        keys = jax.random.wrap_key_data(words, impl=IMPL)
        return jax.vmap(vmixjax.mix)(keys, images, plans), plans

    exported = jax.export.export(jax.jit(mix), platforms=["cpu", "cuda", "tpu"])(
        *jax.tree.map(
            lambda x: jax.ShapeDtypeStruct((*size, *x.shape), x.dtype),
            (WORDS, IMAGE, plan),
        )
    )
    exported = jax.export.deserialize(exported.serialize())
    words = jnp.stack([WORDS, WORDS[::-1], WORDS])
    images = np.stack([IMAGE, IMAGE[::-1], IMAGE])
    plans = jax.tree.map(lambda x: jnp.stack([x] * 3), plan)
    (first, other, last), given = exported.call(words, images, plans)
    assert (first == expected("mix")).all()
    assert (last == expected("mix")).all()
    assert (other != first).any()
    assert given.config == CONFIG


def test_no_images_are_mixed_to_none():
    plan = vmixjax.full_plan(IMAGE.shape, CONFIG)
    keys, images = jax.random.split(KEY, 2)[:0], jnp.zeros((0, *IMAGE.shape))

    def mixed(image):
        both = jax.vmap(vmixjax.mix, (0, None, None))(keys, image, plan)
        return (
            both.sum() + jax.vmap(vmixjax.mix, (0, 0, None))(keys, images, plan).sum()
        )

    image = jnp.asarray(IMAGE, jnp.float32)
    assert not jax.grad(mixed)(image).any()


@pytest.mark.parametrize("differentiate", [jax.grad, jax.jacfwd])
def test_no_setting_refuses_a_gradient(differentiate):
    plan = vmixjax.full_plan(IMAGE.shape, CONFIG)
    for function in (
        lambda x: vmixjax.mix(KEY, x, plan)[0, 0, 0],
        lambda x: vmixjax.vfe(x, 4),
    ):
        for values in (STRICT, STRICT | X64):
            with settings(values):
                image = jax.ShapeDtypeStruct(IMAGE.shape, jnp.float32)
                gradient = jax.eval_shape(differentiate(function), image)
            assert (gradient.shape, gradient.dtype) == (image.shape, image.dtype)


# What attacks on the host search by, which is jitted: (function, shapes of bytes).
SEARCHES = {
    "align": (
        functools.partial(align, KEY, region=4, reach=4, joint=False, rounds=1),
        [(2, 8, 8, 3)],
    ),
    "assemble": (lambda pieces: assemble(pieces, (2, 2)), [(1, 2, 2, 4, 2, 2, 3)]),
    "solve_scene": (
        lambda views, rows, columns: solve_scene(
            (Placed(views, rows.astype(jnp.float32), columns.astype(jnp.float32), 4),),
            rounds=1,
        ),
        [(1, 8, 8, 3), (1, 8, 8), (1, 8, 8)],
    ),
    "turned_misfits": (turned_misfits, [(4, 2, 2, 3)]),
}


@pytest.mark.parametrize("name", SEARCHES)
def test_no_setting_refuses_a_search(name):
    function, shapes_of_bytes = SEARCHES[name]
    arguments = [jax.ShapeDtypeStruct(shape, jnp.uint8) for shape in shapes_of_bytes]
    by_default = jax.eval_shape(function, *arguments)
    for values in (STRICT, STRICT | X64):
        with settings(values):
            result = jax.eval_shape(function, *arguments)
        assert result.shape == by_default.shape
        # Places are counted as JAX counts by default, in as many bits as it has.
        assert np.dtype(result.dtype).kind == np.dtype(by_default.dtype).kind


def test_full_plans_have_no_nan():
    with settings(STRICT):
        plan = vmixjax.full_plan(IMAGE.shape, CONFIG)
        plans = jax.vmap(lambda _: vmixjax.full_plan(IMAGE.shape, CONFIG))(np.arange(2))
        stacked = jax.tree.map(lambda x: jnp.stack([x, x]), plan)
    jax.tree.map(np.testing.assert_array_equal, plans, stacked)


ARRAYS = {
    "vfe_map": lambda image: vmixjax.vfe_map(image, 4),
    "canonical": lambda image: vmixjax.canonical(image, 4),
    "vfe_range": lambda image: vmixjax.vfe_range(image, CONFIG),
}


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_numpy_may_lay_images_out_as_it_likes(name, dtype):
    image = oracle.smooth_image(8, 8, dtype=dtype)
    other = image.dtype.newbyteorder("S")
    result = ARRAYS[name](image)
    wide = np.zeros((8, 16, 3), dtype)
    wide[:, ::-2] = image
    for same in (image.astype(other), np.asfortranarray(image), wide[:, ::-2]):
        jax.tree.map(np.testing.assert_array_equal, ARRAYS[name](same), result)


def test_numpy_may_lay_other_arrays_out_as_it_likes():
    targets = [np.array(3, order + "f4") for order in "<>"]
    maps = [np.array(SENSITIVITY, order + "f8") for order in "<>"]
    plans = [
        vmixjax.plan(IMAGE, target, CONFIG, sensitivity=sensitivity)
        for target, sensitivity in zip(targets, maps, strict=True)
    ]
    jax.tree.map(np.testing.assert_array_equal, *plans)
    strengths = [
        vmixjax.target_vfe(IMAGE, np.array(0.5, order + "f8"), CONFIG) for order in "<>"
    ]
    assert strengths[0] == strengths[1]

"""The same key, plan and image give the same bytes: for ever, and everywhere."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import oracle
import pytest

import vmixjax

HERE = Path(__file__).parent
GOLDEN = json.loads((HERE / "golden.json").read_text())
EIGHT_DEVICES = {"XLA_FLAGS": "--xla_force_host_platform_device_count=8"}
OTHERWISE_COMPILED = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}


def test_a_mix_that_can_be_checked_by_eye():
    config = vmixjax.MixConfig(4, ((4, 1),))
    image = np.arange(16, dtype=np.uint8).reshape(4, 4, 1)
    key, plan = vmixjax.key(bytes(range(32))), vmixjax.full_plan(image.shape, config)
    mixed = vmixjax.mix(key, image, plan)
    assert mixed[..., 0].tolist() == [
        [0, 15, 7, 8],
        [12, 9, 4, 2],
        [14, 10, 5, 6],
        [13, 3, 11, 1],
    ]


@pytest.mark.parametrize(
    ("settings", "arguments"),
    [
        ({}, []),
        pytest.param(
            OTHERWISE_COMPILED
            | {"JAX_ENABLE_X64": "1", "JAX_THREEFRY_PARTITIONABLE": "0"},
            [],
            marks=pytest.mark.long,
        ),
        pytest.param(
            OTHERWISE_COMPILED | EIGHT_DEVICES,
            ["--mesh", "Explicit"],
            marks=[
                pytest.mark.long,
                pytest.mark.skipif(
                    jax.__version_info__ < (0, 10), reason="follows from JAX 0.10 on"
                ),
            ],
        ),
        pytest.param(
            EIGHT_DEVICES,
            ["--mesh", "Auto", "default", "joint", "cifar"],
            marks=pytest.mark.long,
        ),
    ],
)
def test_golden_vectors(settings, arguments):
    run = subprocess.run(
        [sys.executable, "-W", "error", HERE / "golden.py", *arguments],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    names = set(arguments[2:]) or {name.split(",")[0] for name in GOLDEN}
    assert found == {k: v for k, v in GOLDEN.items() if k.split(",")[0] in names}


SHARED_PLAN = """
import jax, numpy as np, oracle, vmixjax
config = vmixjax.MixConfig(8, ((8, 2), (8, 1)))
images = np.stack([np.roll(oracle.smooth_image(16, 16), i, 1) for i in range(8)])
plan = vmixjax.full_plan(images.shape[1:], config)
keys = jax.random.split(jax.random.key(0), 8)
alone = np.stack([vmixjax.mix(k, x, plan) for k, x in zip(keys, images, strict=True)])
mesh = jax.make_mesh((8,), ("batch",), axis_types=(jax.sharding.AxisType.Explicit,))
spread = jax.device_put((keys, images), jax.NamedSharding(mesh, jax.P("batch")))
mixed = jax.jit(jax.vmap(vmixjax.mix, (0, 0, None)))(*spread, plan)
assert (np.asarray(mixed) == alone).all()
assert len(mixed.sharding.device_set) == 8
"""


@pytest.mark.skipif(jax.__version_info__ < (0, 10), reason="follows from JAX 0.10 on")
def test_one_plan_serves_a_sharded_batch():
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", SHARED_PLAN],
        env={**os.environ, **EIGHT_DEVICES},
        cwd=HERE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr


def test_a_sharded_step_mixes_as_one_image_alone():
    images = np.stack([oracle.smooth_image(32, 32)] * 2)
    keys = jax.random.split(jax.random.key(0))
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("batch",))
    config = vmixjax.MixConfig(8, ((8, 1),))
    plan = vmixjax.full_plan(images.shape[1:], config)
    spread = jax.shard_map(
        jax.vmap(lambda key, image: vmixjax.mix(key, image, plan)),
        mesh=mesh,
        in_specs=jax.P("batch"),
        out_specs=jax.P("batch"),
    )
    for mixed, key in zip(jax.jit(spread)(keys, images), keys, strict=True):
        assert (mixed == vmixjax.mix(key, images[0], plan)).all()


@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
def test_mix_plan_and_vfe_export(platform):
    config = vmixjax.MixConfig()

    def everything(key_data, image):
        key = jax.random.wrap_key_data(key_data, impl="threefry2x32")
        plan = vmixjax.plan(image, 40.0, config)
        mixed = vmixjax.mix(key, image, plan)
        return mixed, plan.levels, vmixjax.vfe(mixed, 32)

    image = oracle.smooth_image(64, 64)
    key_data = jax.random.key_data(jax.random.key(1, impl="threefry2x32"))
    exported = jax.export.export(jax.jit(everything), platforms=[platform])(
        jax.ShapeDtypeStruct(key_data.shape, key_data.dtype),
        jax.ShapeDtypeStruct(image.shape, jnp.uint8),
    )
    if platform == "cpu":
        loaded = jax.export.deserialize(exported.serialize())
        ours, theirs = everything(key_data, image), loaded.call(key_data, image)
        for mine, loaded_one in zip(ours[:2], theirs[:2], strict=True):
            np.testing.assert_array_equal(mine, loaded_one)
        np.testing.assert_allclose(ours[2], theirs[2], rtol=1e-6)


def test_keys_export_too():
    image = jax.ShapeDtypeStruct((64, 64, 3), jnp.uint8)
    plan = vmixjax.full_plan(image.shape, vmixjax.MixConfig())
    key = jax.eval_shape(lambda: jax.random.key(0, impl="threefry2x32"))
    mixed = jax.export.export(
        jax.jit(lambda k, x: vmixjax.mix(k, x, plan)), platforms=["tpu"]
    )(key, image)
    assert mixed.platforms == ("tpu",)

"""Kernels give the bytes of plain JAX, and run where they are made for."""

import functools
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import vmixjax
from vmixjax._shuffle import chunks, mosaic, permute, tiles_together, triton
from vmixjax._shuffle.apply import apply_stages
from vmixjax._shuffle.layout import Batch, TileRows
from vmixjax._shuffle.prng import full_length

CASES = [
    # Tile, ladder, channels' mode, how many; dtype; images, rows and columns of tiles.
    (8, ((8, 1), (4, 2), (8, 4)), "independent", 2, "uint8", (3, 2, 3)),
    (8, ((8, 1),), "joint", 3, "uint8", (2, 1, 3)),
    (4, ((2, 1), (4, 1)), "joint", 4, "uint8", (2, 1, 3)),
    (4, ((4, 1),), "shared", 2, "uint16", (1, 3, 9)),
    (2, ((2, 1),), "independent", 3, "uint32", (3, 2, 17)),
]


def batch_of(config, channels, dtype, shape, rng):
    count, rows, columns = shape
    size = (count, rows * config.tile_size, columns * config.tile_size, channels)
    most = np.iinfo(dtype).max
    return Batch(
        jnp.asarray(rng.integers(0, most, size, dtype, endpoint=True)),
        jnp.asarray(rng.integers(0, 2**32, (count, 8), np.uint32)),
        jnp.asarray(rng.integers(0, len(config.ladder) + 1, shape, np.uint8)),
    )


def interpreted(kernel, config, inverse):
    run = functools.partial(
        kernel.permute_images, config=config, inverse=inverse, interpret=True
    )
    return jax.jit(run)


@pytest.mark.parametrize("case", CASES)
def test_kernels_give_the_bytes_of_plain_jax(case):
    tile, ladder, mode, channels, dtype, shape = case
    config = vmixjax.MixConfig(tile, ladder, mode)
    batch = batch_of(config, channels, dtype, shape, np.random.default_rng(0))
    plain = jax.jit(chunks.permute_images, static_argnums=(1, 2))
    expected = plain(batch, config, False)
    # One there, the other back: the stages of both are the same code.
    mixed = interpreted(mosaic, config, inverse=False)(batch)
    np.testing.assert_array_equal(mixed, expected)
    back = interpreted(triton, config, inverse=True)(batch._replace(images=expected))
    np.testing.assert_array_equal(back, batch.images)


def test_whole_vectors_of_images_lie_on_a_tpu_as_they_are():
    config = vmixjax.MixConfig(4, ((4, 2),))
    rng = np.random.default_rng(0)
    batch = batch_of(config, 1, "uint8", (128, 2, 3), rng)
    plain = jax.jit(chunks.permute_images, static_argnums=(1, 2))
    expected = plain(batch, config, False)
    mixed = interpreted(mosaic, config, inverse=False)(batch)
    np.testing.assert_array_equal(mixed, expected)


def test_the_kernel_for_gpus_takes_pieces_of_rows():
    config = vmixjax.MixConfig(4, ((4, 1), (2, 1)))
    rng = np.random.default_rng(0)
    tiles = 2 * tiles_together(config, 2)
    rows = TileRows(
        rng.integers(0, 256, (5, 4, 3 * tiles * 4 * 2), np.uint8),
        rng.integers(0, 2**32, (5, 3, 8), np.uint32),
        rng.integers(0, 100, (5, 3), np.uint32),
        np.uint32(tiles) * rng.integers(0, 9, (5, 3), np.uint32),
        rng.integers(0, 3, (5, 3 * tiles), np.uint8),
    )
    run = functools.partial(
        triton.permute_rows, config=config, channels=2, inverse=False, interpret=True
    )
    plain = functools.partial(
        apply_stages, config=config, channels=2, inverse=False, materialized=True
    )
    mixed = jax.jit(run)(rows)
    np.testing.assert_array_equal(mixed, jax.jit(plain)(rows))


def lowered(platform, config, shape=(2, 16, 16, 3), dtype=jnp.uint8, sharding=None):
    """The program of a platform, as text."""
    levels = (shape[0], *(s // config.tile_size for s in shape[1:3]))
    arguments = (
        jax.ShapeDtypeStruct((shape[0], 8), jnp.uint32, sharding=sharding),
        jax.ShapeDtypeStruct(shape, dtype, sharding=sharding),
        jax.ShapeDtypeStruct(levels, jnp.uint8, sharding=sharding),
    )
    mix = jax.vmap(lambda *one: permute(*one, config, False))
    traced = jax.jit(mix).trace(*arguments)
    return traced.lower(lowering_platforms=(platform,)).as_text()


CALLS = {"cuda": "xla.gpu.triton", "tpu": "tpu_custom_call"}


@pytest.mark.parametrize("platform", CALLS)
def test_kernels_run_where_they_are_made_for(platform):
    config = vmixjax.MixConfig(8, ((8, 1),))
    for made_for in ({}, {"dtype": jnp.float32}, {"dtype": jnp.bfloat16}):
        assert lowered(platform, config, **made_for).count(CALLS[platform]) == 1
    # What they are not made for, plain JAX does: other tiles, wide types, a batch that
    # is to be split.
    others = vmixjax.MixConfig(6, ((6, 1),))
    assert CALLS[platform] not in lowered(platform, others, (2, 12, 12, 3))
    assert CALLS[platform] not in lowered("cpu", config)
    for kind in (AxisType.Auto, AxisType.Explicit):
        mesh = jax.make_mesh((1,), ("data",), axis_types=(kind,))
        split = NamedSharding(mesh, PartitionSpec("data"))
        text = lowered(platform, config, sharding=split)
        assert (CALLS[platform] in text) == (kind == AxisType.Auto)


def test_where_a_kernel_cannot_run_plain_jax_does(monkeypatch):
    class OldGpu:
        device_kind = "Tesla T4"
        compute_capability = "7.5"

    config = vmixjax.MixConfig(4, ((4, 1),))
    monkeypatch.setattr(jax, "local_devices", lambda backend: [OldGpu()])
    with pytest.warns(RuntimeWarning, match=r"without its kernel .* Tesla T4 has"):
        assert CALLS["cuda"] not in lowered("cuda", config)
    # So does a version of JAX that has no such kernels any more.
    monkeypatch.setitem(sys.modules, mosaic.__name__, None)
    with pytest.warns(
        RuntimeWarning, match=r"without its kernel .* ImportError|Module"
    ):
        assert CALLS["tpu"] not in lowered("tpu", config)


def test_exported_programs_hold_what_later_versions_can_run():
    config = vmixjax.MixConfig(8, ((8, 1),))
    plan = vmixjax.full_plan((16, 16, 3), config)
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    words = full_length(jax.random.key(0))

    def mix(words, image):
        return permute(words, image, plan.levels, config, False)

    exported = jax.export.export(jax.jit(mix), platforms=("cpu", "tpu", "cuda"))(
        words, image
    )
    assert CALLS["cuda"] not in exported.mlir_module()
    assert CALLS["tpu"] in exported.mlir_module()
    again = jax.export.deserialize(exported.serialize())
    np.testing.assert_array_equal(again.call(words, image), mix(words, image))


def test_nobody_waits_for_kernels_of_other_platforms():
    script = (
        "import sys, jax, numpy as np, vmixjax\n"
        "config = vmixjax.MixConfig(8, ((8, 4),))\n"
        "plan = vmixjax.full_plan((8, 8, 1), config)\n"
        "vmixjax.mix(jax.random.key(0), np.zeros((8, 8, 1), np.uint8), plan)\n"
        "assert 'vmixjax._shuffle.platforms' in sys.modules\n"
        "kernels = {'vmixjax._shuffle.mosaic', 'vmixjax._shuffle.triton'}\n"
        "assert not kernels & sys.modules.keys()\n"
        "assert 'jax.experimental.pallas' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)

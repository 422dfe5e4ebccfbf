"""The programs of a run can be compiled before anything is there to run them on."""

import dataclasses
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from train import devices
from train.presets import PRESETS
from train.programs import lower, programs_of
from train.step import Steps
from vmixjax.errors import RunError

TINY = dataclasses.replace(PRESETS["digits"], batch_size=4)
SHAPE = (16, 16, 1)


@pytest.fixture(scope="module")
def steps():
    return Steps(TINY, SHAPE, 10, devices.mesh(TINY.batch_size))


@pytest.fixture(scope="module")
def compiled():
    return lower(TINY, SHAPE, 10).compile()


def size(tree):
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def test_it_takes_what_a_run_gives_it(steps):
    programs = programs_of(steps, fsdp=False)
    assert jax.tree.map(lambda leaf: leaf.dtype, programs.batch) == {
        "image": jnp.uint8,
        "label": jnp.int32,
        "id": jnp.int32,
    }
    real = programs.init(programs.seed)
    told = jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), programs.state)
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), real) == told
    arrays = {name: np.zeros(x.shape, x.dtype) for name, x in programs.batch.items()}
    batch = devices.on_devices(devices.spread(steps.mesh), arrays)
    assert all(batch[name].sharding == x.sharding for name, x in programs.batch.items())


def test_a_step_reuses_the_memory_of_its_state(steps, compiled):
    memory = compiled.memory_analysis()
    programs = programs_of(steps, fsdp=False)
    assert memory.alias_size_in_bytes >= 0.99 * size(programs.state)
    # And a seed of four bytes. Images come as they are stored, a byte for each value.
    arguments = size(programs.state) + size(programs.batch)
    assert memory.argument_size_in_bytes == pytest.approx(arguments, rel=0.01)


def test_no_seed_is_in_a_program():
    others = dataclasses.replace(TINY, seed=2**31 + 5)
    one, other = (lower(config, SHAPE, 10).as_text() for config in (TINY, others))
    assert one == other


def test_batches_must_fit_the_devices():
    with pytest.raises(RunError, match="--batch-size 4 cannot be shared out over 3"):
        lower(TINY, SHAPE, 10, 3 * jax.devices()[:1])


@pytest.mark.parametrize(
    ("platform", "expected"), [("cpu", False), ("gpu", True), ("tpu", True)]
)
def test_where_it_is_compiled_for_decides_what_is_computed_in(platform, expected):
    there = np.array([types.SimpleNamespace(platform=platform)])
    assert devices.is_accelerator(types.SimpleNamespace(devices=there)) is expected

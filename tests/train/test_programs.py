"""The programs of a run can be compiled before anything is there to run them on."""

import dataclasses
import json
import os
import subprocess
import sys
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

MIXED = dataclasses.replace(PRESETS["digits"], batch_size=4)
CLEAN = dataclasses.replace(MIXED.mixing, where="off")
TINY = dataclasses.replace(MIXED, mixing=CLEAN)
SHAPE = (8, 8, 1)
SPREAD = """
import dataclasses, json, re
from train.presets import PRESETS
from train.programs import lower

clean = dataclasses.replace(PRESETS["digits"].mixing, where="off")
config = dataclasses.replace(PRESETS["digits"], batch_size=4, fsdp=True, mixing=clean)
compiled = lower(config, (8, 8, 1), 10).compile()
convolutions = re.findall(r"= f32\\[(\\d+),\\S+ convolution\\(", compiled.as_text())
memory = compiled.memory_analysis().argument_size_in_bytes
print(json.dumps([[int(count) for count in convolutions], memory]))
"""
FOUR_DEVICES = "--xla_force_host_platform_device_count=4"


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


def test_weights_that_are_spread_come_to_the_images_and_not_these_to_them(steps):
    environment = {**os.environ, "XLA_FLAGS": FOUR_DEVICES}
    told = subprocess.run(
        [sys.executable, "-c", SPREAD], env=environment, capture_output=True, check=True
    )
    firsts, memory = json.loads(told.stdout)
    # Of an image at a time, or of weights: nowhere are there the features of all four.
    assert 1 in firsts
    assert 4 not in firsts
    assert memory < 0.3 * size(programs_of(steps, fsdp=False).state)


def test_no_seed_is_in_a_program():
    others = dataclasses.replace(MIXED, seed=2**31 + 5)
    one, other = (lower(config, SHAPE, 10).as_text() for config in (MIXED, others))
    assert one == other


def test_batches_must_fit_the_devices():
    with pytest.raises(RunError, match="--batch-size 4 cannot be shared out over 3"):
        lower(TINY, SHAPE, 10, 3 * jax.devices()[:1])


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        ({"platform": "cpu"}, False),
        ({"platform": "tpu"}, True),
        ({"platform": "gpu", "compute_capability": "7.5"}, False),
        ({"platform": "gpu", "compute_capability": "8.0"}, True),
        ({"platform": "gpu", "compute_capability": "10.0"}, True),
        ({"platform": "gpu", "compute_capability": "gfx90a"}, True),
    ],
)
def test_where_it_is_compiled_for_decides_what_is_computed_in(device, expected):
    there = np.array([types.SimpleNamespace(**device)])
    assert devices.has_bfloat16(types.SimpleNamespace(devices=there)) is expected

"""What a step learns from: labels, a teacher, and an average of what came before."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from train import devices
from train.config import Config, Mixing, Optimizer
from train.programs import programs_of
from train.step import Steps
from train.tasks.classify import loss_for

CLEAN = Config(mixing=Mixing("off", 8, ((8, 1),)), batch_size=4, steps=10)
SHAPE = (8, 8, 1)
SEED = jnp.uint32(0)


def softmax(x):
    exponents = np.exp(x - x.max(-1, keepdims=True))
    return exponents / exponents.sum(-1, keepdims=True)


@pytest.mark.parametrize(("share", "warmth"), [(0.0, 1.0), (0.3, 1.0), (1.0, 4.0)])
def test_the_loss_is_of_labels_and_of_the_teacher(share, warmth):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(5, 3))
    labels = np.eye(3)[[0, 1, 2, 1, 0]]
    taught = softmax(2 * rng.normal(size=(5, 3)))
    own = -(labels * np.log(softmax(logits))).sum(-1)
    powers = taught ** (1 / warmth)
    softened = powers / powers.sum(-1, keepdims=True)
    theirs = -(softened * np.log(softmax(logits / warmth))).sum(-1)
    expected = ((1 - share) * own + share * warmth**2 * theirs).mean()
    options = Optimizer(distill=share, temperature=warmth)
    found = loss_for(options, logits, labels, taught)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_a_certain_teacher_is_a_label():
    labels = jnp.eye(3)
    logits = jnp.asarray(np.random.default_rng(0).normal(size=(3, 3)), jnp.float32)
    by_labels = loss_for(Optimizer(), logits, labels)
    taught = loss_for(Optimizer(distill=1.0), logits, jnp.ones((3, 3)) / 3, labels)
    np.testing.assert_allclose(taught, by_labels, rtol=1e-5)


def batch(**more):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (4, *SHAPE), dtype=np.uint8)
    labels, ids = np.arange(4, dtype=np.int32), np.arange(4, dtype=np.int32)
    return {"image": images, "label": labels, "id": ids, **more}


def steps_of(**optimizer):
    config = dataclasses.replace(CLEAN, optimizer=Optimizer(**optimizer))
    return Steps(config, SHAPE, 10, devices.mesh(4, jax.devices()[:1]))


def test_an_average_is_of_parameters_and_statistics():
    steps = steps_of(average=0.9)
    programs = programs_of(steps, fsdp=False)
    state = programs.init(SEED)
    expected = jax.tree.map(np.asarray, (state.parameters, state.statistics))
    for count in range(3):
        # All copied: a step takes the memory of the state that it is given.
        state, _ = programs.train(state, batch(), SEED)
        decay = min(0.9, (1 + count) / (10 + count))
        new = jax.tree.map(np.asarray, (state.parameters, state.statistics))
        expected = jax.tree.map(
            lambda old, one, d=decay: d * old + (1 - d) * one, expected, new
        )
    for found, wanted in zip(
        jax.tree.leaves(state.average), jax.tree.leaves(expected), strict=True
    ):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)
    assert state.tested is state.average
    averaged = steps.predictions(state, batch()["image"], batch()["id"], SEED)
    plain = steps.predictions(
        state.replace(average=()), batch()["image"], batch()["id"], SEED
    )
    assert not np.allclose(averaged, plain)


def test_what_a_teacher_says_is_part_of_a_batch_only_where_it_is_asked():
    assert "soft_label" not in programs_of(steps_of(), fsdp=False).batch
    programs = programs_of(steps_of(distill=0.5), fsdp=False)
    assert programs.batch["soft_label"].shape == (4, 10)
    told = np.full((4, 10), 0.1, np.float32)
    _, values = programs.train(programs.init(SEED), batch(soft_label=told), SEED)
    assert np.isfinite(values["loss"])

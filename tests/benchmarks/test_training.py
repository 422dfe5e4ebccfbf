"""Steps on clean images and on mixed ones, side by side."""

import dataclasses

import jax
import numpy as np
import pytest

from benchmarks import training
from train.config import Model
from train.presets import PRESETS


@pytest.mark.long
def test_steps_differ_in_nothing_but_mixing_and_can_be_taken(monkeypatch):
    monkeypatch.setattr(training, "FORMS", {"mixed, regions": "regions"})
    config = dataclasses.replace(
        PRESETS["bccd"],
        model=Model("resnet8", width=4, decoder=4),
        batch_size=jax.device_count(),
    )
    made = training.steps(config, (40, 80, 3), 3)
    assert list(made) == ["clean, regions", "mixed, regions"]
    for step in made.values():
        state, noted = step.run()
        assert state.step == 1
        assert np.isfinite(noted["loss"])
        assert step.memory > jax.device_count() * 40 * 80 * 3


def test_steps_are_told_beside_those_on_clean_images_of_their_form():
    made = {
        name: training.Step(lambda: None, memory)
        for name, memory in (
            ("clean", 2_000_000),
            ("mixed", 3_000_000),
            ("clean, regions", 4_000_000),
            ("mixed, regions", 4_000_000),
        )
    }
    seconds = {"clean": 1, "mixed": 1.1, "clean, regions": 0.5, "mixed, regions": 0.6}
    rows = training.rows(made, seconds, 8)
    assert list(rows) == list(made)
    assert rows["mixed"]["time, of clean"] == pytest.approx(1.1)
    assert rows["mixed"]["memory, of clean"] == 1.5
    assert rows["mixed, regions"]["time, of clean"] == pytest.approx(1.2)
    assert rows["mixed, regions"]["images per second"] == pytest.approx(8 / 0.6)
    assert rows["clean, regions"]["memory in MB"] == 4

"""Boxes and masks are learned from end to end, clean and mixed, wherever it runs."""

import dataclasses
import json
import os
import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest
import small_scenes
from small_scenes import COLOURS, OBJECTS, PIXELS, scene, write_scenes

from train import data
from train.__main__ import main
from train.config import Config, Data, Mixing, Model, Optimizer
from train.fit import fit
from train.metrics import points, read
from train.releases import as_released, mix_once
from train.tasks.segment import IGNORED

STEPS = 40
AGAIN = """
import sys
from pathlib import Path
import jax
from train.checkpoints import read_run
from train.fit import fit
whole, workdir, *together = sys.argv[1:]
if together:
    jax.distributed.initialize(together[0], 2, int(together[1]))
fit(read_run(Path(whole)).config, Path(workdir))
"""


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return write_scenes(tmp_path_factory.mktemp("scenes") / "scenes")


def config_of(task, where, source):
    return Config(
        task=task,
        data=Data(source, augment="flip", boxes=4),
        mixing=Mixing(where, 4, ((4, 1),), form="regions"),
        model=Model("resnet8", stem="default", width=8, decoder=16),
        optimizer=Optimizer(learning_rate=1e-2),
        batch_size=8,
        steps=STEPS,
        every=STEPS // 2,
    )


@pytest.fixture(scope="module")
def runs(scenes, tmp_path_factory):
    """Gives the workdir of a run, which is done once."""
    done = {}

    def run(task, where):
        if (task, where) not in done:
            workdir = tmp_path_factory.mktemp("runs") / f"{task}-{where}"
            outcome = fit(config_of(task, where, scenes), workdir)
            assert outcome.steps == STEPS
            assert outcome.score == outcome.values[outcome_name(task)]
            done[task, where] = workdir
        return done[task, where]

    return run


def outcome_name(task):
    return {"detect": "ap50", "segment": "mean_iou"}[task]


def notes(workdir):
    return [
        {name: value for name, value in line.items() if name != "images_per_second"}
        for line in read(workdir)
    ]


@pytest.mark.parametrize("where", ["off", "step"], ids=["clean", "mixed"])
@pytest.mark.parametrize("task", ["detect", "segment"])
def test_a_short_run_learns(runs, task, where):
    lines = read(runs(task, where))
    print(task, where, lines)
    (_, first), (_, last) = points(lines, "loss")
    assert last < 0.7 * first
    (_, before), (_, after) = points(lines, f"test_{outcome_name(task)}")
    assert after > before
    assert after > 0.5
    if task == "segment":
        (_, first), (_, last) = points(lines, "test_loss")
        assert last < first

"""Compiling for accelerators, and running on one, with a CPU in their place."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import jax
import pytest

from benchmarks import accelerators, functions, here, presets, targets
from train import devices
from train.presets import PRESETS
from train.step import Steps


@pytest.fixture
def cpu(monkeypatch):
    """A target that is there; batches of two small images."""
    there = SimpleNamespace(devices=jax.devices()[:1])
    target = targets.Target("CPU", 2**30, 1, lambda: there, "nothing")
    monkeypatch.setattr(targets, "TARGETS", {"cpu": target})
    monkeypatch.setattr(targets, "without_devices", lambda: None)
    monkeypatch.setattr(functions, "BATCH", 2)
    monkeypatch.setattr(functions, "SIDE", 32)


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["accelerators", *map(str, arguments)])
    accelerators.main()


def test_functions_are_compiled_and_counted(cpu, monkeypatch, capsys, tmp_path):
    out = tmp_path / "found.json"
    out.write_text('{"kept": 1}')
    run(
        monkeypatch, "--tables", "functions", "--only", "vfe", "--kernels", "--out", out
    )
    found = json.loads(out.read_text())
    assert found["kept"] == 1
    rows = found[functions.SETTING]["cpu"]
    assert list(rows) == [functions.CEILING, "vfe"]
    image = 2 * 32 * 32 * 3
    ceiling, vfe = rows.values()
    assert ceiling["kernels"] == ceiling["of image's size"] == 1
    assert ceiling["bytes"] == 2 * image
    assert ceiling["argument bytes"] == ceiling["result bytes"] == image
    assert ceiling["flops"] == image
    assert vfe["bytes"] > image
    assert vfe["argument bytes"] == image
    printed = capsys.readouterr().out
    assert "CPU: 256 x 224 x 224 x 3 uint8, regions of 16" in printed
    assert "bytes, of x + 1" in printed
    assert "vfe, cpu" in printed


def test_bytes_and_memory_are_told_over_those_of_the_ceiling():
    one = {
        "kernels": 1,
        "of image's size": 1,
        "copies": 0,
        "bytes": 20,
        "temporary bytes": 0,
        "argument bytes": 10,
        "s to trace": 1.0,
        "s to compile": 2.0,
        "CPU s of both": 4.0,
    }
    more = {"bytes": 50, "bytes, padded": 60, "temporary bytes": 5, "flops": 2e9}
    _, row = accelerators.as_rows({functions.CEILING: one, "mix": one | more}, 10)
    assert row == {
        "what": "mix",
        "kernels": 1,
        "of image's size": 1,
        "copies": 0,
        "bytes, of x + 1": 2.5,
        "bytes, padded, of x + 1": 3.0,
        "temporary, of images": 0.5,
        "arguments": 1.0,
        "GFLOP": 2.0,
        "first call in s": 3.0,
        "CPU s": 4.0,
    }


def test_without_its_compiler_a_target_says_what_to_install(monkeypatch):
    def describe():
        raise RuntimeError("no plugin\nand a long trace")

    target = targets.Target("TPU", 1, 1, describe, "libtpu")
    monkeypatch.setattr(targets, "TARGETS", {"tpu": target})
    with pytest.raises(SystemExit) as refused:
        targets.mesh("tpu")
    assert str(refused.value) == (
        "cannot compile for tpu: no plugin\nIts compiler comes with: pip install libtpu"
    )


def test_a_failure_here_costs_nothing_else(monkeypatch, capsys, tmp_path):
    def steps(tables, only):
        yield "first", lambda: {"milliseconds": tables.index("steps")}
        yield "second", lambda: 1 / 0
        yield "third", lambda: {"milliseconds": 3}

    monkeypatch.setattr(here, "steps", steps)
    out = tmp_path / "found.json"
    run(monkeypatch, "--here", "--out", out)
    found = json.loads(out.read_text())
    assert found["first"] == {"milliseconds": 1}
    assert found["second"] == {"failed": "ZeroDivisionError: division by zero"}
    assert found["third"] == {"milliseconds": 3}
    assert found["device"] == here.device()["device"]
    assert "division by zero" in capsys.readouterr().out


def test_calls_in_a_row_are_waited_for_together(monkeypatch):
    calls = []
    monkeypatch.setattr(here, "IN_A_ROW", 4)
    assert here.in_a_row(lambda: calls.append(1) or len(calls))() == 4


def test_functions_are_timed_on_the_device_here(cpu, monkeypatch):
    monkeypatch.setattr(here, "COPIED", 1000)
    measured = dict(here.steps(["functions"], ["vfe"]))
    assert measured["copy"]()["GB per second"] > 0
    found = measured[functions.SETTING]()
    assert list(found) == [functions.CEILING, "vfe"]
    assert found[functions.CEILING]["of ceiling"] == 1
    assert found[functions.CEILING]["kernels"] == 1
    assert found["vfe"]["milliseconds"] > 0
    names = list(dict(here.steps(["steps"], None)))
    assert names[1:] == [
        "resnet18, 512 x 32 x 32 x 3, regions of 4",
        "resnet50, 256 x 224 x 224 x 3, regions of 16",
    ]


def test_every_preset_is_known_and_takes_its_images():
    assert set(presets.LEARNED) == set(PRESETS)
    for name, (shape, classes) in presets.LEARNED.items():
        size, fitted = PRESETS[name].data.image_size, PRESETS[name].data.image_shape
        assert size is None or shape[:2] == (size, size)
        assert fitted is None or shape[:2] == fitted
        mesh = devices.mesh(jax.device_count())
        assert Steps(PRESETS[name], shape, classes, mesh).classes == classes


def test_programs_of_a_preset_differ_in_nothing_but_mixing(monkeypatch):
    there = SimpleNamespace(devices=jax.devices()[:1])
    target = targets.Target("CPU", 2**30, 1, lambda: there, "nothing")
    monkeypatch.setattr(targets, "TARGETS", {"cpu": target})
    ways = presets.variants(PRESETS["digits"])
    mixings = {name: (w.mixing.where, w.mixing.form) for name, w in ways.items()}
    assert mixings == {
        "clean": ("done", "plain"),
        "mixed": ("step", "plain"),
        "clean, regions": ("done", "regions"),
        "mixed, regions": ("step", "regions"),
    }
    asked = ["inputs, clean", "step, clean"]
    found = dict(presets.programs("digits", "cpu", asked))
    assert list(found) == asked
    (prepared, image), (whole, _) = found.values()
    # Clean digits are not augmented: no keys, and no ids.
    assert image == prepared.memory.argument_size_in_bytes == 128 * 32 * 32
    assert whole.memory.argument_size_in_bytes > image + 128 * 4
    assert whole.flops > 100 * prepared.flops


def test_the_share_of_mixing_is_what_inputs_take_beyond_clean_ones():
    def one(moved, computed):
        return {"bytes": moved, "flops": computed, "estimated cycles": moved}

    found = {
        "inputs, clean": one(10, 2),
        "inputs, mixed": one(30, 2),
        "inputs, mixed, regions": {"bytes": 70},
        "step, mixed": one(1000, 50),
        "step of 4 chips, mixed": {"bytes": 100},
        "step, mixed, regions": {"bytes": 1000},
    }
    accelerators.share_of_mixing(found)
    assert found["step, mixed"]["mixing, of bytes"] == 0.02
    assert found["step, mixed"]["mixing, of flops"] == 0
    assert found["step of 4 chips, mixed"] == {"bytes": 100, "mixing, of bytes": 0.05}
    del found["inputs, mixed"]["estimated cycles"]
    other = found | {"step, mixed": one(1000, 50)}
    accelerators.share_of_mixing(other)
    assert other["step, mixed"] == one(1000, 50) | {"mixing, of bytes": 0.02}
    # Clean ones in that form are not there.
    assert found["step, mixed, regions"] == {"bytes": 1000}
    assert "mixing, of bytes" not in found["inputs, mixed"]


def test_the_script_for_a_device_checks_bytes_before_it_measures(tmp_path):
    root = Path(accelerators.__file__).parents[1]
    called = tmp_path / "called"
    python = tmp_path / "bin" / "python3"
    python.parent.mkdir()
    python.write_text(
        f'#!/bin/sh\necho "$@" >> {called}\n'
        f'case "$1" in tests/golden.py) cat {root}/tests/golden.json ;; esac\n'
    )
    python.chmod(0o755)
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / "one.whl").touch()
    done = subprocess.run(
        [root / "benchmarks" / "device.sh", "found", "wheels"],
        cwd=tmp_path,
        env={"PATH": f"{python.parent}:{os.defpath}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "golden: the same bytes as on CPU" in done.stdout
    pip, *rest = called.read_text().splitlines()
    assert pip.startswith("-m pip install")
    assert pip.endswith(" wheels/one.whl")
    assert rest == [
        "tests/golden.py",
        f"-m benchmarks.accelerators --here --out {tmp_path}/found/device.json",
    ]

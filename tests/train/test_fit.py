"""Runs of the loop itself: stopped, damaged, shared out, and refused."""

import dataclasses
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from train.checkpoints import Checkpoints, read_run
from train.config import Config, Data, Mixing, Model, Optimizer
from train.fit import fit
from train.metrics import read
from train.presets import PRESETS
from train.trained import best
from vmixjax.errors import RunError
from vmixjax.release.exclusive import exclusive

SMALL = dataclasses.replace(PRESETS["digits"], batch_size=64, steps=24, every=8)
OPTIONS = ["--batch-size", "64", "--steps", "24", "--every", "8"]
COMMAND = [sys.executable, "-m", "train", "fit"]


def ends(workdir, step=24):
    """Numbers that stand for every bit of the state after a step."""
    folder = workdir / "checkpoints" / str(step) / "fingerprint"
    return json.loads((folder / "metadata").read_text())


def notes(workdir):
    return [
        {name: value for name, value in line.items() if name != "images_per_second"}
        for line in read(workdir)
    ]


def run(workdir, *options, devices=1, **more):
    flags = f"--xla_force_host_platform_device_count={devices}"
    return subprocess.Popen(
        [*COMMAND, "--workdir", str(workdir), *OPTIONS, *options],
        env={**os.environ, "XLA_FLAGS": flags},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def finish(process):
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0, err
    return out


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that was never stopped."""
    workdir = tmp_path_factory.mktemp("whole") / "run"
    outcome = fit(SMALL, workdir)
    assert outcome.steps == 24
    return workdir


def test_a_run_leaves_what_it_should(whole):
    assert read_run(whole).config == SMALL
    tests = [line for line in read(whole) if "test_accuracy" in line]
    assert [line["step"] for line in tests] == [8, 16, 24]
    # Checkpoints are as they were before there were averages.
    stored = (whole / "checkpoints" / "24" / "state" / "_METADATA").read_text()
    assert "parameters" in stored
    assert "average" not in stored
    assert tests[-1]["test_loss"] < tests[0]["test_loss"]
    assert {path.name for path in (whole / "checkpoints").iterdir()} >= {"16", "24"}
    assert (whole / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert any((whole / "tensorboard").iterdir())


@pytest.mark.long
def test_killed_at_any_moment_it_ends_in_the_same_bits(whole, tmp_path):
    workdir = tmp_path / "run"
    finished = workdir / "checkpoints" / "8"
    for after in (0.0, 0.3):
        process = run(workdir, "--resume")
        deadline = time.monotonic() + 120
        while not finished.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(after)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        finished = workdir / "checkpoints" / "16"
    assert "curves" in finish(run(workdir, "--resume"))
    assert ends(workdir) == ends(whole)
    assert notes(workdir) == notes(whole)


KILLED_WHILE_REMOVING = """
import os, sys
from train.__main__ import main
unlink = os.unlink
def stop(path, **options):
    unlink(path, **options)
    if os.path.basename(path) == "_CHECKPOINT_METADATA":
        os._exit(9)
os.unlink = stop
main()
"""


def test_killed_while_a_checkpoint_is_removed_it_goes_on(whole, tmp_path):
    workdir = tmp_path / "run"
    command = [sys.executable, "-c", KILLED_WHILE_REMOVING, *COMMAND[3:], *OPTIONS]
    killed = subprocess.run(
        [*command, "--workdir", workdir], capture_output=True, check=False
    )
    assert killed.returncode == 9, killed.stderr
    fit(SMALL, workdir, resume=True)
    assert ends(workdir) == ends(whole)
    assert {path.name for path in (workdir / "checkpoints").iterdir()} == {"16", "24"}


def test_one_run_at_a_time_works_on_a_folder(whole, tmp_path):
    workdir = tmp_path / "run"
    subprocess.run(["cp", "-r", whole, workdir], check=True)
    before = sorted(workdir.rglob("*"))
    words = "another run is working on --workdir .*run; wait until it ends"
    with exclusive(workdir), pytest.raises(RunError, match=words):
        fit(dataclasses.replace(SMALL, steps=32), workdir, resume=True)
    assert sorted(workdir.rglob("*")) == before
    assert read_run(workdir).config == SMALL


def test_what_a_run_removes_while_it_is_read_is_not_damaged(
    whole, tmp_path, monkeypatch, capsys
):
    workdir = tmp_path / "run"
    subprocess.run(["cp", "-r", whole, workdir], check=True)
    restore = Checkpoints._restore

    def removed_first(saved, step, *arguments):
        if step == 24:
            shutil.rmtree(saved.folder / "24")
        return restore(saved, step, *arguments)

    monkeypatch.setattr(Checkpoints, "_restore", removed_first)
    _, state = best(read_run(workdir), SMALL, workdir, print)
    assert int(state.step) == 16
    assert "damaged" not in capsys.readouterr().out


@pytest.mark.long
@pytest.mark.parametrize("options", [[], ["--fsdp"]])
def test_eight_devices_learn_the_same(whole, tmp_path, options):
    finish(run(tmp_path / "run", *options, devices=8))
    for one, other in zip(notes(whole), notes(tmp_path / "run"), strict=True):
        assert one == pytest.approx(other, rel=2e-3)


@pytest.mark.long
def test_two_processes_learn_the_same(whole, tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    together = [
        "--distributed",
        "--coordinator",
        f"localhost:{port}",
        "--processes",
        "2",
    ]
    processes = [
        run(tmp_path / "run", *together, "--process", str(i)) for i in range(2)
    ]
    told = [finish(process) for process in processes]
    assert "test accuracy" in told[0]
    assert "accuracy" not in told[1]
    for one, other in zip(notes(whole), notes(tmp_path / "run"), strict=True):
        assert one == pytest.approx(other, rel=2e-3)


def test_a_damaged_checkpoint_is_set_aside(whole, tmp_path, capsys):
    workdir = tmp_path / "run"
    subprocess.run(["cp", "-r", whole, workdir], check=True)
    stored = next((workdir / "checkpoints" / "24" / "state" / "d").iterdir())
    data = bytearray(stored.read_bytes())
    data[len(data) // 2] ^= 255
    stored.write_bytes(data)
    fit(SMALL, workdir, resume=True)
    assert "the checkpoint of step 24 is damaged" in capsys.readouterr().err
    assert (workdir / "checkpoints" / "damaged-24").is_dir()
    assert ends(workdir) == ends(whole)


def test_without_a_good_checkpoint_it_says_so(whole, tmp_path):
    workdir = tmp_path / "run"
    subprocess.run(["cp", "-r", whole, workdir], check=True)
    for folder in (workdir / "checkpoints").iterdir():
        for path in (folder / "state" / "d").iterdir():
            path.write_bytes(b"")
    with pytest.raises(RunError, match=r"no checkpoint in .* can be read"):
        fit(SMALL, workdir, resume=True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"steps": 16}, "steps: 24, not 16"),
        ({"model": Model("resnet8", width=8)}, "model.name: cnn, not resnet8"),
        (
            {"mixing": Mixing(tile_size=16, ladder=((16, 1),))},
            "mixing.tile_size: 8, not 16",
        ),
    ],
)
def test_another_config_is_refused_by_name(whole, change, words):
    with pytest.raises(RunError, match=words):
        fit(dataclasses.replace(SMALL, **change), whole, resume=True)


def test_it_goes_on_for_more_steps(whole, tmp_path):
    workdir = tmp_path / "run"
    subprocess.run(["cp", "-r", whole, workdir], check=True)
    longer = dataclasses.replace(SMALL, steps=32)
    assert fit(longer, workdir, resume=True).steps == 32
    assert ends(workdir) == ends(whole)
    assert ends(workdir, 32) != ends(whole)
    # From then on it is a run of so many.
    assert fit(longer, workdir, resume=True).steps == 32
    with pytest.raises(RunError, match="steps: 32, not 24: resume with the same"):
        fit(SMALL, workdir, resume=True)


def test_a_workdir_is_not_used_twice(whole):
    before = sorted(whole.rglob("*"))
    with pytest.raises(
        RunError, match="holds a run already: continue it with --resume"
    ):
        fit(SMALL, whole)
    assert sorted(whole.rglob("*")) == before


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    wild = Optimizer("sgd", learning_rate=1e12)
    with pytest.raises(RunError, match=r"loss of step .* is not finite"):
        fit(dataclasses.replace(SMALL, optimizer=wild, every=2), tmp_path / "run")
    saved = list((tmp_path / "run" / "checkpoints").glob("*/fingerprint"))
    assert saved
    # What was saved is from before.
    fine = [line for line in read(tmp_path / "run") if "loss" in line]
    assert all(np.isfinite(line["loss"]) for line in fine)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"batch_size": 5000}, "--batch-size 5000 is more than the 1297"),
        ({"data": Data("folder:nowhere")}, "no such folder"),
        ({"mixing": Mixing(tile_size=5, ladder=((5, 1),))}, "--data.image-size 30"),
    ],
)
def test_what_cannot_start_leaves_nothing(tmp_path, change, words):
    with pytest.raises(RunError, match=words):
        fit(dataclasses.replace(SMALL, **change), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_batches_that_devices_cannot_share_are_refused(tmp_path):
    process = run(tmp_path / "run", "--batch-size", "60", devices=8)
    _, err = process.communicate()
    assert process.returncode == 2
    assert "--batch-size 60 cannot be shared out over 8 devices" in err
    assert "Traceback" not in err


def test_configs_survive_json(tmp_path):
    from train.config import differences, from_values

    for config in PRESETS.values():
        values = json.loads(json.dumps(dataclasses.asdict(config)))
        assert from_values(values) == config
    assert not list(differences(Config(), Config()))
    before = dataclasses.asdict(Config())
    del before["data"]["shift"], before["data"]["shifted"]
    data = from_values(before).data
    assert (data.shift, data.shifted) == ("pixels", 1.0)

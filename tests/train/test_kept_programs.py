"""What one run has compiled, the next one loads, and it learns the same to the bit."""

import dataclasses
import json
import os
import subprocess
import sys

import pytest

from train import __main__ as application

COUNTED = """
import json, sys
from collections import Counter
from train import __main__ as application

counts, keep_programs = Counter(), application.keep_programs

def counted(speaker):
    keep_programs(speaker)
    import jax
    jax.monitoring.register_event_listener(lambda event, **_: counts.update([event]))

application.keep_programs = counted
status = application.main()
of = "/jax/compilation_cache/"
hits, asked = counts[of + "cache_hits"], counts[of + "compile_requests_use_cache"]
print(json.dumps({"loaded": hits, "compiled": asked - hits}))
sys.exit(status)
"""
OPTIONS = [
    *("--data.train-images=8", "--batch-size=8", "--steps=2", "--every=2"),
    "--mixing.form=plain",
]
SOON_COMPILED = "--xla_backend_optimization_level=0"


@pytest.fixture
def run(tmp_path):
    """Trains for two steps; gives how many programs it loaded, and compiled."""

    def run(name):
        own = {
            k: v for k, v in os.environ.items() if not k.startswith(("JAX_", "XDG_"))
        }
        own |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
        own |= {"XLA_FLAGS": SOON_COMPILED}
        words = [*OPTIONS, "--workdir", tmp_path / name]
        done = subprocess.run(
            [sys.executable, "-c", COUNTED, "fit", *words],
            env=own,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "compil" not in done.stderr
        told = json.loads(done.stdout.splitlines()[-1])
        return told["loaded"], told["compiled"]

    return run


def bits(workdir):
    """Numbers that stand for every bit of the state after the last step."""
    return (workdir / "checkpoints" / "2" / "fingerprint" / "metadata").read_text()


@pytest.mark.long
def test_a_second_run_compiles_nothing_and_learns_the_same(run, tmp_path):
    loaded, compiled = run("first")
    # Some of them are asked for twice in a run.
    kept = list((tmp_path / "cache" / "vmixjax").glob("*-cache"))
    assert len(kept) == compiled > 0
    assert run("second") == (loaded + compiled, 0)

    assert bits(tmp_path / "first") == bits(tmp_path / "second")


@pytest.mark.parametrize("command", application.COMMANDS)
def test_every_command_keeps_programs(command, monkeypatch):
    told = []
    monkeypatch.setattr(application, "keep_programs", told.append)
    only = application.COMMANDS[command]
    quiet = dataclasses.replace(only, run=lambda options: 0)
    monkeypatch.setitem(application.COMMANDS, command, quiet)
    words = {"predict": ["x.png"], "label": ["--out", "x.npz"]}.get(command, [])
    where = "--out" if command == "compare" else "--workdir"
    assert application.main([command, *words, where, "x"]) == 0
    assert told == ["train"]


def test_processes_that_train_together_have_a_folder_that_is_named(monkeypatch):
    told = []
    monkeypatch.setattr(application, "keep_programs", told.append)
    quiet = dataclasses.replace(application.COMMANDS["fit"], run=lambda options: 0)
    monkeypatch.setitem(application.COMMANDS, "fit", quiet)
    assert application.main(["fit", "--workdir", "x", "--distributed"]) == 0
    assert told == []

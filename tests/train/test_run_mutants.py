"""Whatever is wrong with a run's folder, commands say so, and go on to no other bits.

`VMIXJAX_MUTANTS=1000 python -m pytest -m long tests/train/test_run_mutants.py` tries
many.
"""

import gc
import json
import shutil
import sys
from functools import partial

import mutants
import numpy as np
import oracle
import pytest
from watched import Wrong, each_mutant, run, write_decoys

from train import __main__ as train
from vmixjax.data.codecs.png import write_png

OPTIONS = ["--preset", "digits", "--batch-size", "4", "--steps", "2", "--every", "1"]


def main(arguments):
    """The command, and then what a process that ends would never collect.

    Of a damaged checkpoint TensorStore leaves futures behind that complain when they
    are collected; no user sees it, and the next command is not to blame.
    """
    try:
        return train.main(arguments)
    finally:
        hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
        gc.collect()
        sys.unraisablehook = hook


@pytest.fixture(scope="module", autouse=True)
def _frozen():
    """What other tests have left in this process is not looked at for each mutant."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run as if it were killed before its second checkpoint, and how it goes on."""
    root = tmp_path_factory.mktemp("made")
    for number in range(16):
        split, name = ("train", "test")[number % 2], ("cats", "dogs")[number // 2 % 2]
        path = root / "photos" / split / name / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_png(path, np.roll(oracle.smooth_image(16, 16), number, (0, 1)))
    assert main(fit(root, root / "whole")) == 0
    shutil.copytree(root / "whole", root / "run")
    shutil.rmtree(root / "run" / "checkpoints" / "2")
    return root


def fit(root, workdir):
    source = ["--data.source", f"folder:{root / 'photos'}"]
    return ["fit", "--workdir", str(workdir), *OPTIONS, *source]


def ends(workdir):
    """Numbers that stand for every bit of the state after the last step."""
    note = workdir / "checkpoints" / "2" / "fingerprint" / "metadata"
    return json.loads(note.read_text())


def notes(workdir):
    """Those of a checkpoint that are JSON."""
    for path in sorted((workdir / "checkpoints").rglob("*")):
        if path.is_file() and path.read_bytes()[:1] in (b"{", b"["):
            yield path


@pytest.mark.long
def test_runs(made, tmp_path):
    untouched = tmp_path / "untouched"
    (untouched / "home").mkdir(parents=True)
    workdir = shutil.copytree(made / "run", untouched / "home" / "run")
    evaluate = ["evaluate", "--workdir"]
    inside = {"inside": untouched / "home", "may_change": [workdir]}
    _, wanted = run(main, [*evaluate, workdir], **inside)
    image = made / "photos" / "test" / "cats" / "1.png"
    assert run(main, ["predict", image, "--workdir", workdir], **inside)[0] == 0
    assert run(main, [*fit(made, workdir), "--resume"], **inside)[0] == 0
    assert ends(workdir) == ends(made / "whole")

    def check(dice, folder):
        home = folder / "home"
        lures = write_decoys(home)
        workdir = shutil.copytree(made / "run", home / "run")
        # What is stored of the state itself is not JSON; where it is damaged, Orbax
        # takes a second to say so.
        of_run = dice.random() < 0.6
        path = workdir / "run.json" if of_run else dice.choice(list(notes(workdir)))
        if of_run and dice.random() < 0.1:
            mutants.mutate_place(path, dice, lures)
        else:
            content = mutants.mutate_json(path.read_bytes(), dice, lures)
            path.write_bytes(content)
        yield dice.choice(
            (
                partial(evaluated, home, None if of_run else wanted),
                partial(
                    run, main, ["predict", image, "--workdir", workdir], inside=home
                ),
                partial(resumed, home),
            )
        )

    def evaluated(home, wanted):
        status, said = run(main, [*evaluate, home / "run"], inside=home)
        if status == 0 and wanted and said.splitlines()[-1] != wanted.splitlines()[-1]:
            raise Wrong(f"evaluate, status 0, told something else: {said[-200:]!r}")

    def resumed(home):
        arguments = [*fit(made, home / "run"), "--resume"]
        status, _ = run(main, arguments, inside=home, may_change=[home / "run"])
        if status == 0 and ends(home / "run") != ends(made / "whole"):
            raise Wrong("fit --resume, status 0, ended in other bits")

    each_mutant("run", tmp_path, check)

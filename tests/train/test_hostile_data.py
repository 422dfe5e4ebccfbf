"""Data sets and runs that mean harm: they run nothing, and are one line."""

import itertools
import json
import os
import shutil

import meddler
import numpy as np
import pytest
from meddler import OPTIONS, refused, run
from PIL import Image

from train.__main__ import main
from vmixjax.cli import main as vmixjax

_numbers = itertools.count()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A release that can be learned from."""
    root = tmp_path_factory.mktemp("made")
    photos = meddler.write_photos(root / "photos" / "train")
    shutil.copytree(photos, root / "photos" / "test")
    more = ["--format", "tfds", *OPTIONS]
    assert vmixjax(["mix", str(root / "photos"), str(root / "mixed"), *more]) == 0
    return root / "mixed"


@pytest.fixture
def mixed(made, tmp_path):
    # A name of its own: Python remembers what it has imported.
    folder = tmp_path / f"hostile_data_{next(_numbers)}"
    return shutil.copytree(made, folder)


def fit(source, tmp_path, *more):
    run = ["--preset", "digits", "--workdir", tmp_path / "run", "--steps", "1"]
    learned = ["--data.source", f"tfds:{source}", "--mixing.where", "done"]
    return ["fit", *run, *learned, *more]


def refused_by_fit(capsys, source, tmp_path, *more):
    refused(capsys, *fit(source, tmp_path, *more), main=main, name="train")
    assert not (tmp_path / "run" / "checkpoints").exists()


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("form", ["feature", "snake case", "legacy", "JSON in JSON"])
def test_no_code_comes_from_data(mixed, tmp_path, monkeypatch, capsys, form, named):
    mark, evil = tmp_path / "it-ran", f"{mixed.name}.evil.X"
    (mixed / "evil.py").write_text(f"open({str(mark)!r}, 'w').close()\n")
    path = mixed / "features.json"
    meddler.change_json(path, lambda whole: meddler.planted(form, whole, evil))
    # As from a checkout that the data lie in.
    monkeypatch.syspath_prepend(tmp_path)
    source, more = mixed, []
    if named:
        source, more = "mixed", ["--data.data-dir", tmp_path / "data"]
        (tmp_path / "data" / "mixed").mkdir(parents=True)
        shutil.copytree(mixed, tmp_path / "data" / "mixed" / "1.0.0")
    try:
        refused_by_fit(capsys, source, tmp_path, *more)
    finally:
        assert not mark.exists()


@pytest.mark.parametrize("name", ["features.json", "dataset_info.json"])
@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b"[" * 100_000, b'{"splits": 1}'],
    ids=lambda data: data[:12].decode("latin-1"),
)
def test_malformed_descriptions_are_one_line(mixed, tmp_path, capsys, name, data):
    (mixed / name).write_bytes(data)
    refused_by_fit(capsys, mixed, tmp_path)


@pytest.mark.parametrize("length", ["20000000000", "-4", "x"])
def test_shards_that_claim_much_take_little(mixed, tmp_path, capsys, length):
    def change(info):
        for split in info["splits"]:
            split["shardLengths"] = [length] * len(split["shardLengths"])

    meddler.change_json(mixed / "dataset_info.json", change)
    refused_by_fit(capsys, mixed, tmp_path)


@pytest.mark.parametrize("what", ["fifo", "device"])
@pytest.mark.parametrize("name", ["features.json", "dataset_info.json"])
def test_what_describes_data_is_an_ordinary_file(mixed, tmp_path, capsys, name, what):
    (mixed / name).unlink()
    if what == "fifo":
        os.mkfifo(mixed / name)
    else:
        (mixed / name).symlink_to("/dev/zero")
    refused_by_fit(capsys, mixed, tmp_path)


def test_records_of_garbage_are_one_line(mixed, tmp_path, capsys):
    for path in mixed.glob("*array_record*"):
        records = meddler.read_records(path)
        meddler.write_records(path, [b"\xff" * 99] * len(records))
    refused_by_fit(capsys, mixed, tmp_path)


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A run that was killed before its first step, and an image for its model."""
    root = tmp_path_factory.mktemp("begun")

    def stopped(function):
        def stop(source, target, *given, **named):
            function(source, target, *given, **named)
            if os.fspath(target).endswith("run.json"):
                raise meddler.Crash

        return stop

    with pytest.MonkeyPatch.context() as patch:
        for name in ("replace", "rename", "link"):
            patch.setattr(os, name, stopped(getattr(os, name)))
        with pytest.raises(meddler.Crash):
            main(["fit", "--preset", "digits", "--workdir", str(root / "run")])
    Image.fromarray(np.zeros((32, 32), np.uint8)).save(root / "digit.png")
    return root


ODD = [None, "x", -1, [], {}, 10**30, [[]], 1e999, 0.5, "\ud800"]


@pytest.mark.parametrize("command", ["predict", "evaluate", "fit"])
def test_every_word_of_a_run_may_be_another(begun, tmp_path, capsys, command):
    (tmp_path / "run").mkdir()
    path = tmp_path / "run" / "run.json"
    whole = json.loads((begun / "run" / "run.json").read_text())
    workdir = ["--workdir", path.parent]
    arguments = {
        "predict": ["predict", begun / "digit.png", *workdir],
        "evaluate": ["evaluate", *workdir],
        "fit": ["fit", "--preset", "digits", *workdir, "--resume", "--steps", "1"],
    }[command]
    odd = itertools.cycle(ODD)
    contents = [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000]
    changed = [
        json.dumps(meddler.put(whole, place, next(odd))).encode()
        for place in meddler.nodes(whole)
    ]
    # They read it by the same function; those that compute more get fewer.
    few = changed if command == "predict" else changed[::4]
    for data in (*contents, *few):
        path.write_bytes(data)
        refused(capsys, *arguments, main=main, name="train")


@pytest.mark.parametrize("what", ["fifo", "device", "folder", "huge"])
def test_what_tells_of_a_run_is_an_ordinary_file(begun, tmp_path, capsys, what):
    (tmp_path / "run").mkdir()
    path = tmp_path / "run" / "run.json"
    if what == "fifo":
        os.mkfifo(path)
    elif what == "device":
        path.symlink_to("/dev/zero")
    elif what == "folder":
        path.mkdir()
    else:
        with path.open("wb") as file:
            file.truncate(meddler.HUGE)
    arguments = ["predict", begun / "digit.png", "--workdir", path.parent]
    refused(capsys, *arguments, main=main, name="train")


def test_names_do_nothing_to_a_terminal(begun, tmp_path, capsys):
    for name in ("\x1b]0;x\x07", "a\ntrain: done\n", "\u202ex", os.fsdecode(b"\xff")):
        image = tmp_path / f"{name}.png"
        shutil.copy(begun / "digit.png", image)
        for arguments in (
            ["predict", image, "--workdir", tmp_path / name],
            ["predict", tmp_path / f"no-{name}", "--workdir", begun / "run"],
            ["fit", "--workdir", tmp_path / "x", "--data.source", f"folder:{image}"],
        ):
            status, out, err = run(capsys, *arguments, main=main)
            assert status == 2
            odd = [c for c in out + err if c != "\n" and not c.isprintable()]
            assert not odd
            assert "train: done" not in err.splitlines()

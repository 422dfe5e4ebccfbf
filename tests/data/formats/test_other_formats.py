"""A format of another package, installed as pip leaves it, through the command line."""

import os
import subprocess
import sys

import numpy as np
import pytest

from vmixjax.data import FORMATS, write_png

PACKAGE = '''
"""Images as NumPy's files."""

import contextlib
import hashlib
import io
from pathlib import Path

import numpy as np

from vmixjax.data import Example, Format, Source, Trace
from vmixjax.data.inside import create_private, own_folder
from vmixjax.data.writing import WORK, Stored, check_stored, part_path
from vmixjax.data.writing import sequence_number


class ArraysSource(Source):
    fields, pixels, name = {}, None, "arrays"

    def __init__(self, name, options):
        self.places = (Path(name),)
        self.files = sorted(Path(name).glob("*.npy"))
        self.splits = {"train": len(self.files)}

    def read(self, split, index, claim=lambda size: None):
        path = self.files[index]
        image = np.load(path, allow_pickle=False)
        return Example(name=path.name, folder="", stem=path.stem, image=image)

    def candidates(self, name):
        yield from (("train", index) for index in range(len(self.files)))

    def extras(self, split, index):
        yield from ()

    def loose(self):
        yield from ()

    def traces(self):
        for index, file in enumerate(self.files):
            yield Trace.of(file, "train", file.name, index, index + 1)


class ArraysSink:
    holds = ()

    def __init__(self, root, schema):
        self.root = root

    def output(self, example, shard, index, names):
        return f"{example.stem if names else sequence_number(index, shard.count)}.npy"

    def encode(self, example, output):
        buffer = io.BytesIO()
        np.save(buffer, example.image)
        return buffer.getvalue()

    def belongings(self, example):
        return b""

    def reread(self, record, output):
        image = np.load(io.BytesIO(record), allow_pickle=False)
        return Stored(output, image.shape, image.dtype, b"")

    @contextlib.contextmanager
    def write(self, shard, files, disk):
        yield Writer(self.root, files)

    def finish(self, counts):
        return {}


class Writer:
    def __init__(self, root, files):
        self.work, self.files = own_folder(root, WORK), files

    def add(self, name, record):
        path, expected = part_path(self.work), hashlib.sha256(record).hexdigest()
        with create_private(path) as file:
            file.write(record)
        check_stored(path, expected)
        self.files.parts[name] = path, expected


def has_arrays(path):
    return any(path.glob("*.npy"))


FORMAT = Format(
    name="arrays",
    title="NumPy files",
    open=ArraysSource,
    create=ArraysSink,
    recognises=has_arrays,
    is_release=has_arrays,
)
'''

# One process for all commands: to start is what takes time.
COMMANDS = """
import sys
from vmixjax.cli import main

for command in sys.stdin.read().splitlines():
    print(f"== {command}", flush=True)
    print(main(command.split()), flush=True)
"""


def run(folder, commands):
    """What each command prints, its exit status last."""
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS],
        cwd=folder,
        input="\n".join(commands),
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )
    parts = done.stdout.split("== ")[1:]
    assert len(parts) == len(commands), done.stderr
    return [part.split("\n", 1)[1].splitlines() for part in parts], done.stderr


@pytest.fixture
def installed(tmp_path):
    """A folder on `sys.path` with a package that has a format."""
    (tmp_path / "made_up_arrays.py").write_text(PACKAGE)
    about = tmp_path / "made_up_arrays-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Name: made-up-arrays\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[vmixjax.formats]\narrays = made_up_arrays:FORMAT\n"
    )
    return tmp_path


def test_it_is_mixed_from_and_to_verified_restored_and_missed(installed):
    originals = {}
    (installed / "photos").mkdir()
    for i in range(3):
        noise = np.random.default_rng(i).integers(0, 256, (32, 32, 1), np.uint8)
        originals[f"anna-{i}"] = noise
        write_png(installed / f"photos/anna-{i}.png", noise)

    results, errors = run(
        installed,
        [
            "mix photos mixed --format arrays --vault vault",
            "verify mixed --vault vault --source photos",
            "unmix mixed restored --vault vault",
            "mix restored again --vault other",
            "mix arrays:restored pngs --format folder",
            "mix photos nowhere --format arays",
        ],
    )
    *done, refused = results
    assert [lines[-1] for lines in done] == ["0"] * len(done), errors
    assert refused == ["2"]
    ours = ", ".join(FORMATS)
    assert f"--format arays: it must be same, {ours} or arr" in errors
    assert sorted(p.name for p in (installed / "mixed").iterdir()) == [
        *(f"0000{i}.npy" for i in range(3)),
        "release.json",
    ]
    for name, image in originals.items():
        np.testing.assert_array_equal(
            np.load(installed / f"restored/{name}.npy"), image
        )
    assert len(list((installed / "again").glob("*.npy"))) == 3
    assert len(list((installed / "pngs").glob("*.png"))) == 3

    (installed / "made_up_arrays-1.0.dist-info/entry_points.txt").unlink()
    results, errors = run(installed, ["verify mixed"])
    assert results == [["2"]]
    (line,) = errors.splitlines()
    assert "is of the format 'arrays', which is none of folder, tfds, webd" in line


def test_help_names_it(installed):
    code = "from vmixjax.cli import main; main(['mix', '--help'])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(installed), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"{{same,{','.join(FORMATS)},arrays}}" in done.stdout

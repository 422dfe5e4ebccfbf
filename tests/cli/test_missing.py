"""A command that lacks what an extra installs says which extra, in one line."""

import subprocess
import sys

import numpy as np
import pytest

from vmixjax.data.codecs.png import write_png

WITHOUT = """
import sys
# Importing them fails as if they were not installed.
sys.modules |= dict.fromkeys(sys.argv.pop(1).split())
from vmixjax.cli import main
sys.exit(main())
"""
MIX = ["mix", "{in}", "{out}"]


def needs(module):
    return (
        f"vmixjax: {module} is not installed, and the command line needs it: "
        f"pip install 'vmixjax[cli]'\n"
    )


@pytest.mark.parametrize(
    ("module", "arguments", "line"),
    [
        ("tyro", ["--help"], needs("tyro")),
        ("tyro", MIX, needs("tyro")),
        ("tqdm", ["vfe", "{in}"], needs("tqdm")),
        ("cryptography", MIX, needs("cryptography")),
        ("PIL", MIX, needs("PIL")),
        ("msgspec", ["verify", "{in}"], needs("msgspec")),
        (
            "tensorflow_datasets",
            ["mix", "tfds:cifar10", "{out}"],
            "vmixjax: TFDS is not installed, and this needs it: pip install "
            "'vmixjax[tfds]', then try again\n",
        ),
        (
            "apache_beam",
            [*MIX, "--engine", "beam", "--vault", "{out}-vault"],
            "vmixjax: Apache Beam is not installed, and --engine beam needs it: pip "
            "install 'vmixjax[beam]'\n",
        ),
    ],
)
def test_what_is_missing_is_one_line_with_its_extra(tmp_path, module, arguments, line):
    photos = tmp_path / "in"
    photos.mkdir()
    write_png(photos / "x.png", np.zeros((32, 32, 3), np.uint8))
    places = {"in": photos, "out": tmp_path / "out"}
    run = subprocess.run(
        [
            sys.executable,
            "-c",
            WITHOUT,
            module,
            *(a.format(**places) for a in arguments),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout, run.stderr) == (2, "", line)
    assert list(tmp_path.iterdir()) == [photos]

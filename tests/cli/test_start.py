"""A command imports what it needs, and nothing else, before its first answer."""

import subprocess
import sys
from importlib.metadata import version

import numpy as np
import pytest

from vmixjax.cli import main
from vmixjax.data.codecs.png import write_png

RUN = """
import sys
from vmixjax.cli import main
status = main()
print(*sorted(sys.modules), file=sys.stderr)
sys.exit(status)
"""
HEAVY = {
    "chex",
    "flax",
    "jinja2",
    "matplotlib",
    "optax",
    "scipy",
    "skimage",
    "sklearn",
    "tensorflow_datasets",
    "apache_beam",
}
NO_ANSWER = {"cv2", "jax", "msgspec", "numpy", "PIL", "tifffile", "tqdm"}


@pytest.mark.parametrize(
    ("arguments", "needless"),
    [
        (["mix", "{in}", "{in}.out", "--strength", "2"], HEAVY | NO_ANSWER),
        (["mix", "{in}", "{in}.out"], HEAVY),
        (["vfe", "{in}"], HEAVY | {"cv2"}),
    ],
)
def test_a_command_imports_what_it_needs(tmp_path, arguments, needless):
    photo = tmp_path / "photo.png"
    write_png(photo, np.zeros((32, 32, 3), np.uint8))
    run = subprocess.run(
        [sys.executable, "-c", RUN, *(a.format(**{"in": photo}) for a in arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    imported = set(run.stderr.splitlines()[-1].split())
    assert "vmixjax.cli.mix" in imported, run.stderr
    assert imported & needless == set()


def test_its_version_is_that_of_what_is_installed(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"vmixjax {version('vmixjax')}\n"

"""Folders of many sizes: what is compiled knows none of them."""

import os
import subprocess
import sys

import numpy as np
import oracle
import pytest

from vmixjax.data.codecs.images import read_image
from vmixjax.data.codecs.png import write_png

SIZES = [(40 + 17 * i, 200 - 11 * i) for i in range(12)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twelve sizes; a third is grey."""
    folder = tmp_path_factory.mktemp("sizes") / "photos"
    folder.mkdir()
    for i, size in enumerate(SIZES):
        turned = np.roll(oracle.smooth_image(*size, 1 if i % 3 == 0 else 3), i * 7, 1)
        write_png(folder / f"{i}.png", turned // (i + 1))
    return folder


def run(*arguments):
    """Runs the command line in a process of its own; gives what it compiled."""
    environment = {
        **os.environ,
        "JAX_ENABLE_COMPILATION_CACHE": "false",
        "JAX_LOG_COMPILES": "1",
    }
    command = [sys.executable, "-m", "vmixjax.cli", *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    return [line for line in lines if "Finished XLA compilation" in line]


@pytest.mark.long
def test_no_size_is_compiled_for(folder, tmp_path):
    mixed, vault, back = (tmp_path / name for name in ("mixed", "vault", "back"))
    options = ["--strength", "0.5", "--vault", vault, "--keep-names"]
    compiled = run("mix", folder, mixed, *options, "--allow-overlaps")
    # Planning and mixing, of grey images and of others.
    assert 1 <= len(compiled) <= 4, compiled
    assert len(run("unmix", mixed, back, "--vault", vault)) == 2
    assert len(run("verify", mixed, "--vault", vault)) == 4
    assert len(run("vfe", folder)) == 2
    for path in folder.iterdir():
        np.testing.assert_array_equal(read_image(back / path.name), read_image(path))


def test_the_strongest_mixing_compiles_one_program_for_each_kind(folder, tmp_path):
    assert len(run("mix", folder, tmp_path / "mixed", "--allow-overlaps")) == 2

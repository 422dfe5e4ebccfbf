"""What detectors and segmenters share is there for all, and asks for little."""

import subprocess
import sys

import numpy as np
import pytest

import vmixjax.dense
from vmixjax.data import Boxes
from vmixjax.dense import average_precision
from vmixjax.errors import RunError


@pytest.mark.parametrize("name", vmixjax.dense.__all__)
def test_every_public_name_is_there_and_documented(name):
    assert getattr(vmixjax.dense, name).__doc__


def test_it_imports_no_formats_of_data_and_none_of_what_reads_files():
    code = (
        "import sys, vmixjax.dense.centres, vmixjax.dense.masks, "
        "vmixjax.dense.coco_metrics\n"
        "print(*(x for x in ('vmixjax.data.formats', 'PIL', 'hotcoco', 'flax') "
        "if x in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["flax"]


def test_without_hotcoco_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "hotcoco", None)
    box = Boxes(np.array([[0, 0, 1, 1]], np.float32), np.array([0]))
    found = {
        "corners": box.corners[None],
        "scores": np.ones((1, 1), np.float32),
        "labels": np.zeros((1, 1), np.int32),
    }
    words = r"hotcoco is not installed.*pip install 'vmixjax\[detect\]'"
    with pytest.raises(RunError, match=words):
        average_precision([box], found, (8, 8), classes=1)

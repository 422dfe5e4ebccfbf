"""What processes of their own take is theirs, and not that of whoever measures."""

import time

import numpy as np
import pytest

from benchmarks.fresh import run_python, run_vmixjax
from benchmarks.photographs import write_photographs

COMPILES = "import jax; jax.jit(lambda x: x + 1)(1.0); jax.jit(lambda x: x * x)(2.0)"


def test_memory_and_time_are_those_of_the_command():
    # More than the command takes, so that this would be told as its own.
    here = np.ones(50_000_000)
    takes = "x = b'x' * 100_000_000; import time; time.sleep(0.2)"
    began = time.perf_counter()
    run = run_python(["-c", takes], {})
    assert 0.2 < run.seconds < time.perf_counter() - began
    assert run.cpu_seconds < run.seconds
    assert 100e6 < run.peak_bytes < 200e6 < here.nbytes
    assert run.compiled == 0


def test_programs_are_counted_and_not_those_that_are_found(tmp_path):
    # In a cache of every program, however small and soon compiled.
    cache = {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    assert [run_python(["-c", COMPILES], cache).compiled for _ in range(2)] == [2, 0]


def test_the_command_line_is_run(tmp_path):
    (photograph,) = write_photographs(tmp_path / "one", [(40, 64)])
    assert run_vmixjax("vfe", photograph).compiled > 0


def test_a_command_that_fails_says_why():
    fails = "import sys; sys.exit('no such image')"
    with pytest.raises(RuntimeError, match=r"ended with 1: no such image"):
        run_python(["-c", fails], {})

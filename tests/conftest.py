"""What all tests share: one cache of compiled programs, for workers and subprocesses.

Workers of xdist and the commands that tests start inherit it by the environment: what
one has compiled, the others load. It is set before JAX is imported, and only where
nobody has chosen a cache.
"""

import os
import shutil
import tempfile

import pytest

# They hold no doctests, and two modules cannot have one name.
collect_ignore_glob = ["**/conftest.py", "conftest.py"]

_FOLDER = "JAX_COMPILATION_CACHE_DIR"
_made = None

if _FOLDER not in os.environ:
    _made = os.environ[_FOLDER] = tempfile.mkdtemp(prefix="vmixjax-tests-")
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.2"
    # With a limit JAX locks the folder, so that nobody reads what is half written.
    os.environ["JAX_COMPILATION_CACHE_MAX_SIZE"] = str(2**32)


def pytest_unconfigure(config):
    """The process that made the cache removes it."""
    if _made is not None:
        shutil.rmtree(_made, ignore_errors=True)


@pytest.fixture(scope="session")
def uncached():
    """Environment without the cache, for what is killed: it would leave half of it."""
    return {**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "false"}

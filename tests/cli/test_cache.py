"""What one run has compiled, the next one loads; no cache is a reason to fail."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import platformdirs
import pytest

from vmixjax.cli import cache
from vmixjax.data.codecs.png import write_png

COUNTED = """
import json, sys
from collections import Counter
from vmixjax.cli import cache, main

counts, keep_programs = Counter(), cache.keep_programs

def counted(speaker):
    keep_programs(speaker)
    import jax
    jax.monitoring.register_event_listener(lambda event, **_: counts.update([event]))

def three_programs():
    counted("vmixjax")
    import jax
    for i in range(3):
        assert float(jax.jit(lambda x: x + i)(1.0)) == 1 + i

cache.keep_programs = counted
status = main() if sys.argv[1:] else three_programs()
of = "/jax/compilation_cache/"
hits, asked = counts[of + "cache_hits"], counts[of + "compile_requests_use_cache"]
print(json.dumps({"loaded": hits, "compiled": asked - hits}))
sys.exit(status)
"""
SETTINGS = ("JAX_", "TF_CPP_", "XDG_")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache" / "vmixjax"


@pytest.fixture
def start(tmp_path, folder):
    """Starts a process that compiles three programs, or else is `vmixjax`."""

    def start(*arguments, **environment):
        own = {k: v for k, v in os.environ.items() if not k.startswith(SETTINGS)}
        own |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(folder.parent)}
        return subprocess.Popen(
            [sys.executable, "-c", COUNTED, *map(str, arguments)],
            env={**own, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.fixture
def run(start):
    """Runs it, and gives the numbers of programs that were loaded and compiled."""
    return lambda *arguments, **environment: counts(start(*arguments, **environment))


def counts(process):
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    told = json.loads(out.splitlines()[-1])
    return told["loaded"], told["compiled"]


def programs(folder):
    return sorted(folder.glob("*-cache"))


def test_a_second_run_compiles_nothing(run, folder, tmp_path):
    photo = tmp_path / "photo.png"
    write_png(photo, np.zeros((32, 32, 3), np.uint8))
    loaded, compiled = run("mix", photo, tmp_path / "one")
    assert (loaded, compiled) == (0, len(programs(folder)))
    assert compiled > 0
    before = {path: path.read_bytes() for path in programs(folder)}

    # Another secret and another picture are other arguments of the same programs.
    write_png(photo, np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8))
    assert run("mix", photo, tmp_path / "two") == (compiled, 0)
    assert {path: path.read_bytes() for path in programs(folder)} == before
    if os.name == "posix":
        assert folder.stat().st_mode & 0o777 == 0o700


def test_what_was_half_written_or_damaged_is_compiled_again(run, folder):
    assert run() == (0, 3)
    whole = programs(folder)
    half, empty, unused = whole
    half.write_bytes(half.read_bytes()[:100])
    half.with_name(half.name.replace("-cache", "-atime")).unlink()
    empty.write_bytes(b"")
    unused.with_name(unused.name.replace("-cache", "-atime")).write_bytes(b"")
    assert run() == (0, 3)
    assert programs(folder) == whole
    half.write_bytes(b"damaged")
    assert run() == (2, 1)


def test_many_processes_share_it(start, run):
    for process in [start() for _ in range(2)]:
        assert sum(counts(process)) == 3
    assert run() == (3, 0)


def test_it_is_bounded(run, folder):
    run()
    bound = 2 * max(path.stat().st_size for path in programs(folder)) + 100
    for path in folder.iterdir():
        path.unlink()
    assert run(JAX_COMPILATION_CACHE_MAX_SIZE=str(bound)) == (0, 3)
    assert len(programs(folder)) == 2
    assert run(JAX_COMPILATION_CACHE_MAX_SIZE="10")[1] > 0


@pytest.mark.skipif(sys.platform == "win32", reason="has no limits of that kind")
def test_a_full_disk_is_no_error(run):
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        assert run() == (0, 3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert run() == (0, 3)


@pytest.fixture
def keep(tmp_path, folder, monkeypatch, capsys):
    """Calls `keep_programs` as if JAX were not imported.

    Gives what that has set, and its complaint.
    """

    def keep(asked=cache.FOLDER, **environment):
        with monkeypatch.context() as patch:
            for name in os.environ:
                if name.startswith(SETTINGS):
                    patch.delenv(name)
            patch.setenv("HOME", str(tmp_path))
            patch.setenv("XDG_CACHE_HOME", str(folder.parent))
            for name, value in environment.items():
                patch.setenv(name, str(value))
            patch.delitem(sys.modules, "jax", raising=False)
            # What it sets is taken back, too.
            patch.setattr(os, "environ", os.environ.copy())
            cache.keep_programs("vmixjax")
            return os.environ.get(asked), capsys.readouterr().err

    return keep


def test_it_is_in_the_cache_folder_of_the_user(keep, folder):
    assert keep() == (str(folder), "")


def test_the_environment_goes_first(keep, folder, tmp_path):
    assert keep(JAX_ENABLE_COMPILATION_CACHE="0") == (None, "")
    assert keep(JAX_ENABLE_COMPILATION_CACHE="False") == (None, "")
    assert keep(JAX_COMPILATION_CACHE_DIR="") == ("", "")
    assert keep(JAX_COMPILATION_CACHE_DIR=tmp_path) == (str(tmp_path), "")
    assert not folder.exists()
    assert keep(JAX_ENABLE_COMPILATION_CACHE="1") == (str(folder), "")


def test_jax_that_complains_of_each_program_is_silenced(keep, monkeypatch):
    level = "TF_CPP_MIN_LOG_LEVEL"
    monkeypatch.setattr(cache, "_jaxlib", lambda: (0, 9, 2))
    assert keep(level) == ("3", "")
    assert keep(level, TF_CPP_MIN_LOG_LEVEL="0") == ("0", "")
    monkeypatch.setattr(cache, "_jaxlib", lambda: (0, 10, 2))
    assert keep(level) == (None, "")


def test_jax_that_crashes_keeps_nothing(keep, folder, monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(cache, "_jaxlib", lambda: (0, 9, 2))
    assert keep() == (None, "")
    assert not folder.exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="folders of Linux")
@pytest.mark.parametrize("place", ["/dev/null", "/proc"])
def test_where_there_can_be_none_there_is_none(keep, place):
    assert keep(XDG_CACHE_HOME=place) == (None, "")


def test_without_a_home_there_is_none(keep, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        platformdirs, "user_cache_path", lambda name, **_: Path("~/.cache") / name
    )
    assert keep() == (None, "")
    assert list(tmp_path.iterdir()) == []


def refused(folder, why):
    return (
        None,
        f"vmixjax: compiling anew: the cache {folder} {why} "
        f"(JAX_COMPILATION_CACHE_DIR=DIR)\n",
    )


@pytest.mark.skipif(os.name != "posix", reason="permissions are looked at on POSIX")
def test_a_folder_that_others_can_write_to_is_not_used(keep, folder):
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    assert keep() == refused(
        folder,
        f"can be written to by others: `chmod 700 {folder}`, if nobody else has put "
        f"anything there",
    )
    assert list(folder.iterdir()) == []


def test_a_link_is_not_followed(keep, folder, tmp_path):
    folder.parent.mkdir()
    (tmp_path / "theirs").mkdir()
    folder.symlink_to(tmp_path / "theirs")
    assert keep() == refused(folder, "is a link; name the folder it leads to")
    assert list((tmp_path / "theirs").iterdir()) == []


@pytest.mark.skipif(
    os.name != "posix" or os.geteuid() != 0, reason="only root can give folders away"
)
def test_a_folder_of_somebody_else_is_not_used(keep, folder):
    folder.mkdir(parents=True, mode=0o700)
    os.chown(folder, 12345, 12345)
    assert keep() == refused(
        folder,
        "belongs to another user, who may have planted it; name one of your own, or "
        "become its owner",
    )
    assert list(folder.iterdir()) == []

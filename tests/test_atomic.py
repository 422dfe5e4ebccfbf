"""A file appears whole or not at all."""

import errno
import os
import stat
from pathlib import Path

import pytest

from vmixjax.atomic import atomic_path


@pytest.fixture
def umask_022():
    old = os.umask(0o022)
    yield
    os.umask(old)


def _names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_new_file(tmp_path):
    with atomic_path(tmp_path / "a.bin") as file:
        file.write(b"whole")
        (part,) = _names(tmp_path)
        assert part.startswith(".")
        assert part.endswith(".part")
        assert "a.bin" not in part
    assert _names(tmp_path) == ["a.bin"]
    assert (tmp_path / "a.bin").read_bytes() == b"whole"


def test_replaces_only_when_complete(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with atomic_path(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


def test_long_name_fits(tmp_path):
    path = tmp_path / ("n" * 255)
    with atomic_path(path) as file:
        file.write(b"x")
    assert path.read_bytes() == b"x"


@pytest.mark.usefixtures("umask_022")
@pytest.mark.parametrize(
    ("options", "expected"), [({}, 0o644), ({"mode": 0o600}, 0o600)]
)
def test_mode_from_the_start(tmp_path, options, expected):
    path = tmp_path / "a.bin"
    with atomic_path(path, **options) as file:
        assert stat.S_IMODE(os.fstat(file.fileno()).st_mode) == expected
    assert stat.S_IMODE(path.stat().st_mode) == expected


def test_mode_replaces_that_of_the_old_file(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    path.chmod(0o666)
    with atomic_path(path, mode=0o600) as file:
        file.write(b"new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_symlink_is_replaced_not_followed(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"kept")
    link.symlink_to(target)
    with atomic_path(link) as file:
        file.write(b"new")
    assert not link.is_symlink()
    assert link.read_bytes() == b"new"
    assert target.read_bytes() == b"kept"


def test_dangling_symlink_is_replaced(tmp_path):
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")
    with atomic_path(link) as file:
        file.write(b"new")
    assert _names(tmp_path) == ["link"]
    assert not link.is_symlink()


@pytest.mark.parametrize("old", [b"old", None])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["block", "fsync", "replace"])
def test_failure_leaves_nothing_behind(tmp_path, monkeypatch, step, error, old):
    path = tmp_path / "a.bin"
    if old is not None:
        path.write_bytes(old)

    def fail(*_args):
        raise error

    if step != "block":
        monkeypatch.setattr(os, step, fail)
    with pytest.raises(type(error)) as caught, atomic_path(path) as file:  # noqa: PT012
        file.write(b"new" * 10000)
        if step == "block":
            fail()
    assert caught.value is error
    assert _names(tmp_path) == ([] if old is None else ["a.bin"])
    if old is not None:
        assert path.read_bytes() == old


def test_interrupt_right_after_creation(tmp_path, monkeypatch):
    real_open = os.open

    def open_and_stop(*args):
        os.close(real_open(*args))
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "open", open_and_stop)
    with pytest.raises(KeyboardInterrupt), atomic_path(tmp_path / "a.bin"):
        pass
    assert _names(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk(tmp_path, monkeypatch):
    real_open = os.open

    def open_full(path, flags, mode):
        os.close(real_open(path, flags, mode))
        return real_open("/dev/full", os.O_WRONLY)

    monkeypatch.setattr(os, "open", open_full)
    with pytest.raises(OSError, match="No space"), atomic_path(tmp_path / "a") as file:
        file.write(b"new")
    assert _names(tmp_path) == []


def test_failed_clean_up_does_not_hide_the_reason(tmp_path, monkeypatch):
    def fail(*_args, **_kwargs):
        raise PermissionError("no unlink")

    monkeypatch.setattr(Path, "unlink", fail)
    with pytest.raises(ZeroDivisionError), atomic_path(tmp_path / "a"):
        raise ZeroDivisionError


def test_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "no" / "a"):
        pass


def test_folder_at_the_final_name(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(OSError, match="a"), atomic_path(tmp_path / "a") as file:
        file.write(b"new")
    assert _names(tmp_path) == ["a"]
    assert (tmp_path / "a").is_dir()

"""What is named inside a folder stays there, whatever lies in it."""

import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmixjax.data.inside import (
    create_private,
    holds,
    inside,
    is_plain,
    move_inside,
    open_inside,
    own_folder,
    sha256_inside,
    unlink_inside,
    usual_mode,
)
from vmixjax.errors import RunError


@pytest.fixture
def places(tmp_path):
    """A folder, and another one that a link in it leads to."""
    root, other = tmp_path / "root", tmp_path / "other"
    for folder in (root / "cats", other):
        folder.mkdir(parents=True)
    (root / "part").write_bytes(b"new")
    (other / "file").write_bytes(b"old")
    (root / "link").symlink_to(other)
    (root / "cats" / "link").symlink_to(other / "file")
    return root, other


@pytest.mark.parametrize(
    "name", ["", ".", "..", "/", "/a", "a/", "a//b", "./a", "a/../b", "a\0b"]
)
def test_names_that_may_lead_elsewhere_are_refused(name):
    with pytest.raises(ValueError, match="leads out of its folder"):
        inside(name)
    assert not is_plain(name)


@given(st.text())
def test_whatever_passes_lies_below(name):
    try:
        path = inside(name)
    except ValueError:
        return
    assert path.as_posix() == name
    assert os.path.normpath(f"/root/{name}") == f"/root/{name}"


def test_a_file_is_moved_and_gets_its_mode(places):
    root, _ = places
    move_inside(root, [("part", "dogs/deep/one")], 0o640)
    assert (root / "dogs/deep/one").read_bytes() == b"new"
    assert stat.S_IMODE((root / "dogs/deep/one").stat().st_mode) == 0o640
    assert not (root / "part").exists()


def test_a_link_at_the_new_name_is_replaced(places):
    root, other = places
    move_inside(root, [("part", "cats/link")])
    assert (root / "cats/link").read_bytes() == b"new"
    assert (other / "file").read_bytes() == b"old"


def test_a_link_on_the_way_is_not_followed(places):
    root, other = places
    for way in (
        lambda: move_inside(root, [("part", "link/file")]),
        lambda: move_inside(root, [("link/file", "mine")]),
        lambda: unlink_inside(root, "link/file"),
        lambda: sha256_inside(root, "link/file"),
        lambda: sha256_inside(root, "cats/link"),
        lambda: own_folder(root, "link"),
    ):
        with pytest.raises(RunError, match="is a link"):
            way()
    assert (other / "file").read_bytes() == b"old"
    assert (root / "part").read_bytes() == b"new"
    assert not holds(root, "link/file", "0")
    # Of a link itself, the link goes.
    unlink_inside(root, "cats/link")
    assert not (root / "cats/link").is_symlink()


def test_what_is_no_file_is_not_opened(places):
    root, _ = places
    os.mkfifo(root / "fifo")
    for name in ("fifo", "cats"):
        with pytest.raises(RunError, match="no ordinary file"), open_inside(root, name):
            pass
    with pytest.raises(FileNotFoundError), open_inside(root, "none"):
        pass
    with pytest.raises(RunError, match="below a file"), open_inside(root, "part/x"):
        pass
    unlink_inside(root, "none")


def test_new_files_are_private_and_named_ones_usual(tmp_path):
    before = os.umask(0o027)
    try:
        create_private(tmp_path / "mine").close()
        assert stat.S_IMODE((tmp_path / "mine").stat().st_mode) == 0o600
        assert usual_mode(tmp_path) == 0o640
        folder = own_folder(tmp_path, "work")
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    finally:
        os.umask(before)
    (tmp_path / "planted").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        create_private(tmp_path / "planted")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine", "planted", "work"]

import inspect
import sys
from pathlib import Path, PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmixjax.data.files import find_files, is_inside, png_names


def names(*paths):
    found = png_names([PurePath(path) for path in paths])
    return {str(source): str(target) for source, target in found.items()}


def test_a_suffix_is_replaced_where_that_is_safe():
    assert names("a/cat.jpg", "b/cat.png") == {
        "a/cat.jpg": "a/cat.png",
        "b/cat.png": "b/cat.png",
    }


def test_sources_that_would_meet_both_survive():
    assert names("cat.jpg", "cat.png", "CAT.bmp", "dog.jpg") == {
        "CAT.bmp": "CAT.bmp.png",
        "cat.jpg": "cat.jpg.png",
        "cat.png": "cat.png.png",
        "dog.jpg": "dog.png",
    }
    assert names("cat.jpg", "cat.png", "cat.jpg.png")["cat.jpg"] == "cat.jpg-2.png"


@given(
    st.sets(
        st.lists(
            st.sampled_from(["a", "A", "b", ".jpg", ".png", "-2", "."]),
            min_size=1,
            max_size=5,
        ).map("".join),
        max_size=12,
    )
)
def test_no_two_sources_share_a_name(paths):
    sources = {PurePath(path) for path in paths if PurePath(path).name}
    targets = png_names(sources)
    assert set(targets) == sources
    assert len({str(target).casefold() for target in targets.values()}) == len(sources)
    assert all(target.suffix == ".png" for target in targets.values())


def test_hidden_files_are_passed_over(tmp_path):
    for name in ("b/2.jpg", "a.jpg", ".DS_Store", ".git/x.png", "b/.hidden.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    (tmp_path / "link").symlink_to(tmp_path / "b")
    found = [PurePath(path) for path in ("a.jpg", "b/2.jpg", "link")]
    assert list(find_files(tmp_path)) == found
    assert list(find_files(tmp_path / "a.jpg")) == [PurePath("a.jpg")]


@pytest.mark.parametrize(
    ("path", "folder", "inside"),
    [("d/v", "d", True), ("d", "d", True), ("e", "d", False), ("link/v", "d", True)],
)
def test_inside_looks_through_links(tmp_path, path, folder, inside):
    (tmp_path / "d").mkdir()
    Path(tmp_path / "link").symlink_to(tmp_path / "d")
    assert is_inside(tmp_path / path, tmp_path / folder) == inside


def test_folders_may_lie_deeper_than_calls_can_go(tmp_path):
    # Deeper than this limit, but not too deep for who removes it.
    folder = tmp_path.joinpath(*["a"] * 150)
    folder.mkdir(parents=True)
    for name in ("x", "z"):
        (folder / name).touch()
    (tmp_path / "b").touch()
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 100)
    try:
        found = list(find_files(tmp_path))
    finally:
        sys.setrecursionlimit(limit)
    below = folder.relative_to(tmp_path)
    assert found == [below / "x", below / "z", PurePath("b")]

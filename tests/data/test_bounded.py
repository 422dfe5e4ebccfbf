"""Small files are read as far as a limit, and believed as far as they are checked."""

import dataclasses
import os

import pytest

from vmixjax.data.bounded import parse_json, read_bounded, read_json
from vmixjax.errors import RunError


@dataclasses.dataclass
class Pair:
    name: str
    count: int = 0


def test_a_file_is_read_up_to_its_limit(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(8))
    assert read_bounded(path, 8) == bytes(8)
    with pytest.raises(RunError, match="holds 8 bytes"):
        read_bounded(path, 7)
    with pytest.raises(FileNotFoundError):
        read_bounded(tmp_path / "none", 8)


def test_what_was_never_written_is_not_read(tmp_path):
    path = tmp_path / "file"
    path.write_text("{}" + " " * 2**20)
    with path.open("r+b") as file:
        file.truncate(2**40)
    with pytest.raises(RunError, match="is no text; use a copy"):
        read_bounded(path, 2**41)
    path.write_text("{}" * 2**20)
    assert read_bounded(path, 2**22) == b"{}" * 2**20


def test_links_are_followed_where_they_may_be_and_lead_somewhere(tmp_path):
    (tmp_path / "file").write_text("words")
    for name, to in (("link", "file"), ("loop", "other"), ("other", "loop")):
        (tmp_path / name).symlink_to(to)
    assert read_bounded(tmp_path / "link", 8, follow=True) == b"words"
    with pytest.raises(RunError, match="is a link"):
        read_bounded(tmp_path / "loop", 8, follow=True)


def test_what_is_no_file_is_not_read(tmp_path):
    (tmp_path / "link").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "fifo")
    for name, words in (
        ("link", "is a link"),
        ("fifo", "no ordinary"),
        (".", "no ord"),
    ):
        with pytest.raises(RunError, match=words):
            read_bounded(tmp_path / name, 8)


def test_json_has_the_type_that_is_asked_for(tmp_path):
    assert parse_json('{"name": "a", "count": 2}', Pair) == Pair("a", 2)
    # As Python writes names that are no text.
    assert parse_json('{"name": "\\udce9"}', Pair).name == "\udce9"
    (tmp_path / "file").write_text('{"name": "b"}')
    assert read_json(tmp_path / "file", Pair, 99) == Pair("b")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"name": 1}',
        '{"name": "a", "count": "2"}',
        '{"name": "a", "count": 2.5}',
        '{"name": "a", "count": NaN}',
        '{"count": 2}',
        "[" * 10**5,
        "9" * 10**5,
        b"\xff",
    ],
)
def test_anything_else_is_one_kind_of_error(text):
    with pytest.raises(ValueError):  # noqa: PT011 (callers say what the file is)
        parse_json(text, Pair)

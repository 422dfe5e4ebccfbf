"""Which format a source or a release has, and what is said where it has none."""

import sys

import numpy as np
import pytest

from vmixjax.cli import main
from vmixjax.data import FORMATS, format_of, format_of_release, open_source, write_png
from vmixjax.errors import RunError


def test_formats_are_known_by_name_before_they_are_imported():
    assert list(FORMATS)[:3] == ["folder", "tfds", "webdataset"]
    assert all(FORMATS[name].name == name for name in FORMATS)
    with pytest.raises(RunError, match=r"--format 'tdfs' is none.*mean tfds\?"):
        FORMATS.find("--format", "tdfs")


def test_sources_are_recognised(tmp_path):
    (tmp_path / "tars").mkdir()
    for name in ("tars/a.tar", "tars/b.tar", "picture.png"):
        (tmp_path / name).touch()
    (tmp_path / "list.txt").write_text("tars/a.tar\n")
    for name in ("tars", "tars/a.tar", "list.txt"):
        assert format_of(str(tmp_path / name)).name == "webdataset"
    for name in (tmp_path, tmp_path / "picture.png", f"folder:{tmp_path / 'tars'}"):
        assert format_of(str(name)).name == "folder"
    assert format_of("tfds:mnist").name == "tfds"
    with pytest.raises(RunError, match=r"SRC nothing does not exist; name an image"):
        format_of("nothing")
    with pytest.raises(RunError, match=r"SRC nothing does not exist; name an image"):
        open_source("webdataset:nothing")


def test_what_tfds_calls_its_notes_others_do_too(tmp_path):
    write_png(tmp_path / "a.png", np.zeros((8, 8, 1), np.uint8))
    (tmp_path / "dataset_info.json").symlink_to("nowhere")
    assert format_of(str(tmp_path)).name == "folder"
    assert format_of_release(tmp_path).name == "tfds"


def test_a_list_of_what_is_not_there_is_one_line(tmp_path, capsys):
    (tmp_path / "list.txt").write_text("gone.tar\n")
    assert main(["mix", str(tmp_path / "list.txt"), str(tmp_path / "mixed")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "lists" in line
    assert "gone.tar, which is no tar file there" in line


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    monkeypatch.delitem(sys.modules, "vmixjax.data.formats.tfds.reader", False)
    with pytest.raises(RunError) as caught:
        open_source("tfds:mnist")
    assert str(caught.value) == (
        "TFDS is not installed, and this needs it: pip install 'vmixjax[tfds]', then "
        "try again"
    )

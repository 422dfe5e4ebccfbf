"""Names of files are bytes of any kind: they go through, or are refused in a line."""

import io
import os
import tarfile

import numpy as np
import oracle
import pytest

from train.__main__ import main as train
from vmixjax.cli import main
from vmixjax.data import encode_png, read_image, write_png

LATIN = os.fsdecode(b"caf\xe9")
SMALL = ["--tile-size", "8"]
IMAGE = oracle.smooth_image(16, 16)


@pytest.fixture
def latin(tmp_path):
    """A folder of pictures whose class and names are no UTF-8."""
    (tmp_path / "src" / LATIN).mkdir(parents=True)
    for name in ("a.png", f"{LATIN}.png"):
        write_png(tmp_path / "src" / LATIN / name, IMAGE)
    return tmp_path / "src"


def refused(capsys, command, *arguments):
    """The one line that a command says on standard error, and nothing else."""
    capsys.readouterr()
    assert command(list(map(str, arguments))) == 2
    said = capsys.readouterr()
    assert not said.out
    (line,) = said.err.splitlines()
    return line


def write_tar(path, **members):
    with tarfile.open(path, "w") as tar:
        for suffix, content in members.items():
            member = tarfile.TarInfo(f"0.{suffix}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("format", ["folder", "webdataset"])
@pytest.mark.parametrize("names", [[], ["--keep-names"]])
def test_names_that_are_no_text_come_back(latin, tmp_path, format, names):
    mixed, vault, back = (tmp_path / name for name in ("mixed", "vault", "back"))
    options = [*SMALL, "--format", format, "--vault", str(vault), *names]
    assert main(["mix", str(latin), str(mixed), *options]) == 0
    assert main(["verify", str(mixed), "--vault", str(vault)]) == 0
    one = ["unmix", str(mixed), str(back), "--vault", str(vault)]
    assert main([*one, "--id", f"{LATIN}/{LATIN}.png"]) == 0
    assert main([*one, "--overwrite"]) == 0
    if format == "folder":
        for name in ("a.png", f"{LATIN}.png"):
            np.testing.assert_array_equal(read_image(back / LATIN / name), IMAGE)


def test_tfds_takes_names_that_are_text_and_says_so(latin, tmp_path, capsys):
    mixed = tmp_path / "mixed"
    tfds = ["--format", "tfds", *SMALL]
    line = refused(capsys, main, "mix", latin, mixed, *tfds)
    assert r"cannot hold the class caf\udce9" in line
    assert not mixed.exists()
    strange = mixed.with_name(f"mixed-{LATIN}")
    assert "DST" in refused(capsys, main, "mix", latin / "..", strange, *tfds)
    member = {"png": encode_png(IMAGE), LATIN: b"x"}
    tar = write_tar(tmp_path / "a.tar", **member)
    line = refused(capsys, main, "mix", tar, mixed, "--keep", LATIN, *tfds)
    assert r"leave it behind with --drop caf\udce9" in line
    # What the lines say to do.
    assert main(["mix", str(tar), str(mixed), "--drop", LATIN, *tfds]) == 0
    (latin / LATIN).rename(latin / "café")
    assert main(["mix", str(latin), str(tmp_path / "other"), *tfds]) == 0
    mixed.rename(strange)
    line = refused(capsys, main, "mix", f"tfds:{strange}", tmp_path / "again")
    assert line.endswith("which TFDS cannot read: rename it")


def test_runs_need_a_workdir_whose_name_is_text(tmp_path, capsys):
    workdir = ["--workdir", tmp_path / LATIN]
    options = ["--steps", 1, "--batch-size", 1]
    line = refused(capsys, train, "fit", *workdir, *options)
    assert "--workdir" in line
    assert "name another" in line
    assert not (tmp_path / LATIN).exists()


def test_links_that_lead_nowhere_are_named(tmp_path, capsys):
    (tmp_path / "src").mkdir()
    write_png(tmp_path / "src" / "a.png", IMAGE)
    for name in ("loop", "src/loop.png", "loop.tar"):
        (tmp_path / name).symlink_to((tmp_path / name).name)
    source, loop = tmp_path / "src", tmp_path / "loop"
    assert main(["mix", str(source), str(tmp_path / "mixed"), *SMALL]) == 1
    assert "loop.png is a link that leads nowhere" in capsys.readouterr().err
    for name in (loop, tmp_path / "loop.tar", f"webdataset:{tmp_path / 'loop.tar'}"):
        line = refused(capsys, main, "mix", name, tmp_path / "other")
        assert "is a link that leads nowhere; name what it should lead to" in line
    for command, *arguments in (
        (main, "mix", source / "a.png", loop, *SMALL),
        (main, "mix", source / "a.png", tmp_path / "b", "--secret-file", loop, *SMALL),
        (main, "verify", loop),
        (train, "evaluate", "--workdir", loop),
        (train, "fit", "--data.source", f"folder:{loop}", "--workdir", tmp_path / "w"),
    ):
        assert str(loop) in refused(capsys, command, *arguments)


def test_a_name_that_is_empty_is_not_the_folder_one_is_in(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    write_png(tmp_path / "a.png", IMAGE)
    for name in ("", "folder:", "webdataset:"):
        line = refused(capsys, main, "mix", name, tmp_path / "mixed")
        assert line.startswith("vmixjax: SRC is empty; name an image file or a folder")
    assert main(["mix", ".", str(tmp_path.with_name("mixed")), *SMALL]) == 0


@pytest.mark.parametrize("number", [b"18446744073709551615", b"-9" + b"0" * 19, b"x"])
def test_a_class_that_is_no_number_of_64_bits_is_named(tmp_path, capsys, number):
    tar = write_tar(tmp_path / "a.tar", png=encode_png(IMAGE), cls=number)
    mixed = tmp_path / "mixed"
    line = refused(capsys, main, "mix", tar, mixed, "--format", "tfds", *SMALL)
    assert "0 has a .cls that is no number of a class, which has 64 bits" in line
    drop = ["--drop", "cls", "--format", "tfds", *SMALL]
    assert main(["mix", str(tar), str(mixed), *drop]) == 0

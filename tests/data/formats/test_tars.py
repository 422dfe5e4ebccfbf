"""Tar files as people have them: what they are is said, with a mend that works."""

import gzip
import io
import re
import subprocess
import tarfile

import numpy as np
import oracle
import pytest

from vmixjax.cli import main
from vmixjax.data import format_of, open_source
from vmixjax.data.codecs.png import encode_png, write_png
from vmixjax.data.formats.webdataset import inflated
from vmixjax.data.formats.webdataset.tar import loose
from vmixjax.errors import RunError


def picture(number):
    """One shape for all tests: every other one takes seconds to compile."""
    return np.roll(oracle.smooth_image(16, 16), number, (0, 1)) ^ np.uint8(number)


def png(number):
    return encode_png(picture(number))


def write_tar(path, *members):
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def images(source):
    """What a source holds: {name of a sample: its image}."""
    examples = [source.read("train", index) for index in range(source.splits["train"])]
    return {example.name: example.image for example in examples}


def opens(path, **options):
    return open_source(str(path), **options)


def refused(path, **options):
    with pytest.raises(RunError) as caught:
        opens(path, **options)
    line = str(caught.value)
    assert "\n" not in line
    return line


@pytest.fixture
def mix(tmp_path, capsys):
    def run(src, *more):
        capsys.readouterr()
        options = ["--tile-size", "8", *map(str, more)]
        status = main(["mix", str(src), str(tmp_path / "mixed"), *options])
        return status, capsys.readouterr().err

    return run


NOTE = b"\0\5\x16\7" + bytes(99)


def test_notes_of_file_managers_are_no_samples(tmp_path):
    tar = write_tar(
        tmp_path / "a.tar",
        ("._0.png", NOTE),
        ("0.png", png(0)),
        ("__MACOSX/._0.png", NOTE),
        ("deep/._1.cls", NOTE),
        ("deep/1.png", png(1)),
        ("./2.png", png(2)),
        (".DS_Store", NOTE),
        (".hidden/3.png", png(3)),
    )
    found = images(opens(tar))
    assert sorted(found) == ["0", "2", "deep/1"]
    for number, name in enumerate(("0", "deep/1", "2")):
        assert (found[name] == picture(number)).all()
    # In a release they are what should not be there.
    assert list(loose(tar))


def test_an_unsorted_tar_is_mended_by_what_is_said(tmp_path, mix):
    torn = [("a.png", png(0)), ("b.png", png(1)), ("a.cls", b"1"), ("b.cls", b"0")]
    folder = tmp_path / "with space"
    folder.mkdir()
    tar = write_tar(folder / "torn.tar", *torn)
    status, said = mix(tar)
    assert status == 2
    assert "torn.tar is not sorted" in said
    assert len(said.splitlines()) == 1
    command = re.search("`(.*)`", said)[1]
    subprocess.run(command, shell=True, check=True, cwd=tmp_path)
    source = opens(tmp_path / "sorted.tar")
    assert sorted(images(source)) == ["a", "b"]
    assert [source.values("train", i)["cls"] for i in range(2)] == [1, 0]


def test_two_files_of_one_name_are_not_called_unsorted(tmp_path):
    one = ("a.png", png(0))
    tar = write_tar(tmp_path / "a.tar", one, ("b.png", png(1)), ("a.png", png(2)))
    assert "a.tar has two members a.png" in refused(tar)


def test_one_key_in_two_tars_is_named(tmp_path):
    for name in ("x.tar", "y.tar"):
        write_tar(tmp_path / name, ("a.png", png(0)))
    said = refused(tmp_path)
    assert "another sample with the key 'a'" in said
    assert "y.tar" in said


def test_one_of_several_images_is_chosen(tmp_path):
    pair = [(f"{n}.{side}.png", png(n)) for n in range(2) for side in ("left", "right")]
    tar = write_tar(tmp_path / "a.tar", *pair)
    said = refused(tar)
    assert "several kinds of images, left.png, right.png" in said
    chosen, dropped = re.search(r"--image (\S+) --drop (\S+),", said).groups()
    source = opens(tar, image=chosen, drop=[dropped])
    found = images(source)
    assert source.fields == {}
    assert all((found[str(n)] == picture(n)).all() for n in range(2))
    # The other shows what the images show, and cannot be kept as it is.
    for more in ({}, {"keep": ["right.png"]}):
        said = refused(tar, image="left.png", **more)
        assert "--drop right.png" in said
        assert "--keep" not in said
    assert "--image up.png: the samples have left" in refused(tar, image="up.png")


def test_one_image_of_another_kind_is_the_image(tmp_path):
    tar = write_tar(tmp_path / "a.tar", ("a.img.png", png(0)), ("a.cls", b"1"))
    source = opens(tar)
    assert (images(source)["a"] == picture(0)).all()
    assert source.values("train", 0) == {"cls": 1}


def test_several_images_in_one_sample_are_a_matter_of_choice(tmp_path, mix):
    tar = write_tar(tmp_path / "a.tar", ("a.png", png(0)), ("a.bmp", png(1)))
    status, said = mix(tar)
    assert status == 2
    assert "a has several images, bmp, png" in said
    options = re.search("choose one, as by (.*)", said)[1].split()
    assert mix(tar, *options)[0] == 0


def test_dots_in_names_are_explained(tmp_path):
    tar = write_tar(tmp_path / "a.tar", ("22.05.png", png(0)), ("22.06.png", png(1)))
    said = refused(tar)
    assert "what follows the first dot of a name is the kind of a file" in said
    assert "rename the files without such dots" in said


def test_tars_beside_a_readme_are_tars(tmp_path):
    write_tar(tmp_path / "0.tar", ("a.png", png(0)))
    write_tar(tmp_path / "1.TAR", ("b.png", png(1)))
    for name in ("README.md", "LICENSE", "index.json", ".hidden"):
        (tmp_path / name).write_text("x")
    assert format_of(str(tmp_path)).name == "webdataset"
    assert sorted(images(opens(tmp_path))) == ["a", "b"]
    assert sorted(images(opens(tmp_path / "1.TAR"))) == ["b"]


def test_tars_beside_images_are_listed(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    write_tar(folder / "0.tar", ("a.png", png(0)))
    write_png(folder / "x.png", picture(1))
    said = refused(folder)
    assert "holds tar files, and others, x.png" in said
    assert "in a .txt file, one to a line" in said
    (tmp_path / "list.txt").write_text("mine/0.tar\n")
    assert sorted(images(opens(tmp_path / "list.txt"))) == ["a"]


def test_folders_of_tars_are_named(tmp_path):
    for split in ("train", "val"):
        (tmp_path / split).mkdir()
        write_tar(tmp_path / split / "0.tar", (f"{split}.png", png(0)))
    said = refused(tmp_path)
    assert "holds folders of tar files" in said
    assert str(tmp_path / "val") in said
    assert sorted(images(opens(tmp_path / "val"))) == ["val"]


def test_folders_of_images_with_a_tar_among_them_are_images(tmp_path):
    (tmp_path / "cats").mkdir()
    write_tar(tmp_path / "cats" / "0.tar", ("a.png", png(0)))
    write_png(tmp_path / "cats" / "x.png", picture(1))
    assert format_of(str(tmp_path)).name == "folder"


def gzipped(tar, path):
    path.write_bytes(gzip.compress(tar.read_bytes()))
    return path


@pytest.mark.parametrize("name", ["a.tar.gz", "A.TGZ"])
def test_gzipped_tars_are_mixed(tmp_path, mix, name, monkeypatch):
    members = [
        one
        for n in range(4)
        for one in ((f"{n}.png", png(n)), (f"{n}.cls", str(n).encode()))
    ]
    tar = write_tar(tmp_path / "plain.tar", *members)
    path = gzipped(tar, tmp_path / name)
    found = images(opens(path))
    assert all((found[str(n)] == picture(n)).all() for n in range(4))
    vault = ["--vault", str(tmp_path / "vault")]
    assert mix(path, *vault)[0] == 0
    assert main(["verify", str(tmp_path / "mixed"), *vault, "--source", str(path)]) == 0
    # Nothing of it has a name outside.
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "temporary").mkdir()
    (tmp_path / "other").mkdir()
    source = opens(gzipped(tar, tmp_path / "other" / name))
    assert (source.read("train", 3).image == picture(3)).all()
    assert list((tmp_path / "temporary").iterdir()) == []


def test_gzipped_tars_that_are_damaged_or_endless_are_refused(tmp_path, monkeypatch):
    tar = write_tar(tmp_path / "a.tar", ("a.png", png(0)))
    path = gzipped(tar, tmp_path / "a.tar.gz")
    data = path.read_bytes()
    for bad in (data[:-20], b"no gzip", data[:40] + bytes(20) + data[60:]):
        path.write_bytes(bad)
        assert "a.tar.gz is no whole tar file" in refused(path)
    monkeypatch.setattr(inflated, "_MOST_BYTES", 1000)
    path.write_bytes(data)
    assert "inflates to more than 1000 bytes; unpack it" in refused(path)


def test_a_release_holds_no_gzipped_tars(tmp_path):
    tar = write_tar(tmp_path / "a.tar", ("a.png", png(0)))
    gzipped(write_tar(tmp_path / "b", ("b.png", png(1))), tmp_path / "b.tgz")
    (tmp_path / "b").unlink()
    assert sorted(images(opens(tmp_path))) == ["a", "b"]
    released = opens(tmp_path, keep=None, codecs=["PNG"])
    assert sorted(images(released)) == ["a"]
    tar.unlink()
    assert "is no tar file" in refused(tmp_path, keep=None, codecs=["PNG"])

"""A finished release is compared with its source: what is new, changed or gone."""

import io
import os
import shutil
import struct
import tarfile
import zlib

import numpy as np
import pytest
from PIL import Image
from small_folders import picture, tree
from tensorflow_datasets import features
from test_mix import write_tfds

from vmixjax.cli import main
from vmixjax.data.codecs.png import encode_png, write_png
from vmixjax.release.job import ReleaseJob

OPTIONS = ["--tile-size", "8", "--shard-size", "4", "--keep-order"]


def later(path):
    """Makes a file one that was written later than it is."""
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 10**9))


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, name in enumerate("abc"):
        write_png(folder / f"{name}.png", picture(number))
    return folder


@pytest.fixture
def mix(tmp_path, capsys):
    """Mixes; gives the status, and what was said."""

    def run(src, *more):
        capsys.readouterr()
        more = more or ("--vault", tmp_path / "vault")
        arguments = [src, tmp_path / "mixed", *OPTIONS, *more]
        status = main(["mix", *map(str, arguments)])
        return status, capsys.readouterr().err

    return run


def test_new_changed_and_gone_images_are_named(tmp_path, photos, mix):
    assert mix(photos)[0] == 0
    before = tree(tmp_path / "mixed")
    # The same size in bytes, or nearly so: what counts are pixels.
    write_png(photos / "a.png", picture(7))
    (photos / "b.png").unlink()
    write_png(photos / "d.png", picture(9))
    write_png(photos / "e.png", picture(10))
    status, said = mix(photos)
    assert status == 2
    assert "2 new (d.png, e.png), 1 changed (a.png), 1 gone (b.png)" in said
    assert len(said.splitlines()) == 1
    assert tree(tmp_path / "mixed") == before
    # As it says, it can be mixed into another folder, with the same vault.
    vault = ["--vault", str(tmp_path / "vault")]
    other = ["mix", str(photos), str(tmp_path / "other"), *OPTIONS, *vault]
    assert main(other) == 0
    assert main(other) == 0
    for release in ("mixed", "other"):
        assert main(["verify", str(tmp_path / release), *vault]) == 0
    # And the first is still the one that it was, of what it was made.
    assert "1 changed (a.png)" in mix(photos)[1]


def test_a_change_that_only_time_tells_is_seen(tmp_path, photos, mix):
    def write(path, number):
        # Not compressed, all have the same size.
        Image.fromarray(picture(number)).save(path, compress_level=0)

    write(photos / "a.png", 3)
    assert mix(photos)[0] == 0
    size = (photos / "a.png").stat().st_size
    write(photos / "a.png", 4)
    later(photos / "a.png")
    assert (photos / "a.png").stat().st_size == size
    status, said = mix(photos)
    assert status == 2
    assert "0 new, 1 changed (a.png), 0 gone" in said


def test_a_copy_is_not_a_change(tmp_path, photos, mix):
    assert mix(photos)[0] == 0
    before = tree(tmp_path / "mixed")
    status, said = mix(photos)
    assert status == 0
    assert "nothing was mixed" in said
    for path in photos.iterdir():
        later(path)
    # Another encoding of the same pixels is the same image.
    (photos / "a.png").write_bytes(
        encode_png(picture(0))[:-12] + chunk(b"tEXt", b"a\0b") + END
    )
    status, said = mix(photos)
    assert (status, tree(tmp_path / "mixed")) == (0, before)
    assert "nothing was mixed" in said


def chunk(name, data):
    checksum = zlib.crc32(name + data)
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", checksum)


END = chunk(b"IEND", b"")


def test_cropped_edges_count(tmp_path, photos, mix):
    options = ("--vault", tmp_path / "vault", "--fit", "crop")
    wide = np.pad(picture(0), [(0, 3), (0, 3), (0, 0)], mode="edge")
    write_png(photos / "a.png", wide)
    assert mix(photos, *options)[0] == 0
    wide[-1, -1] ^= 255
    write_png(photos / "a.png", wide)
    later(photos / "a.png")
    assert "1 changed (a.png)" in mix(photos, *options)[1]


def write_tar(path, labels):
    with tarfile.open(path, "w") as tar:
        for key, label in labels.items():
            for suffix, data in (
                ("png", encode_png(picture(ord(key)))),
                ("cls", str(label).encode()),
            ):
                member = tarfile.TarInfo(f"{key}.{suffix}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))


def test_samples_of_tars_are_told_apart(tmp_path, mix):
    tars = tmp_path / "tars"
    tars.mkdir()
    write_tar(tars / "0.tar", {"a": 0, "b": 1})
    write_tar(tars / "1.tar", {"c": 0})
    assert mix(tars)[0] == 0
    # Sample c in another file is the same, b with another label is not.
    write_tar(tars / "0.tar", {"b": 0, "c": 0, "d": 1})
    (tars / "1.tar").unlink()
    status, said = mix(tars)
    assert status == 2
    assert "1 new (d), 1 changed (b), 1 gone (1.tar)" in said


def test_records_of_tfds_are_told_apart(tmp_path, mix):
    def write(numbers):
        shutil.rmtree(tmp_path / "pets", ignore_errors=True)
        image = features.Image(shape=(16, 16, 3))
        examples = [{"image": io.BytesIO(encode_png(picture(n)))} for n in numbers]
        write_tfds(tmp_path / "pets", {"image": image}, examples)

    write([0, 1, 2])
    source = f"tfds:{tmp_path / 'pets'}"
    assert mix(source)[0] == 0
    write([0, 9, 2, 3])
    status, said = mix(source)
    assert status == 2
    assert "1 new (train/3), 1 changed (train/1), 0 gone" in said


def test_without_a_vault_it_is_said_that_something_changed(tmp_path, photos, mix):
    (tmp_path / "secret").write_bytes(bytes(range(32)))
    (tmp_path / "secret").chmod(0o600)
    secret = ("--secret-file", tmp_path / "secret")
    assert mix(photos, *secret)[0] == 0
    assert mix(photos, *secret)[0] == 0
    (photos / "b.png").unlink()
    status, said = mix(photos, *secret)
    assert status == 2
    assert "is not as it was" in said


def test_what_changed_while_it_was_mixed_is_noticed(tmp_path, photos, mix, monkeypatch):
    mixes = ReleaseJob.mix

    def meanwhile(job, *arguments):
        write_png(photos / "c.png", picture(8))
        later(photos / "c.png")
        monkeypatch.undo()
        return mixes(job, *arguments)

    monkeypatch.setattr(ReleaseJob, "mix", meanwhile)
    assert mix(photos)[0] == 0
    # It had been read before, and that is what was mixed.
    assert "1 changed (c.png)" in mix(photos)[1]
    write_png(photos / "c.png", picture(2))
    assert mix(photos)[0] == 0

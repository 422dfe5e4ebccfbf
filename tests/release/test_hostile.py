"""Files that mean harm: they run nothing, reach nothing, and take no memory or time."""

import contextlib
import io
import itertools
import json
import os
import random
import re
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import threading
import zlib
from pathlib import Path

import meddler
import numpy as np
import pytest
from meddler import (
    COUNT,
    HUGE,
    KINDS,
    OPTIONS,
    complaints,
    private,
    refused,
    resum,
    run,
    snapshot,
)
from PIL import Image
from tensorflow_datasets.proto import tf_example_pb2

from vmixjax.cli import main

_numbers = itertools.count()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A release in each format, with vaults."""
    return meddler.write_releases(tmp_path_factory.mktemp("made"))


@pytest.fixture
def copied(made, tmp_path):
    """Copies of a release and its vault, to spoil."""

    def copy(kind):
        # A name of its own: Python remembers what it has imported.
        return meddler.copy(made, kind, tmp_path, f"hostile_{next(_numbers)}")

    return copy


@pytest.fixture
def victim(tmp_path):
    """A folder that no command is to touch, with a file in it."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "keep.png").write_bytes(b"precious")
    (tmp_path / "outside" / "keep.part").write_bytes(b"precious")
    return tmp_path / "outside"


def readers(mixed, vault, tmp_path):
    """Every command that reads a TFDS release."""
    kept = ["--vault", vault]
    mixing = ["mix", f"tfds:{mixed}", tmp_path / "again", *OPTIONS]
    audit = ["audit", f"tfds:{mixed}", "--out", tmp_path / "audit"]
    return {
        "unmix": ["unmix", mixed, tmp_path / "back", *kept],
        "unmix one": ["unmix", mixed, tmp_path / "one", *kept, "--id", "train/00000"],
        "verify": ["verify", mixed],
        "verify with vault": ["verify", mixed, *kept],
        "mix": mixing,
        "audit": audit,
    }


READERS = tuple(readers("", "", Path()))


def stopped(capsys, arguments):
    """A release that cannot be read: refused, or by verify called wrong."""
    status, out, err = run(capsys, *arguments)
    if arguments[0] == "verify" and status == 1:
        assert "WRONG: " in out
        return
    assert status == 2, (arguments, out, err)
    assert len(complaints(err)) == 1, err


# Names of classes are code


def _dict(features):
    name = "tensorflow_datasets.core.features.features_dict.FeaturesDict"
    return {"pythonClassName": name, "featuresDict": {"features": features}}


FORMS = [
    "top",
    "feature",
    "snake case",
    "legacy",
    "legacy, below",
    "JSON in JSON",
    "JSON in a sequence",
    "below a sequence",
]


def plant_code(release, form):
    """A module in a release, and a feature of a class from it; what it leaves."""
    mark = release.parent / "it-ran"
    (release / "evil.py").write_text(f"open({str(mark)!r}, 'w').close()\n")
    evil = f"{release.name}.evil.X"
    path = release / "features.json"
    meddler.change_json(path, lambda whole: meddler.planted(form, whole, evil))
    resum(release)
    return mark


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("reader", READERS)
def test_no_code_comes_from_a_release(
    copied, tmp_path, monkeypatch, capsys, reader, form
):
    mixed, vault = copied("tfds")
    mark = plant_code(mixed, form)
    monkeypatch.syspath_prepend(tmp_path)
    stopped(capsys, readers(mixed, vault, tmp_path)[reader])
    assert not mark.exists()


@pytest.mark.parametrize("form", FORMS)
def test_no_code_comes_from_a_data_set_that_is_named(
    copied, tmp_path, monkeypatch, capsys, form
):
    mixed, _ = copied("tfds")
    mark = plant_code(mixed, form)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "data" / "mixed").mkdir(parents=True)
    shutil.copytree(mixed, tmp_path / "data" / "mixed" / "1.0.0")
    more = ["--data-dir", tmp_path / "data", *OPTIONS]
    refused(capsys, "mix", "tfds:mixed", tmp_path / "again", *more)
    assert not mark.exists()


# Names are no way out


def unfinished(photos, tmp_path, kind, *, kept):
    mixed = tmp_path / "deep" / "mixed"
    arguments = [photos, mixed, *OPTIONS, "--format", kind]
    if kept:
        arguments += ["--vault", tmp_path / "vault"]
    meddler.unfinished(*arguments)
    assert (mixed / "UNFINISHED").is_dir()
    return mixed, ["mix", *arguments]


def renamed(value, names, other, digest):
    """A document in which all files have another name, and its digest."""
    if isinstance(value, dict):
        return {
            other if key in names else key: (
                digest if key in names else renamed(below, names, other, digest)
            )
            for key, below in value.items()
        }
    if isinstance(value, list):
        return [renamed(below, names, other, digest) for below in value]
    return other if value in names else value


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("way", ["up", "absolute", "link"])
@pytest.mark.parametrize("kind", KINDS)
def test_notes_lead_nowhere_else(made, tmp_path, victim, capsys, kind, way, kept):
    mixed, arguments = unfinished(made / "photos", tmp_path, kind, kept=kept)
    files = [path for path in mixed.rglob("*") if path.is_file()]
    names = {path.relative_to(mixed).as_posix() for path in files}
    other = {
        "up": "../../outside/keep.png",
        "absolute": str(victim / "keep.png"),
        "link": "link/keep.png",
    }[way]
    if way == "link":
        (mixed / "link").symlink_to(victim)
    digest = meddler.sha256(victim / "keep.png")
    for path in (mixed / "UNFINISHED").rglob("*.json"):
        meddler.change_json(path, lambda note: renamed(note, names, other, digest))
    before = snapshot(victim)
    status, _, _ = run(capsys, *arguments)
    assert snapshot(victim) == before
    assert status in (0, 2)
    if status == 0:
        assert other not in (mixed / "release.json").read_text()
        assert len(meddler.load(mixed, kind)) == COUNT


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_notes_that_are_elsewhere_are_not_followed(
    made, tmp_path, victim, capsys, kind, kept
):
    mixed, arguments = unfinished(made / "photos", tmp_path, kind, kept=kept)
    for path in (mixed / "UNFINISHED").iterdir():
        path.rename(victim / path.name)
    (mixed / "UNFINISHED").rmdir()
    (mixed / "UNFINISHED").symlink_to(victim)
    before = snapshot(victim)
    status, _, _ = run(capsys, *arguments)
    assert snapshot(victim) == before
    assert status in (0, 2)


@pytest.mark.parametrize("kept", [True, False])
def test_a_class_that_became_a_link_is_not_followed(
    made, tmp_path, victim, capsys, kept
):
    mixed, arguments = unfinished(made / "photos", tmp_path, "folder", kept=kept)
    for path in (mixed / "cats").iterdir():
        path.rename(victim / path.name)
    (mixed / "cats").rmdir()
    (mixed / "cats").symlink_to(victim)
    # One is missing, and so its shard is to be written again.
    next(victim.glob("0*.png")).unlink()
    before = snapshot(victim)
    status, _, _ = run(capsys, *arguments)
    assert snapshot(victim) == before
    assert status in (0, 2)


@pytest.mark.parametrize("way", ["up", "absolute", "link"])
def test_a_manifest_leads_nowhere_else(made, copied, tmp_path, capsys, way):
    mixed, vault = copied("folder")
    (tmp_path / "outside").mkdir()
    # Who reads that is not done in time.
    with (tmp_path / "outside" / "huge").open("wb") as file:
        file.truncate(HUGE)
    other = {
        "up": "../outside/huge",
        "absolute": str(tmp_path / "outside" / "huge"),
        "link": "link/huge",
    }[way]
    if way == "link":
        (mixed / "link").symlink_to(tmp_path / "outside")

    def change(manifest):
        next(meddler.digests(manifest))[other] = "0" * 64

    meddler.change_json(mixed / "release.json", change)
    status, out, err = run(capsys, "verify", mixed)
    assert status in (1, 2)
    assert Path(other).name in out + err
    kept = ["--vault", vault]
    refused(capsys, "mix", made / "photos", mixed, *OPTIONS, *kept)


def test_a_link_in_place_of_a_file_is_no_part_of_a_release(copied, tmp_path, capsys):
    mixed, _ = copied("folder")
    path = next((mixed / "cats").iterdir())
    path.rename(tmp_path / "elsewhere.png")
    path.symlink_to(tmp_path / "elsewhere.png")
    status, out, _ = run(capsys, "verify", mixed)
    assert status == 1
    assert re.search(f"WRONG: .*{path.name}", out)


HOSTILE_KEYS = ("../../x", "/x", "a/../../../x", "UNFINISHED/x", "../x")


def write_tar(path, names):
    data = b""
    for number, name in enumerate(names):
        image = io.BytesIO()
        Image.fromarray(meddler.picture(number)).save(image, format="PNG")
        data += meddler.member(name, image.getvalue())
    path.write_bytes(data + bytes(1024))
    return path


@pytest.mark.parametrize("names", [[], ["--keep-names"]])
@pytest.mark.parametrize("kind", KINDS)
def test_keys_of_tars_lead_nowhere_else(tmp_path, capsys, kind, names):
    keys = [f"{key}.png" for key in ("good", *HOSTILE_KEYS)]
    tar = write_tar(tmp_path / "pets.tar", keys)
    deep = tmp_path / "a" / "b"
    kept = ["--vault", tmp_path / "vault"]
    more = [*OPTIONS, *names, *kept, "--format", kind]
    assert run(capsys, "mix", tar, deep / "mixed", *more)[0] in (0, 1)
    # The vault has these names, and gives them back.
    assert run(capsys, "unmix", deep / "mixed", deep / "back", *kept)[0] in (0, 1)
    there = {path.name for path in tmp_path.iterdir()}
    assert there == {"a", "pets.tar", "vault"}
    assert {path.name for path in deep.iterdir()} == {"mixed", "back"}
    assert [path.name for path in deep.parent.iterdir()] == ["b"]
    for path in (deep / "back").rglob("*.tar"):
        with tarfile.open(path) as file:
            assert not [name for name in file.getnames() if ".." in name]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", ["name", "split", "feature", "class", "template"])
@pytest.mark.parametrize("way", ["../../../planted", "{}/planted"])
def test_a_data_set_names_nothing_elsewhere(copied, tmp_path, capsys, part, way, kind):
    mixed, vault = copied("tfds")
    outside = tmp_path / "outside"
    outside.mkdir()
    way = way.format(outside)
    if part == "feature":
        samples = meddler.load(mixed, "tfds")
        for one in samples:
            one.more[way] = 1
        meddler.store(mixed, "tfds", samples)

    def name(info):
        if part == "name":
            info["name"] = way
        elif part == "split":
            info["splits"][0]["name"] = way
        else:
            template = f"{way}-{{SPLIT}}-{{SHARD_X_OF_Y}}"
            info["splits"][0]["filepathTemplate"] = template

    def more(features):
        # Names of its classes go to a file of its name.
        features = features["featuresDict"]["features"]
        features[way] = features["label"]

    if part in ("name", "split", "template"):
        meddler.change_json(mixed / "dataset_info.json", name)
    elif part == "feature":
        meddler.change_json(mixed / "features.json", more)
        (mixed / f"{way}.labels.txt").write_text("cats\ndogs\n")
    else:
        (mixed / "label.labels.txt").write_text(f"{way}\n../{way}\n")
    if part == "template":
        for number, path in enumerate(sorted(mixed.glob("*array_record*"))):
            (mixed / way).parent.mkdir(exist_ok=True)
            path.rename(f"{mixed / way}-train-{number:05}-of-00002")
    resum_what_is_there(mixed)
    before = snapshot(outside), set(tmp_path.iterdir())
    deep = tmp_path / "a" / "b" / "c"
    for arguments in (
        ["mix", f"tfds:{mixed}", deep / "again", *OPTIONS, "--format", kind],
        ["unmix", mixed, deep / "back", "--vault", vault],
        ["verify", mixed],
    ):
        status, _, err = run(capsys, *arguments)
        assert snapshot(outside) == before[0]
        assert set(tmp_path.iterdir()) <= {tmp_path / "a", *before[1]}
        above = [*tmp_path.glob("a/*"), *tmp_path.glob("a/b/*"), *deep.glob("*")]
        assert {path.name for path in above} <= {"b", "c", "again", "back"}
        # Names of classes are words, where they do not become folders.
        assert status in (1, 2) or part == "class"
        # `mix` tells of a source that is a release before it looks inside.
        told = [line for line in complaints(err) if " is a release: " not in line]
        assert status != 2 or len(told) == 1


def resum_what_is_there(release):
    """As `resum`; files that are gone are named no more."""

    def change(manifest):
        for found in meddler.digests(manifest):
            for name in [name for name in found if not (release / name).exists()]:
                del found[name]

    meddler.change_json(release / "release.json", change)
    resum(release)


# Links in DST


def restored(folder):
    return {
        path.relative_to(folder).as_posix(): meddler.pixels(path)
        for path in folder.rglob("*.png")
    }


def all_back(folder):
    found = restored(folder)
    assert sorted(found) == meddler.original_names()
    for name, image in found.items():
        assert np.array_equal(image, meddler.original(name))


@pytest.mark.parametrize("planted", ["class", "file", "notes"])
def test_links_in_dst_are_not_followed(made, tmp_path, victim, capsys, planted):
    back = tmp_path / "back"
    (back / "cats").mkdir(parents=True)
    if planted == "class":
        (back / "cats").rmdir()
        (back / "cats").symlink_to(victim)
    elif planted == "file":
        (back / "cats" / "anna-1.png").symlink_to(victim / "keep.png")
    else:
        (back / "UNFINISHED").symlink_to(victim)
    before = snapshot(victim)
    kept = ["--vault", made / "vault-folder", "--overwrite"]
    status, _, _ = run(capsys, "unmix", made / "folder", back, *kept)
    assert snapshot(victim) == before
    assert status in (0, 2)
    if status == 0:
        all_back(back)
        assert not [path for path in back.rglob("*") if path.is_symlink()]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", ["mix", "unmix", "unmix --overwrite"])
def test_links_that_appear_on_the_way_are_not_followed(
    made, tmp_path, victim, monkeypatch, capsys, command, kind
):
    dst = tmp_path / "dst"
    flush, planted = os.fsync, []

    def plant(descriptor):
        # All that is written is forced to disk before it gets its name.
        if not planted:
            planted.append(dst)
            for name in ("cats", "dogs"):
                with contextlib.suppress(FileNotFoundError):
                    (dst / name).rename(dst / f"{name}-away")
                (dst / name).symlink_to(victim)
            for name in ("train-000000.tar", "features.json", "label.labels.txt"):
                (dst / name).symlink_to(victim / "keep.png")
            about = dst / "UNFINISHED" / "about"
            if about.parent.is_dir() and not about.exists():
                about.symlink_to(victim)
        flush(descriptor)

    if command == "mix":
        arguments = ["mix", made / "photos", dst, *OPTIONS, "--format", kind]
    else:
        kept = ["--vault", made / f"vault-{kind}", *command.split()[1:]]
        arguments = ["unmix", made / kind, dst, *kept]
    before = snapshot(victim)
    monkeypatch.setattr(os, "fsync", plant)
    status, _, _ = run(capsys, *arguments)
    assert planted
    assert snapshot(victim) == before
    assert status in (0, 2)


def open_to_others(folder):
    """Files below a folder that others can read or write."""
    found = set()
    for path in folder.rglob("*"):
        # Files come and go meanwhile.
        with contextlib.suppress(FileNotFoundError):
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode) and mode & 0o077:
                found.add(path.name)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_originals_are_their_owners_until_they_have_their_names(
    made, tmp_path, monkeypatch, capsys, kind
):
    back = tmp_path / "back"
    seen, looks = set(), []

    def looking(function):
        def look(*given, **named):
            looks.append(len(list(back.rglob("*"))))
            seen.update(open_to_others(back / "UNFINISHED"))
            return function(*given, **named)

        return look

    # Between images, and when a file is complete.
    monkeypatch.setattr(zlib, "compressobj", looking(zlib.compressobj))
    monkeypatch.setattr(os, "fsync", looking(os.fsync))
    kept = ["--vault", made / f"vault-{kind}"]
    before = os.umask(0)
    try:
        assert run(capsys, "unmix", made / kind, back, *kept)[0] == 0
    finally:
        os.umask(before)
    assert max(looks) > 1
    # What TFDS knows of a data set shows no picture.
    assert not {name for name in seen if not name.endswith((".json", ".txt"))}


KILLED = """
import os, signal, sys
flush = os.fsync
def kill(descriptor):
    os.kill(os.getpid(), signal.SIGKILL)
os.fsync = kill
from vmixjax.cli import main
main(sys.argv[1:])
"""


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_killed_unmix_leaves_is_private_and_is_swept(
    made, tmp_path, capsys, kind
):
    back = tmp_path / "back"
    kept = ["--vault", made / f"vault-{kind}"]
    arguments = [str(one) for one in ("unmix", made / kind, back, *kept)]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, *arguments],
        check=False,
        capture_output=True,
        timeout=60,
        umask=0,
    )
    assert killed.returncode == -signal.SIGKILL
    left = [path for path in back.rglob("*") if path.is_file()]
    assert any(path.stat().st_size for path in left)
    assert not open_to_others(back)
    assert run(capsys, *arguments, "--overwrite")[0] == 0
    assert not (back / "UNFINISHED").exists()
    assert not list(back.rglob("*.part"))
    if kind == "folder":
        all_back(back)


# Sizes


def sparse_old():
    """A GNU sparse member: 512 bytes at the end of a hole."""
    info = tarfile.TarInfo("anna/0.png")
    info.type, info.size = b"S", 512
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT)[:512])
    base = (HUGE - 512).to_bytes(12, "big")
    header[386:410] = b"\x80" + base[1:] + b"%011o\0" % 512
    header[483:495] = b"\x80" + HUGE.to_bytes(12, "big")[1:]
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + bytes(512)


def sparse_pax(version):
    content, values = bytes(512), {"GNU.sparse.realsize": str(HUGE)}
    where = f"{HUGE - 512},512"
    if version == "0.1":
        values = {"GNU.sparse.size": str(HUGE), "GNU.sparse.map": where}
    else:
        values |= {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}
        lines = f"1\n{HUGE - 512}\n512\n".encode()
        content = lines.ljust(512, b"\0") + content
    values["GNU.sparse.name"] = "anna/0.png"
    return meddler.member("anna/0.png", content, pax_headers=values)


def cut(name="anna/0.png", **values):
    """A member that says it is much longer than the file."""
    info = tarfile.TarInfo(name)
    info.size = HUGE
    for key, value in values.items():
        setattr(info, key, value)
    return info.tobuf(tarfile.GNU_FORMAT)[:512] + bytes(512)


HOSTILE_TARS = {
    "GNU sparse": sparse_old,
    "pax 0.1 sparse": lambda: sparse_pax("0.1"),
    "pax 1.0 sparse": lambda: sparse_pax("1.0"),
    "longer than the file": cut,
    "a long name": lambda: cut("././@LongLink", type=b"L"),
    "a pax header": lambda: cut("pax", type=b"x"),
    "a global pax header": lambda: cut("pax", type=b"g"),
}


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("kind", HOSTILE_TARS)
def test_tars_that_claim_much_take_little(made, tmp_path, capsys, kind, padded):
    mixed, vault = tmp_path / "mixed", made / "vault-webdataset"
    shutil.copytree(made / "webdataset", mixed)
    tar = tmp_path / "pets.tar"
    tar.write_bytes(HOSTILE_TARS[kind]() + bytes(1024))
    if padded:
        # As long as it says, and still no block of the disk is taken.
        with tar.open("r+b") as file:
            file.truncate(HUGE + 2**20)
        (mixed / "train-000000.tar").unlink()
        os.link(tar, mixed / "train-000000.tar")
    else:
        shutil.copy(tar, mixed / "train-000000.tar")
        resum(mixed)
    status, _, _ = run(capsys, "mix", tar, tmp_path / "again", *OPTIONS)
    assert status in (1, 2)
    back = tmp_path / "back"
    status, _, _ = run(capsys, "unmix", mixed, back, "--vault", vault)
    assert status in (1, 2)
    if not padded:
        assert run(capsys, "verify", mixed)[0] in (1, 2)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("length", ["20000000000", "9" * 30, "-4", "4.5", "x"])
def test_shards_that_claim_much_take_little(copied, tmp_path, capsys, reader, length):
    mixed, vault = copied("tfds")

    def change(info):
        info["splits"][0]["shardLengths"] = [length, length]

    meddler.change_json(mixed / "dataset_info.json", change)
    resum(mixed)
    stopped(capsys, readers(mixed, vault, tmp_path)[reader])


def test_an_image_file_of_many_gigabytes_is_left_out(made, tmp_path, capsys):
    photos = tmp_path / "photos"
    shutil.copytree(made / "photos", photos)
    for name, start in (
        ("huge.png", meddler.SIGNATURE),
        ("huge.jpg", b"\xff\xd8\xff\xe0"),
        ("huge.tif", b"II*\0"),
    ):
        with (photos / "cats" / name).open("wb") as file:
            file.write(start)
            file.truncate(HUGE)
    status, _, err = run(capsys, "mix", photos, tmp_path / "mixed", *OPTIONS)
    assert status == 1
    assert err.count("skipped: ") == 3
    status, _, err = run(capsys, "vfe", photos, "--tile-size", "8")
    assert status == 1
    assert err.count("skipped: ") == 3


PEAK = """
import re, sys
from vmixjax.cli import main
status = main(sys.argv[1:])
print(status, re.search("VmHWM:\\s*([0-9]+)", open("/proc/self/status").read())[1])
"""


def peak(*arguments):
    """Most bytes of memory that a command takes."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    status, kilobytes = done.stdout.split()[-2:]
    assert status in ("0", "1")
    return 1024 * int(kilobytes)


@pytest.mark.parametrize(
    "command",
    [
        *(pytest.param(name, marks=pytest.mark.long) for name in ("mix", "unmix")),
        "verify",
    ],
)
def test_images_that_inflate_take_the_memory_of_one(made, tmp_path, command):
    # A thousandth of that on disk. No vault knows them, so that unmix only reads.
    width, height = (9000, 9000) if command == "unmix" else (6000, 4000)
    channels = 3 if command == "mix" else 1
    data, taken = meddler.flat_png(width, height, channels), []
    for count in (1, 10):
        folder, out = tmp_path / f"photos-{count}", tmp_path / f"out-{count}"
        folder.mkdir()
        names = [f"{number}.png" for number in range(count)]
        for name in names:
            (folder / name).write_bytes(data)
        arguments = {
            "mix": ["mix", folder, out, "--tile-size", "8", "--ladder", "8:1"],
            "unmix": ["unmix", folder, out, "--vault", made / "vault-folder"],
            "verify": ["verify", folder],
        }[command]
        if command == "verify":
            manifest = json.loads((made / "folder" / "release.json").read_text())
            manifest |= {"images": count, "splits": {"train": count}}
            files = {name: meddler.sha256(folder / name) for name in names}
            shard = {"split": "train", "images": count, "files": files}
            manifest["shards"] = [shard]
            (folder / "release.json").write_text(json.dumps(manifest))
        else:
            # Each thread that decodes may read ahead, so many bytes.
            arguments += ["--workers", "2"]
        taken.append(peak(*arguments))
    one, many = taken
    # `verify` decodes two at once, and mixing leaves it nothing to wait for.
    room = 300e6 if command == "verify" else 200e6
    assert many < 1.3 * one + room, (one / 1e6, many / 1e6)


def test_work_that_a_vault_asks_for_has_bounds(made, tmp_path):
    words = private(tmp_path / "words", b"open sesame\n")
    locked = tmp_path / "locked"
    more = ["--vault", locked, "--vault-passphrase-file", words]
    arguments = ["mix", made / "photos", tmp_path / "mixed", *OPTIONS, *more]
    assert main([*map(str, arguments)]) == 0
    vaults = []
    for table, (_, rows) in meddler.tables(locked).items():
        # Of what `mix` compares a source with, nothing is read here.
        if len(rows) == COUNT or table == "sources":
            continue
        for row, column in itertools.product(range(len(rows)), range(len(rows[0]))):
            value = rows[row][column]
            text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
            if not text.isdecimal():
                continue
            for much in (2**24, 2**40):
                vaults.append(tmp_path / f"vault-{len(vaults)}")
                shutil.copytree(locked, vaults[-1])
                changed = [list(one) for one in rows]
                changed[row][column] = type(value)(much)
                assert meddler.fill(vaults[-1], table, changed)
    assert vaults
    # In a process of its own: what computes in C hears no signal.
    script = (
        "import resource, sys\n"
        "from vmixjax.cli import main\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2**33, 2**33))\n"
        "mixed, words, back, *vaults = sys.argv[1:]\n"
        "for vault in vaults:\n"
        "  more = ['--vault', vault, '--vault-passphrase-file', words]\n"
        "  print(main(['unmix', mixed, back, *more]), flush=True)\n"
    )
    places = [tmp_path / "mixed", words, tmp_path / "back", *vaults]
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, places)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert done.stdout.split() == ["2"] * len(vaults)


def put_no_file(path, what):
    """What is no file that anybody can read to its end."""
    if what == "fifo":
        os.mkfifo(path, 0o600)
    elif what == "device":
        path.symlink_to("/dev/zero")
    elif what == "folder":
        path.mkdir()
    else:
        with path.open("wb") as file:
            file.truncate(HUGE)


@pytest.mark.parametrize("what", ["fifo", "device", "folder", "huge"])
def test_a_manifest_that_is_no_file_is_refused(made, copied, capsys, what):
    mixed, vault = copied("folder")
    path = mixed / "release.json"
    path.unlink()
    put_no_file(path, what)
    refused(capsys, "verify", mixed, word="release.json")
    kept = ["--vault", vault]
    refused(capsys, "verify", mixed, *kept, word="release.json")
    arguments = ["mix", made / "photos", mixed, *OPTIONS, *kept]
    refused(capsys, *arguments, word="release.json")


@pytest.mark.parametrize("what", ["fifo", "device", "folder", "huge"])
@pytest.mark.parametrize("name", ["features.json", "dataset_info.json", "labels"])
def test_what_describes_a_data_set_is_an_ordinary_file(
    copied, tmp_path, capsys, name, what
):
    mixed, vault = copied("tfds")
    path = mixed / ("label.labels.txt" if name == "labels" else name)
    path.unlink()
    put_no_file(path, what)
    arguments = readers(mixed, vault, tmp_path)
    for reader in ("unmix", "mix"):
        status, _, err = run(capsys, *arguments[reader])
        # Classes need not have names.
        assert status == 2 or (name, what) == ("labels", "folder")
        assert status == 0 or len(complaints(err)) == 1


@pytest.mark.parametrize("what", ["fifo", "device", "folder", "huge"])
@pytest.mark.parametrize("kept", [True, False])
def test_notes_are_ordinary_files(made, tmp_path, capsys, what, kept):
    mixed, arguments = unfinished(made / "photos", tmp_path, "folder", kept=kept)
    notes = sorted((mixed / "UNFINISHED").glob("*.json"))
    assert notes
    for path in notes:
        data = path.read_bytes()
        path.unlink()
        put_no_file(path, what)
        status, _, err = run(capsys, *arguments)
        if status == 0:
            assert run(capsys, "verify", mixed)[0] == 0
            break
        assert status == 2
        assert complaints(err)
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()
        path.write_bytes(data)


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/urandom", "/dev/null"])
def test_a_secret_comes_from_no_device(made, tmp_path, capsys, device):
    arguments = ["mix", made / "photos", tmp_path / "mixed", *OPTIONS]
    refused(capsys, *arguments, "--secret-file", device, word="--secret-file")
    kept = ["--vault", tmp_path / "vault", "--vault-passphrase-file", device]
    refused(capsys, *arguments, *kept, word="--vault-passphrase-file")
    kept[1] = made / "vault-folder"
    back = tmp_path / "back"
    refused(capsys, "unmix", made / "folder", back, *kept, word="passphrase")


# Descriptions that describe nothing


def feature(whole, name):
    return whole["featuresDict"]["features"][name]


def _replaced(name, **values):
    def change(whole):
        feature(whole, name).update(values)

    return change


def _no_content(whole):
    del feature(whole, "label")["classLabel"]


def _without(name):
    def change(whole):
        del whole["featuresDict"]["features"][name]

    return change


MALFORMED = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"1",
    b'"text"',
    b"{}",
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"featuresDict": 1}',
    b'{"pythonClassName": 5}',
    b'{"pythonClassName": []}',
    b'{"type": null, "content": null}',
    b'{"type": [], "content": {}}',
    b'{"content": {}}',
    b'{"type": "tensorflow_datasets.core.features.text_feature.Text"}',
    _no_content,
    _without("image"),
    _without("label"),
    _replaced("label", classLabel={"numClasses": "-5"}),
    _replaced("label", classLabel={"numClasses": "9" * 30}),
    _replaced("label", classLabel={"numClasses": "1"}),
    _replaced("label", classLabel="x"),
    _replaced("label", classLabel=None),
    _replaced("label", pythonClassName="x"),
    _replaced("label", pythonClassName=""),
    _replaced("label", pythonClassName="..x"),
    _replaced("label", image={}),
    _replaced("label", more=1),
    *(
        _replaced("image", image=image)
        for image in (
            {},
            [],
            {"dtype": "uint8", "shape": {"dimensions": ["-1"]}},
            {"dtype": "uint8", "shape": {"dimensions": ["-1", "-1", "7"]}},
            {"dtype": "uint8", "shape": {"dimensions": ["0", "0", "3"]}},
            {"dtype": "uint8", "shape": {"dimensions": ["x", "-1", "3"]}},
            {"dtype": "uint8", "shape": {"dimensions": [str(2**60)] * 2 + ["3"]}},
            {"dtype": "nothing", "shape": {"dimensions": ["-1", "-1", "3"]}},
            {"dtype": "string", "shape": {"dimensions": ["-1", "-1", "3"]}},
            {"dtype": "float32", "shape": {"dimensions": ["-1", "-1", "3"]}},
            {
                "dtype": "uint8",
                "encodingFormat": "exe",
                "shape": {"dimensions": ["-1", "-1", "3"]},
            },
        )
    ),
]


@pytest.mark.parametrize("number", range(len(MALFORMED)))
def test_malformed_features_are_one_line(copied, tmp_path, capsys, number):
    mixed, vault = copied("tfds")
    path, change = mixed / "features.json", MALFORMED[number]
    if isinstance(change, bytes):
        path.write_bytes(change)
    else:
        meddler.change_json(path, change)
    resum(mixed)
    for name, arguments in readers(mixed, vault, tmp_path).items():
        if name == "audit":
            continue
        status, _, err = run(capsys, *arguments)
        if status == 2:
            assert len(complaints(err)) == 1, name
        # What is less than before can still be read.
        assert status in (1, 2) or not isinstance(change, bytes)


def test_every_word_of_a_description_may_be_another(copied, tmp_path, capsys):
    mixed, vault = copied("tfds")
    odd = itertools.cycle([None, "x", -1, [], {}, 10**30, True, [[]], "\ud800"])
    for name in ("features.json", "dataset_info.json"):
        path = mixed / name
        whole = json.loads(path.read_text())
        for number, place in enumerate(meddler.nodes(whole)):
            path.write_text(json.dumps(meddler.put(whole, place, next(odd))))
            back = tmp_path / f"back-{name}-{number}"
            kept = ["--vault", vault]
            status, _, err = run(capsys, "unmix", mixed, back, *kept)
            if status == 2:
                assert len(complaints(err)) == 1, place
        path.write_text(json.dumps(whole))
    (mixed / "label.labels.txt").write_bytes(b"\xff\xfe\n\0\n")
    status, _, _ = run(capsys, "unmix", mixed, tmp_path / "back", *kept)
    assert status in (0, 1, 2)


def record(image=(), label=(), **more):
    example = tf_example_pb2.Example()
    features = example.features.feature
    features["image"].bytes_list.value.extend(image)
    features["label"].int64_list.value.extend(label)
    for name, value in more.items():
        features[name].float_list.value.append(value)
    return example.SerializeToString()


@pytest.mark.parametrize("reader", READERS)
def test_odd_records_are_one_line(copied, tmp_path, capsys, reader):
    mixed, vault = copied("tfds")
    path = sorted(mixed.glob("*array_record*"))[0]
    image = meddler.load(mixed, "tfds")[0].image
    odd = [
        b"\xff" * 9,
        b"",
        record(),
        record([image]),
        record([image], [99]),
        record([image], [-5]),
        record([image], [2**63 - 1]),
        record([image], [0, 1]),
        record([], [0]),
        record([image, image], [0]),
        record([b""], [0]),
        record([b"x"], [0]),
        record(label=[0], image=[image[:40]]),
    ]
    for number in range(0, len(odd), 4):
        four = (odd[number:] + odd)[:4]
        meddler.write_records(path, four)
        resum(mixed)
        here = tmp_path / str(number)
        status, out, err = run(capsys, *readers(mixed, vault, here)[reader])
        assert status in (1, 2), (out, err)


def fills(number, count):
    """Seeded changes of a value: bits, lengths, and other types."""
    chance = random.Random(number)

    def change(value):
        data = value.encode() if isinstance(value, str) else value
        if not isinstance(data, bytes) or not data:
            return chance.choice([None, -1, "x", b"", 2**62, 0.5])
        how = chance.randrange(6)
        if how == 0:
            return chance.choice([None, -1, "", "x", b"", 2**62, 0.5, "\ud800x"])
        if how == 1:
            return data[: chance.randrange(len(data))]
        place = chance.randrange(len(data))
        flipped = data[place] ^ 1 << chance.randrange(8)
        return data[:place] + bytes([flipped]) + data[place + 1 :]

    return chance, change


def right_or_nothing(folder):
    """Every image that came back is the one that its name says."""
    for name, image in restored(folder).items():
        assert name in meddler.original_names()
        assert np.array_equal(image, meddler.original(name)), name


def test_flipped_rows_of_a_vault_are_one_line(copied, tmp_path, capsys):
    mixed, vault = copied("folder")
    chance, change = fills(0, COUNT)
    found = meddler.tables(vault)
    for number in range(100):
        table = chance.choice(sorted(found))
        rows = [list(row) for row in found[table][1]]
        row, column = chance.choice(rows), chance.randrange(len(rows[0]))
        row[column] = change(row[column])
        with contextlib.suppress(UnicodeEncodeError):
            if meddler.fill(vault, table, rows):
                kept = ["--vault", vault]
                back = tmp_path / f"back-{number}"
                status, _, err = run(capsys, "unmix", mixed, back, *kept)
                assert status in (0, 1, 2)
                if status == 2:
                    assert len(complaints(err)) == 1
                right_or_nothing(back)
                if status == 0:
                    all_back(back)
                assert run(capsys, "verify", mixed, *kept)[0] in (0, 1, 2)
        assert meddler.fill(vault, table, found[table][1])


def test_flipped_bits_of_a_vault_are_one_line(copied, tmp_path, capsys):
    mixed, vault = copied("folder")
    path, chance = vault / "vault.sqlite", random.Random(1)
    whole = path.read_bytes()
    for number in range(100):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 9)):
            place = chance.randrange(len(data) if number % 2 else 200)
            data[place] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
        back = tmp_path / f"back-{number}"
        status, _, _ = run(capsys, "unmix", mixed, back, "--vault", vault)
        assert status in (0, 1, 2)
        right_or_nothing(back)
        for more in vault.iterdir():
            if more != path:
                more.unlink()
    path.write_bytes(whole[: len(whole) // 2])
    refused(capsys, "unmix", mixed, tmp_path / "back", "--vault", vault)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("height", 10**9),
        ("height", -1),
        ("height", 0),
        ("width", 10**9),
        ("width", 17),
        ("width", "x"),
        ("channels", 1),
        ("channels", 2),
        ("channels", 10**9),
        ("levels", [10**9, 10**9]),
        ("levels", [0, 0]),
        ("levels", [-1, -1]),
        ("levels", None),
    ],
)
def test_odd_sizes_in_a_vault_bring_back_nothing_odd(
    made, tmp_path, monkeypatch, capsys, word, value
):
    # Sealed with its own key: without a passphrase that lies beside.
    dumps = json.dumps

    def odd(what, *given, **named):
        if isinstance(what, dict) and word in what:
            what = {**what, word: value}
        return dumps(what, *given, **named)

    mixed, vault, back = (tmp_path / name for name in ("mixed", "vault", "back"))
    kept = ["--vault", vault]
    with monkeypatch.context() as patch:
        patch.setattr(json, "dumps", odd)
        status, _, _ = run(capsys, "mix", made / "photos", mixed, *OPTIONS, *kept)
    if status:
        return
    status, _, err = run(capsys, "unmix", mixed, back, *kept)
    assert status in (0, 1, 2)
    if status == 2:
        assert len(complaints(err)) == 1
    right_or_nothing(back)


ODD_MEMBERS = [".png", "a/.png", "./.png", "..png", "...png", "a/..png", "png", "a."]


@pytest.mark.parametrize("names", [[], ["--keep-names"]])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("odd", ODD_MEMBERS)
def test_members_without_names_are_one_line(tmp_path, capsys, odd, kind, names):
    tar = write_tar(tmp_path / "pets.tar", ["good.png", odd])
    vault, mixed, back = (tmp_path / name for name in ("vault", "mixed", "back"))
    kept = ["--vault", vault]
    more = [*OPTIONS, *names, *kept, "--format", kind]
    status, _, err = run(capsys, "mix", tar, mixed, *more)
    if status == 2:
        assert len(complaints(err)) == 1
        return
    assert run(capsys, "verify", mixed, *kept)[0] == 0
    assert run(capsys, "unmix", mixed, back, *kept)[0] in (0, 1)


def test_members_without_names_in_a_release_are_one_line(made, tmp_path, capsys):
    mixed, kept = tmp_path / "mixed", ["--vault", made / "vault-webdataset"]
    shutil.copytree(made / "webdataset", mixed)
    samples = meddler.load(mixed, "webdataset")
    for number, odd in enumerate(("", "a/", ".", "..", "../..", "/")):
        samples[0].name = odd
        meddler.store(mixed, "webdataset", samples)
        back = tmp_path / "a" / "b" / str(number)
        assert run(capsys, "unmix", mixed, back, *kept)[0] in (0, 1, 2)
        assert run(capsys, "verify", mixed, *kept)[0] in (1, 2)


def counts(release):
    """All numbers of images in a manifest."""
    manifest = json.loads((release / "release.json").read_text())
    return {k: v for k, v in manifest.items() if isinstance(v, int) or k == "splits"}


@pytest.mark.parametrize("kept", [True, False])
def test_every_word_of_the_notes_may_be_another(made, tmp_path, capsys, kept):
    mixed, arguments = unfinished(made / "photos", tmp_path, "folder", kept=kept)
    away = tmp_path / "away"
    shutil.copytree(mixed, away)
    assert run(capsys, *arguments)[0] == 0
    wanted = counts(mixed)
    notes = sorted((away / "UNFINISHED").glob("*.json"))
    assert notes
    odd = itertools.cycle([None, "x", -1, [], {}, 10**30, True, [[]], 1e999])
    contents = [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000]
    for path in notes:
        whole = json.loads(path.read_text())
        changed = [
            json.dumps(meddler.put(whole, place, next(odd))).encode()
            for place in meddler.nodes(whole)
        ]
        for data in (*contents, *changed):
            shutil.rmtree(mixed, ignore_errors=True)
            shutil.copytree(away, mixed)
            (mixed / path.relative_to(away)).write_bytes(data)
            status, _, err = run(capsys, *arguments)
            if status == 0:
                # As good as if nobody had touched it.
                assert run(capsys, "verify", mixed)[0] == 0
                assert counts(mixed) == wanted
                assert len(meddler.load(mixed, "folder")) == COUNT
            else:
                assert status == 2
                assert len(complaints(err)) == 1


def test_every_word_of_a_manifest_may_be_another(made, copied, capsys):
    mixed, vault = copied("folder")
    path = mixed / "release.json"
    whole = json.loads(path.read_text())
    odd = itertools.cycle([None, "x", -1, [], {}, 10**30, True, [[]], 1e999])
    contents = [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000]
    changed = [
        json.dumps(meddler.put(whole, place, next(odd))).encode()
        for place in meddler.nodes(whole)
    ]
    kept = ["--vault", vault]
    for data in (*contents, *changed):
        path.write_bytes(data)
        assert run(capsys, "verify", mixed)[0] in (0, 1, 2)
        assert run(capsys, "verify", mixed, "--json")[0] in (0, 1, 2)
        arguments = ["mix", made / "photos", mixed, *OPTIONS, *kept]
        assert run(capsys, *arguments)[0] in (0, 2)


# Decoders, and names


def other_format(image, kind):
    """The same picture as another kind of file; most keep every pixel."""
    buffer = io.BytesIO()
    options = {"lossless": True} if kind == "WEBP" else {}
    Image.open(io.BytesIO(image)).save(buffer, format=kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("picture", ["JPEG", "TIFF", "WEBP", "BMP", "GIF"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_release_holds_nothing_but_png(copied, tmp_path, capsys, kind, picture):
    mixed, vault = copied(kind)
    samples = meddler.load(mixed, kind)
    samples[0].image = other_format(samples[0].image, picture)
    meddler.store(mixed, kind, samples)
    for more in ([], ["--vault", vault]):
        status, out, _ = run(capsys, "verify", mixed, *more)
        assert status == 1
        assert "WRONG: " in out
    back = tmp_path / "back"
    status, out, err = run(capsys, "unmix", mixed, back, "--vault", vault)
    assert status == 1
    assert f"{COUNT - 1} restored" in out
    assert err.count("skipped: ") == 1
    one = meddler.original_names()[0]
    kept = ["--vault", vault, "--id", one]
    assert run(capsys, "unmix", mixed, tmp_path / "one", *kept)[0] in (1, 2)
    assert not restored(tmp_path / "one")


ESCAPES = "\x1b]0;x\x07"
ODD_NAMES = [
    f"{ESCAPES}.png",
    "a\nvmixjax: good\n.png",
    "\u202egnp.png",
    "\x9b31m.png",
    os.fsdecode(b"\xff\xfe.png"),
]


def plain(*texts):
    """Nothing that a terminal would act on, and nothing that cannot be shown."""
    for text in texts:
        odd = [char for char in text if char != "\n" and not char.isprintable()]
        assert not odd
        for line in text.splitlines():
            assert line not in ("vmixjax: good", "good")


@pytest.mark.parametrize("name", ODD_NAMES)
def test_names_do_nothing_to_a_terminal(made, tmp_path, capsys, name):
    photos = tmp_path / "photos"
    shutil.copytree(made / "photos", photos)
    folder = photos / name.removesuffix(".png")
    folder.mkdir()
    shutil.copy(photos / "cats" / "anna-1.png", folder / name)
    (folder / f"no-{name}").write_bytes(b"no image")
    (folder / f"cut-{name}").write_bytes(meddler.SIGNATURE)

    status, out, err = run(capsys, "vfe", photos, "--tile-size", "8")
    assert status == 1
    plain(out, err)
    status, out, err = run(capsys, "vfe", folder / name, "--tile-size", "8")
    assert status == 0
    plain(out, err)
    status, out, err = run(capsys, "vfe", tmp_path / f"none-{name}")
    assert status == 1 or status == 2
    plain(out, err)

    mixed, kept = tmp_path / "mixed", ["--vault", tmp_path / "vault"]
    more = [*OPTIONS, *kept, "--keep-names"]
    status, out, err = run(capsys, "mix", photos, mixed, *more)
    assert status == 1
    plain(out, err)
    for arguments in (
        ["mix", tmp_path / f"none-{name}", tmp_path / "x", *OPTIONS],
        ["mix", made / "photos", folder / name, *OPTIONS],
        ["mix", made / "photos", tmp_path / "x", "--secret-file", tmp_path / name],
        ["unmix", mixed, tmp_path / "x", "--vault", tmp_path / name],
        ["unmix", mixed, tmp_path / "x", *kept, "--id", name],
        ["verify", tmp_path / f"none-{name}"],
        ["verify", mixed, "--vault", tmp_path / name],
    ):
        status, out, err = run(capsys, *arguments)
        assert status == 2, arguments
        plain(out, err)

    # A file that was not there, one that is no image, one that was changed.
    inside = mixed / folder.name / name
    shutil.copy(inside, mixed / f"more-{name}")
    inside.write_bytes(meddler.flat_png(16, 16, 3))
    (mixed / f"cut-{name}").write_bytes(meddler.SIGNATURE)
    for arguments in (["verify", mixed], ["verify", mixed, *kept]):
        status, out, err = run(capsys, *arguments)
        assert status == 1
        assert out.splitlines()[-1] != "good"
        odd = [char for char in out if char != "\n" and not char.isprintable()]
        assert not odd
        plain(err)
    status, out, err = run(capsys, "unmix", mixed, tmp_path / "back", *kept)
    assert status == 1
    plain(out, err)


def test_keys_do_nothing_to_a_terminal(tmp_path, capsys):
    names = ["good.png", f"{ESCAPES}.png", f"{ESCAPES}/../../x.png", f"x.{ESCAPES}"]
    for number in range(2, 5):
        tar = write_tar(tmp_path / f"{number}.tar", names[:number])
        mixed = tmp_path / f"mixed-{number}"
        arguments = ["mix", tar, mixed, *OPTIONS, "--keep-names"]
        status, out, err = run(capsys, *arguments)
        assert status in (0, 1, 2)
        plain(out, err)
        for kind in ("folder", "tfds"):
            more = ["--format", kind]
            _, out, err = run(capsys, *arguments, *more)
            plain(out, err)


# Planted vaults and secrets

needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can give files away"
)


def commands(made, mixed, vault, tmp_path):
    kept = ["--vault", vault]
    return [
        ["mix", made / "photos", tmp_path / "again", *OPTIONS, *kept],
        ["unmix", mixed, tmp_path / "back", *kept],
        ["verify", mixed, *kept],
    ]


def all_refuse(made, mixed, vault, tmp_path, capsys):
    """All commands that use a vault refuse it; what they say."""
    lines = {
        refused(capsys, *arguments, word=str(vault))
        for arguments in commands(made, mixed, vault, tmp_path)
    }
    assert not (tmp_path / "again" / "release.json").exists()
    assert not restored(tmp_path / "back")
    return lines


def mend(lines):
    """Does what the messages say, if that is a chmod."""
    found = [re.search(r"\bchmod\s+\S+\s+[^\s;,`']+", line) for line in lines]
    assert all(found), lines
    for one in found:
        subprocess.run(one[0].split(), check=True)


@needs_root
@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_vault_of_another_owner_is_not_used(made, copied, tmp_path, capsys, what):
    mixed, vault = copied("folder")
    os.chown(vault if what == "folder" else vault / "vault.sqlite", 12345, -1)
    all_refuse(made, mixed, vault, tmp_path, capsys)


@pytest.mark.parametrize("mode", [0o666, 0o644, 0o640, 0o606])
def test_a_vault_that_others_can_open_is_not_used(made, copied, tmp_path, capsys, mode):
    mixed, vault = copied("folder")
    (vault / "vault.sqlite").chmod(mode)
    mend(all_refuse(made, mixed, vault, tmp_path, capsys))
    for arguments in commands(made, mixed, vault, tmp_path):
        assert run(capsys, *arguments)[0] == 0


def test_a_folder_that_others_can_write_to_holds_no_vault(
    made, copied, tmp_path, capsys
):
    mixed, vault = copied("folder")
    vault.chmod(0o777)
    mend(all_refuse(made, mixed, vault, tmp_path, capsys))
    for arguments in commands(made, mixed, vault, tmp_path):
        assert run(capsys, *arguments)[0] == 0
    # Nor is one made there.
    empty = tmp_path / "empty"
    empty.mkdir()
    empty.chmod(0o777)
    arguments = ["mix", made / "photos", tmp_path / "other", *OPTIONS]
    line = refused(capsys, *arguments, "--vault", empty, word=str(empty))
    assert not list(empty.iterdir())
    mend([line])
    assert run(capsys, *arguments, "--vault", empty)[0] == 0
    assert stat.S_IMODE(empty.stat().st_mode) & 0o022 == 0


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_vault_that_is_a_link_is_not_used(made, copied, tmp_path, capsys, what):
    mixed, vault = copied("folder")
    if what == "folder":
        vault.rename(tmp_path / "elsewhere")
        vault.symlink_to(tmp_path / "elsewhere")
    else:
        (vault / "vault.sqlite").rename(tmp_path / "elsewhere")
        (vault / "vault.sqlite").symlink_to(tmp_path / "elsewhere")
    all_refuse(made, mixed, vault, tmp_path, capsys)


@pytest.mark.parametrize("what", ["fifo", "folder"])
def test_a_vault_that_is_no_file_is_not_used(made, copied, tmp_path, capsys, what):
    mixed, vault = copied("folder")
    (vault / "vault.sqlite").unlink()
    if what == "fifo":
        os.mkfifo(vault / "vault.sqlite", 0o600)
    else:
        (vault / "vault.sqlite").mkdir(0o700)
    all_refuse(made, mixed, vault, tmp_path, capsys)


@pytest.mark.parametrize(
    "secret", [bytes(32), b"correct horse battery staple ok!", b"x"], ids=str
)
def test_a_secret_that_can_be_guessed_is_refused(made, tmp_path, capsys, secret):
    path = private(tmp_path / "secret", secret)
    arguments = ["mix", made / "photos", tmp_path / "mixed", *OPTIONS]
    refused(capsys, *arguments, "--secret-file", path, word="--secret-file")
    kept = ["--vault", tmp_path / "vault"]
    refused(capsys, *arguments, *kept, "--secret-file", path, word="--secret-file")
    assert not (tmp_path / "vault").exists()


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o666])
def test_a_secret_that_others_can_read_is_refused(made, tmp_path, capsys, mode):
    path = private(tmp_path / "secret", np.random.default_rng(0).bytes(32))
    path.chmod(mode)
    arguments = ["mix", made / "photos", tmp_path / "mixed", *OPTIONS]
    arguments += ["--secret-file", path]
    mend([refused(capsys, *arguments, word=str(path))])
    assert run(capsys, *arguments)[0] == 0


@needs_root
def test_a_secret_of_another_owner_is_refused(made, tmp_path, capsys):
    path = private(tmp_path / "secret", np.random.default_rng(0).bytes(32))
    os.chown(path, 12345, -1)
    arguments = ["mix", made / "photos", tmp_path / "mixed", *OPTIONS]
    refused(capsys, *arguments, "--secret-file", path, word=str(path))


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o666])
def test_a_passphrase_that_others_can_read_is_refused(made, tmp_path, capsys, mode):
    path = private(tmp_path / "words", b"open sesame\n")
    path.chmod(mode)
    arguments = ["mix", made / "photos", tmp_path / "mixed", *OPTIONS]
    arguments += ["--vault", tmp_path / "vault", "--vault-passphrase-file", path]
    mend([refused(capsys, *arguments, word=str(path))])
    assert run(capsys, *arguments)[0] == 0


def test_a_passphrase_may_come_through_a_pipe(made, tmp_path, capsys):
    mixed, vault, fifo = (tmp_path / name for name in ("mixed", "vault", "fifo"))
    kept = ["--vault", vault, "--vault-passphrase-file"]
    os.mkfifo(fifo, 0o600)
    writer = threading.Thread(
        target=fifo.write_bytes, args=(b"open sesame\n",), daemon=True
    )
    writer.start()
    arguments = ["mix", made / "photos", mixed, *OPTIONS, *kept]
    assert run(capsys, *arguments, fifo)[0] == 0
    writer.join()
    # As a shell's <(...) has it.
    reading, writing = os.pipe()
    os.write(writing, b"open sesame\n")
    os.close(writing)
    back = tmp_path / "back"
    assert run(capsys, "unmix", mixed, back, *kept, f"/dev/fd/{reading}")[0] == 0
    os.close(reading)
    all_back(back)


def test_memory_has_a_bound_here():
    # What the tests above rely on.
    with pytest.raises(MemoryError), meddler.bounded():
        bytes(2**33)
    assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY

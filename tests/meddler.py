"""What a hostile hand does to files: it knows their formats, and nothing of our code.

All goes through the command line, with one shape of images, which compiles once.
"""

import contextlib
import dataclasses
import functools
import hashlib
import io
import json
import os
import re
import resource
import shutil
import signal
import sqlite3
import stat
import struct
import tarfile
import zlib
from pathlib import Path

import jax
import numpy as np
import oracle
import pytest
from array_record.python import array_record_module
from PIL import Image
from tensorflow_datasets.proto import tf_example_pb2

import vmixjax
from vmixjax.cli import main
from vmixjax.data.codecs.png import write_png

COUNT, SIDE = 8, 16
KINDS = ("folder", "tfds", "webdataset")
# In the order of their numbers, so that tests know which image is which.
OPTIONS = ("--tile-size", "8", "--shard-size", "4", "--keep-order")
HUGE = 2**36
"""Bytes that nobody has, and that nobody reads within the time of a test."""

_PROGRESS = re.compile(
    r"(mixing|restoring|verifying|measuring|reading)[^:]*: +\d+%|"
    r"vmixjax: (skipped: |going on |starting )"
)
SIGNATURE = b"\x89PNG\r\n\x1a\n"


class Late(BaseException):
    """Nothing catches it."""


class Crash(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


@contextlib.contextmanager
def bounded(seconds=20, room=2**31):
    """Ends what reads without end, or takes memory without end."""

    def late(*_):
        raise Late

    before = signal.signal(signal.SIGALRM, late)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + room
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.signal(signal.SIGALRM, before)


def run(capsys, *arguments, main=main):
    """Status, output and errors of a command; it raises nothing."""
    capsys.readouterr()
    with bounded():
        status = main([str(one) for one in arguments])
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    return status, out, err


def complaints(err):
    """Lines on standard error but for those that tell how far a run is."""
    return [line for line in err.splitlines() if not _PROGRESS.match(line)]


def refused(capsys, *arguments, word="", main=main, name="vmixjax"):
    """The one line that a command refuses with."""
    status, _, err = run(capsys, *arguments, main=main)
    assert status == 2, err
    (line,) = complaints(err)
    assert line.startswith(f"{name}: ")
    assert word in line
    return line


def picture(number):
    return np.roll(oracle.smooth_image(SIDE, SIDE), number, (0, 1)) ^ np.uint8(number)


def original_names():
    """As `write_photos` calls them, in order."""
    names = [f"{'cats' if n % 3 else 'dogs'}/anna-{n}.png" for n in range(COUNT)]
    return sorted(names)


def original(name):
    return picture(int(name.rpartition("-")[2].removesuffix(".png")))


def write_photos(folder):
    for name in original_names():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_png(folder / name, original(name))
    return folder


def write_releases(root):
    """A release of photographs in each format, with its vault."""
    write_photos(root / "photos")
    for kind in KINDS:
        kept = ["--vault", root / f"vault-{kind}", "--format", kind]
        arguments = ["mix", root / "photos", root / kind, *OPTIONS, *kept]
        assert main([*map(str, arguments)]) == 0
    return root


def copy(made, kind, folder, name):
    """Copies of a release and its vault, to spoil."""
    mixed, vault = folder / name, folder / f"vault-{kind}"
    shutil.copytree(made / kind, mixed)
    shutil.copytree(made / f"vault-{kind}", vault)
    return mixed, vault


def in_json(name, content):
    return {"pythonClassName": name, "jsonFeature": {"json": json.dumps(content)}}


def planted(form, whole, evil):
    """What features.json holds, with a class somewhere that is the attacker's."""
    base = "tensorflow_datasets.core.features"
    label = whole["featuresDict"]["features"]["label"]
    legacy = {"type": evil, "content": {}}
    if form == "top":
        whole["pythonClassName"] = evil
    elif form == "feature":
        label["pythonClassName"] = evil
    elif form == "snake case":
        del label["pythonClassName"]
        label["python_class_name"] = evil
    elif form == "legacy":
        return legacy
    elif form == "legacy, below":
        name = f"{base}.features_dict.FeaturesDict"
        return {"type": name, "content": {"image": legacy}}
    elif form == "JSON in JSON":
        return in_json(f"{base}.features_dict.FeaturesDict", {"image": legacy})
    elif form == "JSON in a sequence":
        name = f"{base}.sequence_feature.Sequence"
        more = in_json(name, {"feature": legacy, "length": None})
        whole["featuresDict"]["features"]["more"] = more
    elif form == "below a sequence":
        below = {"feature": {"pythonClassName": evil, "text": {}}}
        name = f"{base}.sequence_feature.Sequence"
        more = {"pythonClassName": name, "sequence": below}
        whole["featuresDict"]["features"]["more"] = more
    return whole


def private(path, data):
    """A file that its owner alone can read."""
    path.touch(mode=0o600)
    path.write_bytes(data)
    return path


def pixels(path):
    return np.asarray(Image.open(path))


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def snapshot(folder):
    """All there is below a folder; times tell what came and went."""
    found = {}
    for path in [folder, *folder.rglob("*")]:
        status = path.lstat()
        if stat.S_ISDIR(status.st_mode):
            value = status.st_mtime_ns
        elif path.is_symlink():
            value = path.readlink()
        else:
            value = path.read_bytes()
        found[path.relative_to(folder).as_posix()] = status.st_mode, value
    return found


def unfinished(*arguments):
    """Mixes, and is killed as the last file gets its name."""

    def stopped(function):
        def stop(source, target, *given, **named):
            if os.fspath(target).endswith("release.json"):
                raise Crash
            return function(source, target, *given, **named)

        return stop

    with pytest.MonkeyPatch.context() as patch:
        for name in ("replace", "rename", "link"):
            patch.setattr(os, name, stopped(getattr(os, name)))
        with pytest.raises(Crash):
            main(["mix", *map(str, arguments)])


def change_json(path, change):
    """Rewrites a JSON file; `change` alters what it holds, or returns another."""
    value = json.loads(path.read_text())
    changed = change(value)
    path.write_text(json.dumps(value if changed is None else changed, indent=1))


def nodes(value, path=()):
    """Where all values of a JSON document are."""
    yield path
    pairs = ()
    if isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, list):
        pairs = enumerate(value)
    for key, below in pairs:
        yield from nodes(below, (*path, key))


def put(document, path, value):
    """The document with another value at a place."""
    document = json.loads(json.dumps(document))
    if not path:
        return value
    place = functools.reduce(lambda d, key: d[key], path[:-1], document)
    place[path[-1]] = value
    return document


def digests(value):
    """All that give files their SHA-256, wherever they are in a document."""
    if isinstance(value, dict):
        hexadecimal = [
            isinstance(one, str) and re.fullmatch("[0-9a-f]{64}", one)
            for one in value.values()
        ]
        if value and all(hexadecimal):
            yield value
        for below in value.values():
            yield from digests(below)
    elif isinstance(value, list):
        for below in value:
            yield from digests(below)


def resum(release):
    """Makes the manifest agree with the files as they are now."""

    def change(manifest):
        for found in digests(manifest):
            for name in found:
                if (release / name).is_file():
                    found[name] = sha256(release / name)

    change_json(release / "release.json", change)


# PNG files


def chunks(data):
    offset = len(SIGNATURE)
    while offset < len(data):
        length, name = struct.unpack_from(">I4s", data, offset)
        yield name, data[offset + 8 : offset + 8 + length]
        offset += length + 12


def png(parts):
    data = SIGNATURE
    for name, body in parts:
        checksum = zlib.crc32(name + body)
        data += struct.pack(">I", len(body)) + name + body + struct.pack(">I", checksum)
    return data


def flat_png(width, height, channels=1):
    """A picture of one colour: some hundred kilobytes, whatever it takes in memory."""
    colour = {1: 0, 3: 2}[channels]
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    packer = zlib.compressobj(1)
    row = bytes(1 + width * channels)
    body = b"".join([packer.compress(row * 64) for _ in range(height // 64)])
    body += packer.compress(row * (height % 64)) + packer.flush()
    return png([(b"IHDR", header), (b"IDAT", body), (b"IEND", b"")])


# Releases


@dataclasses.dataclass
class Sample:
    """One image of a release.

    Attributes:
      shard: number of the shard that it is in.
      name: its file's in a folder, its key in a tar.
      image: the PNG file.
      label: its class, as the format has it.
      more: other members or features.
      before, behind: bytes around its record.
    """

    shard: int
    name: str
    image: bytes
    label: str | int
    more: dict[str, bytes | int] = dataclasses.field(default_factory=dict)
    before: bytes = b""
    behind: bytes = b""


def load(release, kind):
    """All samples, in order."""
    manifest = json.loads((release / "release.json").read_text())
    found = []
    for number, shard in enumerate(manifest["shards"]):
        for name in shard["files"]:
            if kind == "folder":
                data = (release / name).read_bytes()
                found.append(Sample(number, name, data, name.partition("/")[0]))
            elif kind == "tfds":
                found += _records(release / name, number)
            else:
                found += _members(release / name, number)
    return found


def store(release, kind, samples):
    """Writes samples back, with sums, numbers and VFE as if they had been so."""
    manifest = json.loads((release / "release.json").read_text())
    for shard in manifest["shards"]:
        for name in shard["files"]:
            (release / name).unlink()
            with contextlib.suppress(OSError):
                (release / name).parent.rmdir()
    numbers = sorted({sample.shard for sample in samples})
    shards = []
    for place, number in enumerate(numbers):
        inside = [sample for sample in samples if sample.shard == number]
        if kind == "folder":
            for one in inside:
                one.name = f"{one.label}/{one.name.rpartition('/')[2]}"
                (release / one.name).parent.mkdir(exist_ok=True)
                (release / one.name).write_bytes(one.image)
            names = [one.name for one in inside]
        elif kind == "tfds":
            names = [f"mixed-train.array_record-{place:05}-of-{len(numbers):05}"]
            write_records(release / names[0], map(_record, inside))
        else:
            names = [f"train-{place:06}.tar"]
            (release / names[0]).write_bytes(tar(inside))
        files = {name: sha256(release / name) for name in names}
        shards.append({"split": "train", "images": len(inside), "files": files})
    if kind == "tfds":
        lengths = [str(shard["images"]) for shard in shards]
        sizes = [path.stat().st_size for path in release.glob("*array_record*")]

        def change(info):
            split = info["splits"][0]
            split["shardLengths"], split["numBytes"] = lengths, str(sum(sizes))

        change_json(release / "dataset_info.json", change)
    # What is gone was never fit.
    manifest["skipped"] += manifest["images"] - len(samples)
    manifest["images"] = manifest["splits"]["train"] = len(samples)
    manifest["vfe"]["after"] = _spread([sample.image for sample in samples])
    manifest["shards"] = shards
    (release / "release.json").write_text(json.dumps(manifest, indent=1))
    resum(release)


def write_records(path, records):
    """An ArrayRecord file."""
    writer = array_record_module.ArrayRecordWriter(
        str(path), "group_size:1,uncompressed"
    )
    for record in records:
        writer.write(record)
    writer.close()


def read_records(path):
    reader = array_record_module.ArrayRecordReader(str(path))
    records = reader.read_all()
    reader.close()
    return records


def _records(path, shard):
    for index, record in enumerate(read_records(path)):
        features = tf_example_pb2.Example.FromString(record).features.feature
        (image,) = features["image"].bytes_list.value
        (label,) = features["label"].int64_list.value
        yield Sample(shard, str(index), image, label)


def _record(sample):
    example = tf_example_pb2.Example()
    features = example.features.feature
    features["image"].bytes_list.value.append(sample.image)
    features["label"].int64_list.value.append(sample.label)
    for name, value in sample.more.items():
        kind = "int64_list" if isinstance(value, int) else "bytes_list"
        getattr(features[name], kind).value.append(value)
    record = example.SerializeToString(deterministic=True)
    return sample.before + record + sample.behind


def _members(path, shard):
    with tarfile.open(path) as tar:
        found = {member.name: tar.extractfile(member).read() for member in tar}
    for name, image in found.items():
        key, _, suffix = name.partition(".")
        if suffix == "png":
            yield Sample(shard, key, image, found[f"{key}.cls"].decode())


def tar(samples):
    data = b""
    for one in samples:
        members = {"png": one.image, "cls": str(one.label).encode(), **one.more}
        for suffix, content in members.items():
            data += member(f"{one.name}.{suffix}", content)
    return data + bytes(1024)


def member(name, content, **values):
    """A member of a tar file: header and content, filled up."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in values.items():
        setattr(info, key, value)
    return info.tobuf(tarfile.PAX_FORMAT) + content + bytes(-len(content) % 512)


@functools.cache
def _vfe():
    return jax.jit(jax.vmap(lambda image: vmixjax.vfe(image, 8)))


def _spread(images):
    decoded = [
        np.asarray(Image.open(io.BytesIO(image)).convert("RGB")) for image in images
    ]
    filled = np.stack(decoded + decoded[-1:] * (COUNT - len(decoded)))
    values = [float(value) for value in _vfe()(filled)[: len(decoded)]]
    mean = sum(values) / len(values)
    return {"mean": mean, "smallest": min(values), "largest": max(values)}


# Vaults


def tables(folder):
    """Rows and names of columns of each table."""
    with contextlib.closing(sqlite3.connect(folder / "vault.sqlite")) as vault:
        query = "SELECT name FROM sqlite_master WHERE type = 'table'"
        found = {}
        for (name,) in vault.execute(query).fetchall():
            cursor = vault.execute(f"SELECT * FROM {name}")
            columns = [column[0] for column in cursor.description]
            found[name] = columns, [list(row) for row in cursor.fetchall()]
        return found


def fill(folder, table, rows):
    """Puts other rows into a table; False if its own rules forbid these."""
    with contextlib.closing(sqlite3.connect(folder / "vault.sqlite")) as vault:
        try:
            with vault:
                vault.execute(f"DELETE FROM {table}")
                places = ", ".join("?" * len(rows[0]))
                vault.executemany(f"INSERT INTO {table} VALUES ({places})", rows)
        except sqlite3.IntegrityError:
            return False
    return True


def table_of_images(folder):
    """Name, columns and rows of the table with a row for each image."""
    ((name, (columns, rows)),) = [
        (name, found)
        for name, found in tables(folder).items()
        if len(found[1]) == COUNT
    ]
    return name, columns, rows

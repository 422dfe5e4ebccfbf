"""A WebDataset: tar files of samples, with nothing in their headers but names."""

import contextlib
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import BinaryIO

from vmixjax.data.codecs.png import encode_png
from vmixjax.data.example import Example, Label, Raw, Schema
from vmixjax.data.formats.webdataset.tar import member_header
from vmixjax.data.inside import create_private, is_plain, own_folder
from vmixjax.data.writing import (
    WORK,
    Files,
    Shard,
    Sink,
    check_stored,
    part_path,
    release_path,
    sequence_number,
)
from vmixjax.errors import RunError


class WebDatasetSink(Sink):
    """Writes tar files of PNG files, each followed by its class and texts.

    Args:
      root: Folder to write to.
      schema: What is to be held.

    Raises:
      RunError: A field is neither a class nor text, or no name of a file.
    """

    def __init__(self, root: Path, schema: Schema) -> None:
        self.root = root
        for name, field in schema.fields.items():
            if isinstance(field, Raw):
                raise RunError(
                    f"--format webdataset cannot hold the feature {name}: leave it "
                    f"behind with --drop {name}, or choose --format tfds"
                )
            if not is_plain(name):
                raise RunError(
                    f"--format webdataset cannot hold the feature {name}, whose name "
                    f"leads to another folder: leave it behind with --drop {name}"
                )
        self._suffixes = {
            name: "cls" if isinstance(field, Label) and name == "label" else name
            for name, field in schema.fields.items()
        }
        self.holds: Sequence[str] = sorted(self._suffixes.values())

    def output(self, example: Example, shard: Shard, index: int, names: bool) -> str:
        """It is a key; numbers of other splits than the usual one begin with it."""
        key = example.stem if names else sequence_number(index, shard.count)
        if not names and shard.split != "train":
            key = f"{shard.split}/{key}"
        return release_path(key, example)

    def encode(self, example: Example, output: str) -> bytes:
        """It is a piece of a tar file."""
        members = [("png", encode_png(example.image)), *self._members(example)]
        buffer = io.BytesIO()
        for suffix, content in members:
            buffer.write(member_header(f"{output}.{suffix}", len(content)))
            buffer.write(content)
            buffer.write(bytes(-len(content) % tarfile.BLOCKSIZE))
        return buffer.getvalue()

    def belongings(self, example: Example) -> bytes:
        """They are the members beside the image."""
        members = [(name, content.hex()) for name, content in self._members(example)]
        return json.dumps(sorted(members)).encode()

    def _members(self, example: Example) -> list[tuple[str, bytes]]:
        return [
            (suffix, str(example.values[name]).encode("utf-8", "surrogateescape"))
            for name, suffix in self._suffixes.items()
        ]

    @contextlib.contextmanager
    def write(self, shard: Shard, files: Files, disk: Executor) -> Iterator["_Tar"]:
        del disk
        path = part_path(own_folder(self.root, WORK))
        files.parts[f"{shard.name}.tar"] = path, ""
        with create_private(path) as file:
            tar = _Tar(file)
            yield tar
            tar.write(bytes(2 * tarfile.BLOCKSIZE))
        expected = tar.digest.hexdigest()
        check_stored(path, expected)
        files.parts[f"{shard.name}.tar"] = path, expected


class _Tar:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def add(self, name: str, record: bytes) -> None:
        del name
        self.write(record)

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self.digest.update(data)

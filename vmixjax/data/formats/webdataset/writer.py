"""A WebDataset: tar files of samples, with nothing in their headers but names."""

import contextlib
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import BinaryIO

from vmixjax.data.codecs.png import encode_png
from vmixjax.data.example import Example, Field, Label, Pixels, Raw
from vmixjax.data.formats.webdataset.tar import member_header
from vmixjax.data.inside import create_private, is_plain, own_folder
from vmixjax.data.writing import WORK, Files, Shard, below, check, number, part
from vmixjax.errors import RunError


class WebDatasetSink:
    """Writes tar files of PNG files, each followed by its class and texts.

    Args:
      root: Folder to write to.
      name: Name of the data set, which tar files have no place for.
      fields: What belongs to each image.
      pixels: What all images have in common.

    Raises:
      RunError: A field is neither a class nor text, or no name of a file.
    """

    def __init__(
        self,
        root: Path,
        *,
        name: str,
        fields: Mapping[str, Field],
        pixels: Pixels | None,
    ) -> None:
        del name, pixels
        self.root = root
        for key, field in fields.items():
            if isinstance(field, Raw):
                raise RunError(
                    f"--format webdataset cannot hold the feature {key}: leave it "
                    f"behind with --drop {key}, or choose --format tfds"
                )
            if not is_plain(key):
                raise RunError(
                    f"--format webdataset cannot hold the feature {key}, whose name "
                    f"leads to another folder: leave it behind with --drop {key}"
                )
        self._suffixes = {
            key: "cls" if isinstance(field, Label) and key == "label" else key
            for key, field in fields.items()
        }
        self.holds: Sequence[str] = sorted(self._suffixes.values())

    def output(self, example: Example, shard: Shard, index: int, names: bool) -> str:
        """See `Sink.output`: a key."""
        return below(example.stem if names else number(index, shard.count), example)

    def encode(self, example: Example, output: str) -> bytes:
        """See `Sink.encode`: a piece of a tar file."""
        members = [("png", encode_png(example.image)), *self._members(example)]
        buffer = io.BytesIO()
        for suffix, content in members:
            buffer.write(member_header(f"{output}.{suffix}", len(content)))
            buffer.write(content)
            buffer.write(bytes(-len(content) % tarfile.BLOCKSIZE))
        return buffer.getvalue()

    def belongings(self, example: Example) -> bytes:
        """See `Sink.belongings`: the members beside the image."""
        members = [(name, content.hex()) for name, content in self._members(example)]
        return json.dumps(sorted(members)).encode()

    def _members(self, example: Example) -> list[tuple[str, bytes]]:
        return [
            (suffix, str(example.values[name]).encode("utf-8", "surrogateescape"))
            for name, suffix in self._suffixes.items()
        ]

    @contextlib.contextmanager
    def write(self, shard: Shard, files: Files, disk: Executor) -> Iterator["_Tar"]:
        """See `Sink.write`."""
        del disk
        path = part(own_folder(self.root, WORK))
        files.parts[f"{shard.name}.tar"] = path, ""
        with open(create_private(path), "wb") as file:  # noqa: PTH123 (a descriptor)
            tar = _Tar(file)
            yield tar
            tar.write(bytes(2 * tarfile.BLOCKSIZE))
        expected = tar.digest.hexdigest()
        check(path, expected)
        files.parts[f"{shard.name}.tar"] = path, expected

    def finish(self, counts: Mapping[str, list[tuple[int, int]]]) -> dict[str, str]:
        """See `Sink.finish`: tar files need nothing."""
        del counts
        return {}


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

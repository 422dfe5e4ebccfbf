"""A folder of PNG files; what they belong to is the folder they lie in."""

import contextlib
import hashlib
import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, wait
from pathlib import Path

from vmixjax.data.codecs.images import encode_png
from vmixjax.data.example import Example, Field, Label
from vmixjax.data.inside import create_private, own_folder
from vmixjax.data.writing import WORK, Files, Shard, below, not_stored, number, part
from vmixjax.errors import ImageError, RunError

_UNDER_WAY = 64
"""Files that may wait for the disk, in memory."""


class FolderSink:
    """PNG files in the folders of their classes.

    Args:
      root: folder to write to.
      fields: what belongs to each image; a folder can hold a class and no more.
    """

    holds: Sequence[str] = ()

    def __init__(self, root: Path, fields: Mapping[str, Field]) -> None:
        self.root = root
        for name, field in fields.items():
            if name not in ("label", "cls") or not isinstance(field, Label):
                raise RunError(
                    f"--format folder cannot hold the field {name}: leave it behind "
                    f"with --drop {name}, or choose another format"
                )

    def output(self, example: Example, shard: Shard, index: int, names: bool) -> str:
        """See `Sink.output`: a path."""
        name = example.kept if names else number(index, shard.count)
        folder = f"{example.folder}/" if example.folder else ""
        path = below(f"{folder}{name.removeprefix(folder)}.png", example)
        if any(part.startswith(".") for part in path.split("/")):
            raise ImageError(
                f"{example.name} would be hidden in a folder; rename it or its class, "
                f"or choose another format"
            )
        return path

    def encode(self, example: Example, output: str) -> bytes:
        """See `Sink.encode`."""
        del output
        return encode_png(example.image)

    def belongings(self, example: Example) -> bytes:
        """See `Sink.belongings`: nothing; in what folder an image lies may change."""
        del example
        return b""

    @contextlib.contextmanager
    def write(self, shard: Shard, files: Files, disk: Executor) -> Iterator["_Writer"]:
        """See `Sink.write`. Disks are slow to confirm, so threads wait for them."""
        del shard
        writer = _Writer(self.root, files, disk)
        try:
            yield writer
            writer.wait(0)
        finally:
            writer.stop()

    def finish(self, counts: Mapping[str, list[tuple[int, int]]]) -> dict[str, str]:
        """See `Sink.finish`: a folder needs nothing."""
        del counts
        return {}


class _Writer:
    def __init__(self, root: Path, files: Files, disk: Executor) -> None:
        self._work = own_folder(root, WORK)
        self._files, self._disk = files, disk
        self._storing: deque[Future[None]] = deque()

    def add(self, name: str, record: bytes) -> None:
        path = part(self._work)
        self._files.parts[name] = path, ""
        self._storing.append(self._disk.submit(self._store, name, path, record))
        # A disk that is slower than we are must not fill the memory.
        self.wait(_UNDER_WAY)

    def wait(self, left: int) -> None:
        """Until no more than so many files are still to be stored."""
        while len(self._storing) > left:
            self._storing.popleft().result()

    def stop(self) -> None:
        """Before files are removed: none may appear afterwards."""
        wait([stored for stored in self._storing if not stored.cancel()])

    def _store(self, name: str, path: Path, record: bytes) -> None:
        expected = hashlib.sha256(record).hexdigest()
        with open(create_private(path), "wb") as file:  # noqa: PTH123 (a descriptor)
            file.write(record)
            file.flush()
            os.fsync(file.fileno())
        if path.read_bytes() != record:
            raise not_stored()
        self._files.parts[name] = path, expected

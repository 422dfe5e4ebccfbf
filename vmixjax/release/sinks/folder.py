"""A folder of PNG files; what they belong to is the folder they lie in."""

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, Future, wait
from pathlib import Path

from vmixjax.release.errors import RunError
from vmixjax.release.examples import Example, Field, Label
from vmixjax.release.images import encode_png
from vmixjax.release.sinks.sink import Files, Shard, flush, not_stored, number, part


class FolderSink:
    """PNG files in the folders of their classes.

    Args:
      root: folder to write to.
      fields: what belongs to each image; a folder can hold a class and no more.
    """

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
        return f"{folder}{name.removeprefix(folder)}.png"

    def encode(self, example: Example, output: str) -> bytes:
        """See `Sink.encode`."""
        del output
        return encode_png(example.image)

    @contextlib.contextmanager
    def write(
        self, shard: Shard, files: Files, threads: Executor
    ) -> Iterator["_Writer"]:
        """See `Sink.write`. Disks are slow to confirm, so threads wait for them."""
        del shard
        writer = _Writer(self.root, files, threads)
        try:
            yield writer
        finally:
            # Also before files are removed: none may appear afterwards.
            wait(writer.storing)
        for stored in writer.storing:
            stored.result()

    def finish(self, counts: Mapping[str, list[tuple[int, int]]]) -> dict[str, str]:
        """See `Sink.finish`: a folder needs nothing."""
        del counts
        return {}


class _Writer:
    def __init__(self, root: Path, files: Files, threads: Executor) -> None:
        self._root, self._files, self._threads = root, files, threads
        self.storing: list[Future[None]] = []

    def add(self, name: str, record: bytes) -> None:
        path = part(self._root)
        self._files.parts[name] = path, ""
        self.storing.append(self._threads.submit(self._store, name, path, record))

    def _store(self, name: str, path: Path, record: bytes) -> None:
        expected = hashlib.sha256(record).hexdigest()
        path.write_bytes(record)
        flush(path)
        if path.read_bytes() != record:
            raise not_stored()
        self._files.parts[name] = path, expected

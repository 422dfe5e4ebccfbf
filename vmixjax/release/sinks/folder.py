"""A folder of PNG files; what they belong to is the folder they lie in."""

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from vmixjax.release.errors import RunError
from vmixjax.release.examples import Example, Field, Label
from vmixjax.release.images import encode_png
from vmixjax.release.sinks.sink import Files, Shard, check, number, part


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
    def write(self, shard: Shard, files: Files) -> Iterator["_Writer"]:
        """See `Sink.write`."""
        del shard
        yield _Writer(self.root, files)

    def finish(self, counts: Mapping[str, list[tuple[int, int]]]) -> dict[str, str]:
        """See `Sink.finish`: a folder needs nothing."""
        del counts
        return {}


class _Writer:
    def __init__(self, root: Path, files: Files) -> None:
        self._root, self._files = root, files

    def add(self, name: str, record: bytes) -> None:
        path = part(self._root)
        expected = hashlib.sha256(record).hexdigest()
        self._files.parts[name] = path, expected
        path.write_bytes(record)
        check(path, expected)

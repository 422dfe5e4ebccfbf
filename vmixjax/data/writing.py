"""What a sink is, and how its files are made: whole, checked, and only then named."""

import dataclasses
import hashlib
import itertools
import os
import secrets
import shutil
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from vmixjax.data.example import Example
from vmixjax.data.inside import (
    check_folder,
    inside,
    move_inside,
    own_folder,
    usual_mode,
)
from vmixjax.errors import ImageError, RunError

MANIFEST = "release.json"
"""What a release says of itself, in its root: no image may be called so."""

WORK = "UNFINISHED"
"""Folder in a release that is not done: files under way, and which are done."""

LOCK = "lock"
"""In that folder: whoever works on the release holds its lock."""

PART = ".part"
"""Suffix of files and folders under way."""

ASIDE = ".aside"
"""Suffix of files in that folder that shards leave to `Sink.finish`."""


def release_of(places: Iterable[Path]) -> Path | None:
    """Gives the folder of the release that files and folders of a source lie in."""
    for place in places:
        folder = place if place.is_dir() else place.parent
        if (folder / MANIFEST).is_file():
            return folder
    return None


@dataclasses.dataclass(frozen=True)
class Shard:
    """A part of a split that is written as one.

    Attributes:
      split: Name of the split.
      number: Number of the shard in it.
      shards: Shards that the split has.
      start, stop: Examples of the source that go into it.
      count: Examples in the whole split.
    """

    split: str
    number: int
    shards: int
    start: int
    stop: int
    count: int

    @property
    def name(self) -> str:
        """Name of the shard in notes about it."""
        return f"{self.split}-{self.number:06d}"


@dataclasses.dataclass
class Files:
    """Files of a shard, complete, but not under their names yet.

    Attributes:
      parts: For each name the path of the file now, and its SHA-256.
    """

    parts: dict[str, tuple[Path, str]] = dataclasses.field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of all of them."""
        return sum(path.stat().st_size for path, _ in self.parts.values())

    def discard(self) -> None:
        """Removes those that still have no final names."""
        for path, _ in self.parts.values():
            path.unlink(missing_ok=True)

    def publish(self, root: Path) -> None:
        """Gives them their names below a folder, and any new file's permissions."""
        if self.parts:
            moves = [(f"{WORK}/{p.name}", name) for name, (p, _) in self.parts.items()]
            move_inside(root, moves, usual_mode(root / WORK))


class Stored(NamedTuple):
    """What a reader of a format finds in a record.

    Attributes:
      name: What it calls the image.
      shape, dtype: Shape (H, W, C) of the image, and type of its values.
      belongings: As of `Sink.belongings`.
    """

    name: str
    shape: tuple[int, ...]
    dtype: "np.dtype[np.generic]"
    belongings: bytes


class Writer(Protocol):
    """Takes the records of a shard in their order."""

    def add(self, name: str, record: bytes) -> None:
        """Adds the next record: what `Sink.encode` gave for the output `name`."""


class Sink(Protocol):
    """Writes examples as files of some format."""

    root: Path
    holds: Sequence[str]
    """What it stores of each example beside the image, by the names it has there."""

    def output(self, example: Example, shard: Shard, index: int, names: bool) -> str:
        """Names an example in the release, by its number or with its own name.

        Raises:
          ImageError: It cannot be called so.
        """
        ...

    def encode(self, example: Example, output: str) -> bytes:
        """Encodes one example; called from many threads."""
        ...

    def reread(self, record: bytes, output: str) -> Stored:
        """Reads what `encode` gave as the reader of the format will, but no pixels.

        Only what reads back as it went in is written.

        Raises:
          ImageError: The reader refuses it.
        """
        ...

    def called(self, field: str) -> str:
        """Gives the name that a field of the source has in the release."""
        return field

    def belongings(self, example: Example) -> bytes:
        """Gives what it stores of an example beside the image: alike for alike only.

        A reader of the format gives back what has the same again.
        """
        del example
        return b""

    def write(
        self, shard: Shard, files: Files, disk: Executor
    ) -> AbstractContextManager[Writer]:
        """Writes a shard; once it ends, `files` has what was written, and checked.

        Threads of `disk` may wait for the disk; none does any more when it ends. A file
        called as `aside_name` says stays under way until `finish` has ended: it is
        checked as the others, and none of the release.
        """
        ...

    def finish(self, counts: Mapping[str, list[tuple[int, int]]]) -> dict[str, str]:
        """Writes what comes after all shards; gives paths and SHA-256.

        Args:
          counts: For each split the examples and bytes of each of its shards.
        """
        del counts
        return {}


@runtime_checkable
class ListsFiles(Protocol):
    """What a sink is as well that writes, after all shards, which files they have."""

    def note(self, shard: Shard, files: Iterable[str]) -> None:
        """Is told the files of a shard that is done, before `Sink.finish`.

        Args:
          shard: The shard; those of a split come in their order.
          files: Paths of its files, in the order in which `Sink.write` has named them.
        """
        ...


def note_files(sink: Sink, shard: Shard, files: Iterable[str]) -> None:
    """Tells a sink that wants to know it which files a shard has."""
    if isinstance(sink, ListsFiles):
        sink.note(shard, files)


def sequence_number(index: int, count: int) -> str:
    """Writes a sequence number, with as many digits for all of them."""
    return f"{index:0{max(5, len(str(count - 1)))}d}"


def release_path(name: str, example: Example) -> str:
    """Gives the path that an example has in a release, if it may have it.

    Raises:
      ImageError: It leads elsewhere; keys in tar files may hold anything.
    """
    try:
        path = inside(name)
    except ValueError as error:
        raise ImageError(
            f"{example.name} has a name that leads out of DST; rename it, or leave out "
            f"--keep-names"
        ) from error
    if path.parts[0] in (WORK, MANIFEST):
        raise ImageError(f"{example.name}: {path.parts[0]} has a meaning; rename it")
    return path.as_posix()


def part_path(work: Path) -> Path:
    """Names a new file under way, in the folder for such.

    It is made by `create_private`: nobody but its owner may read it before it has its
    name, since it may be an original.
    """
    return work / f"{secrets.token_hex(16)}{PART}"


def part_folder(work: Path) -> Path:
    """Makes a new folder under way, in the folder for such."""
    return own_folder(work, f"{secrets.token_hex(16)}{PART}")


def aside_name(shard: Shard) -> str:
    """Gives the name of the file that a shard leaves to `Sink.finish`."""
    return f"{WORK}/{shard.name}{ASIDE}"


def is_aside(name: str) -> bool:
    """Tells whether a file of a shard is what it leaves to `Sink.finish`."""
    return name.startswith(f"{WORK}/")


def sweep(root: Path, *suffixes: str) -> None:
    """Removes what a run that was killed left under way.

    Args:
      root: Folder that it wrote to.
      suffixes: Those of files that go as well.

    Raises:
      RunError: The folder for it is a link, which is not followed.
    """
    folder = root / WORK
    if folder.is_symlink() or folder.exists():
        check_folder(folder)
    for path in itertools.chain(*(folder.glob(f"*{s}") for s in (PART, *suffixes))):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def clear(root: Path) -> None:
    """Removes all that is in the folder for files under way, but for the lock.

    Raises:
      RunError: The folder is a link, which is not followed.
      OSError: Something cannot be removed.
    """
    folder = root / WORK
    if not (folder.is_symlink() or folder.exists()):
        return
    check_folder(folder)
    for path in folder.iterdir():
        if path.name == LOCK:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def check_stored(path: Path, expected: str) -> None:
    """Reads back a file that was just written, and forces it to disk.

    Raises:
      RunError: It does not hold what was written.
    """
    flush(path)
    if sha256(path) != expected:
        raise not_stored()


def sha256(path: Path) -> str:
    """Gives the SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def not_stored() -> RunError:
    """Makes the complaint about a file that reads back as something else."""
    return RunError(
        "a file was not stored as it was written; check the disk of DST and run again"
    )


def flush(path: Path) -> None:
    """Forces a file to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

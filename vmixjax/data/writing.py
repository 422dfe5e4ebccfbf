"""What a sink is, and how its files come to be: whole, checked, and then named."""

import dataclasses
import hashlib
import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from vmixjax.data.example import Example
from vmixjax.data.inside import check_folder, inside, own_folder
from vmixjax.errors import ImageError, RunError

MANIFEST = "release.json"
"""What a release says of itself, in its root: no image may be called so."""

WORK = "UNFINISHED"
"""Folder in a release that is not done: files under way, and which are done."""

_PART = ".part"


@dataclasses.dataclass(frozen=True)
class Shard:
    """A part of a split that is written as one.

    Attributes:
      split: its name.
      number: of the shard.
      shards: how many the split has.
      start, stop: the examples of the source that go into it.
      count: examples in the whole split.
    """

    split: str
    number: int
    shards: int
    start: int
    stop: int
    count: int

    @property
    def name(self) -> str:
        """For notes about it."""
        return f"{self.split}-{self.number:06d}"


@dataclasses.dataclass
class Files:
    """Files of a shard, complete, but not under their names yet.

    Attributes:
      parts: for each name where the file lies now, and its SHA-256.
    """

    parts: dict[str, tuple[Path, str]] = dataclasses.field(default_factory=dict)


class Writer(Protocol):
    """Takes the records of a shard in their order."""

    def add(self, name: str, record: bytes) -> None:
        """The next record: what `Sink.encode` gave for the output called `name`."""


class Sink(Protocol):
    """Writes examples as files of some format."""

    root: Path
    holds: Sequence[str]
    """What it stores of each example beside the image, by the names it has there."""

    def output(self, example: Example, shard: Shard, index: int, names: bool) -> str:
        """What the release calls an example, by its number or with its own name.

        Raises:
          ImageError: it cannot be called so.
        """
        ...

    def encode(self, example: Example, output: str) -> bytes:
        """One example's bytes; called from many threads."""
        ...

    def belongings(self, example: Example) -> bytes:
        """What it stores of an example beside the image: alike for alike, and no other.

        A reader of the format gives back what has the same again.
        """
        ...

    def write(
        self, shard: Shard, files: Files, disk: Executor
    ) -> AbstractContextManager[Writer]:
        """Writes a shard; when it ends, `files` has what was written, and checked.

        Threads of `disk` may wait for the disk; none does any more when it ends.
        """
        ...

    def finish(self, counts: Mapping[str, list[tuple[int, int]]]) -> dict[str, str]:
        """What is written after all shards: paths and SHA-256.

        Args:
          counts: for each split the examples and bytes of each of its shards.
        """
        ...


def number(index: int, count: int) -> str:
    """A sequence number, with as many digits for all of them."""
    return f"{index:0{max(5, len(str(count - 1)))}d}"


def below(name: str, example: Example) -> str:
    """A path below the release that is its own to give.

    Raises:
      ImageError: it leads elsewhere; keys in tar files may hold anything.
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


def part(work: Path) -> Path:
    """What a new file under way is called, in the folder for such.

    It is made by `create_private`: nobody but its owner may read it before it has its
    name, since it may be an original.
    """
    return work / f"{secrets.token_hex(16)}{_PART}"


def part_folder(work: Path) -> Path:
    """A new folder under way, in the folder for such."""
    return own_folder(work, f"{secrets.token_hex(16)}{_PART}")


def sweep(root: Path) -> None:
    """Removes what a run that was killed left under way.

    Raises:
      RunError: the folder for it is a link, which is not followed.
    """
    folder = root / WORK
    if folder.is_symlink() or folder.exists():
        check_folder(folder)
    for path in folder.glob(f"*{_PART}"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def check(path: Path, expected: str) -> None:
    """Reads back a file that was just written, and forces it to disk.

    Raises:
      RunError: it does not hold what was written.
    """
    flush(path)
    if sha256(path) != expected:
        raise not_stored()


def sha256(path: Path) -> str:
    """Of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def not_stored() -> RunError:
    """The complaint about a file that reads back as something else."""
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

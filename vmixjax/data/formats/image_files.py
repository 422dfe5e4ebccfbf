"""Image files below a folder, as several formats have them: where, and how written."""

import contextlib
import hashlib
import os
import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, wait
from pathlib import Path, PurePath

from vmixjax.data.example import Example
from vmixjax.data.files import is_inside
from vmixjax.data.inside import create_private, own_folder
from vmixjax.data.writing import (
    WORK,
    Files,
    Writer,
    check_stored,
    part_path,
    release_path,
)
from vmixjax.errors import ImageError, RunError

_MOST_NAME = 255
"""Bytes of the name of a file, or a folder."""

_UNDER_WAY = 64
"""Files that may wait for the disk, in memory."""

_LENGTH = struct.Struct(">Q")
"""Of what comes before an image file in a record."""

MOST_FILES = 2**14
"""To a shard: their names are noted together."""


@contextlib.contextmanager
def listed_file(
    root: Path, relative: PurePath, roots: Sequence[Path], what: str = "picture"
) -> Iterator[Path]:
    """Gives the path of a file that was found below a folder, to be read.

    Args:
      root: Path of the folder.
      relative: Path of the file in it.
      roots: Folders that a link may lead into.
      what: What it is, for complaints.

    Raises:
      ImageError: It is a link that leads elsewhere; or what reading it raises.
      RunError: It is no longer there.
    """
    path = root / relative
    if path.is_symlink() and not any(is_inside(path, one) for one in roots):
        if not path.exists():
            raise ImageError(
                f"{path} is a link that leads nowhere; copy the {what} into the folder"
            )
        raise ImageError(
            f"{path} is a link out of the folder; copy the {what} into it, or name "
            f"the folder that such links lead to with --follow-links"
        )
    try:
        yield path
    except ImageError:
        if not path.exists() and not path.is_symlink():
            raise RunError(
                f"{path} was there and is gone; bring it back and run again"
            ) from None
        raise


def file_path(name: str, example: Example) -> str:
    """Gives the path that the image file of an example has, if it may have it.

    Raises:
      ImageError: It leads elsewhere, would be hidden, or is longer than names can be.
    """
    path = release_path(name, example)
    if any(part.startswith(".") for part in path.split("/")):
        raise ImageError(
            f"{example.name} would be hidden in a folder; rename it or its class, or "
            f"choose another format"
        )
    longest = max(len(os.fsencode(part)) for part in path.split("/"))
    if longest > _MOST_NAME:
        raise ImageError(
            f"{example.name} would have a name of {longest} bytes, and file systems "
            f"take {_MOST_NAME}; make its name, or its class, shorter by "
            f"{longest - _MOST_NAME}"
        )
    return path


def _one_file(name: str, record: bytes) -> Iterable[tuple[str, bytes]]:
    yield name, record


class FilesWriter(Writer):
    """Writes files of their own for each image; threads wait for the disk.

    Args:
      root: Folder to write to.
      files: Is told of them.
      disk: Threads that may wait.
      parts: Gives for a name and a record the names and contents of its files.
    """

    def __init__(
        self,
        root: Path,
        files: Files,
        disk: Executor,
        parts: Callable[[str, bytes], Iterable[tuple[str, bytes]]] = _one_file,
    ) -> None:
        self._work = own_folder(root, WORK)
        self._files, self._disk, self._parts = files, disk, parts
        self._storing: deque[Future[None]] = deque()

    def add(self, name: str, record: bytes) -> None:
        """Adds the files of the next record."""
        for file, content in self._parts(name, record):
            path = part_path(self._work)
            self._files.parts[file] = path, ""
            self._storing.append(self._disk.submit(self._store, file, path, content))
        # A disk that is slower than we are must not fill the memory.
        self.wait(_UNDER_WAY)

    def wait(self, left: int) -> None:
        """Waits until no more than so many files are still to be stored."""
        while len(self._storing) > left:
            self._storing.popleft().result()

    def stop(self) -> None:
        """Ends all, before files are removed: none may appear afterwards."""
        wait([stored for stored in self._storing if not stored.cancel()])

    def _store(self, name: str, path: Path, content: bytes) -> None:
        expected = hashlib.sha256(content).hexdigest()
        with create_private(path) as file:
            file.write(content)
        check_stored(path, expected)
        self._files.parts[name] = path, expected


def packed(first: bytes, image: bytes) -> bytes:
    """Makes one record of an image file and what belongs to it, which comes first."""
    return _LENGTH.pack(len(first)) + first + image


def unpacked(record: bytes) -> tuple[bytes, bytes]:
    """Gives what `packed` was given."""
    (length,) = _LENGTH.unpack_from(record)
    end = _LENGTH.size + length
    return record[_LENGTH.size : end], record[end:]


def write_last(root: Path, contents: Mapping[str, Iterable[bytes]]) -> dict[str, str]:
    """Writes files that come after all shards; gives their SHA-256.

    Args:
      root: Folder to write to.
      contents: For each path below it the content, piece by piece.
    """
    work, files = own_folder(root, WORK), Files()
    try:
        for name, pieces in contents.items():
            path, digest = part_path(work), hashlib.sha256()
            files.parts[name] = path, ""
            with create_private(path) as file:
                for piece in pieces:
                    file.write(piece)
                    digest.update(piece)
            check_stored(path, digest.hexdigest())
            files.parts[name] = path, digest.hexdigest()
        files.publish(root)
        return {name: digest for name, (_, digest) in files.parts.items()}
    finally:
        files.discard()


@contextlib.contextmanager
def files_written(writer: FilesWriter) -> Iterator[FilesWriter]:
    """Lets a writer write, and ends once all its files are stored or given up."""
    try:
        yield writer
        writer.wait(0)
    finally:
        writer.stop()

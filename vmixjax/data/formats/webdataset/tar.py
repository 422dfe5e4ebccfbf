"""Tar files: as releases have them, and read without believing what they say.

A header of 512 bytes can claim any size, and more headers to come; `tarfile` reads as
much as it is told to, and from places where it has been before.
"""

import io
import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from vmixjax.data.formats.webdataset.inflated import is_gzipped, open_inflated

_MOST_HEADER = 2**20
"""Bytes: a header holds names and numbers."""


def member_header(name: str, size: int) -> bytes:
    """Gives what a tar file of a release has before the bytes of a member."""
    # As it is made, it has no owner, no rights of one, and no time.
    member = tarfile.TarInfo(name)
    member.size = size
    return member.tobuf(tarfile.PAX_FORMAT)


def open_tar(path: Path) -> BinaryIO:
    """Opens an ordinary file, or what a gzipped one is inflated to.

    Raises:
      ValueError: It is none, or damaged; a pipe would wait for who writes to it.
      OSError: It cannot be opened.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("is no ordinary file")
    return open_inflated(path) if is_gzipped(path) else path.open("rb")


class _Headers:
    """A tar file for `tarfile` to read headers of, but not as much as they ask for."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _MOST_HEADER:
            raise tarfile.ReadError("a header asks for more than headers hold")
        return self._file.read(size)


def _is_note(name: str) -> bool:
    """Whether a member is a note of a file manager's, as are hidden files."""
    parts = PurePosixPath(name).parts
    return "__MACOSX" in parts or any(
        part.startswith(".") and part != ".." for part in parts
    )


def walk(file: BinaryIO) -> Iterator[tarfile.TarInfo]:
    """Lists the members of a tar file from where it stands, which must follow in turn.

    Hidden ones are passed over, as in folders: they are notes, not pictures.

    Raises:
      ValueError: Something in it is no tar file, or not fit to be read.
    """
    end = file.tell()
    size = file.seek(0, os.SEEK_END)
    file.seek(end)
    headers = cast(BinaryIO, _Headers(file))
    try:
        with tarfile.open(fileobj=headers, mode="r:") as tar:
            for member in tar:
                if member.issparse():
                    raise ValueError("holds a sparse file, which may be of any size")
                if member.size < 0 or member.offset < end:
                    raise ValueError("has members that overlap")
                end = member.offset_data + (member.size if member.isfile() else 0)
                if end > size:
                    raise ValueError("is cut off")
                if not _is_note(member.name):
                    yield member
                # They would be kept, all of them, for as long as the file is open.
                tar.members.clear()  # type: ignore[attr-defined]
    except OSError:
        raise
    except Exception as error:
        # On damaged headers tarfile raises whatever its parsing comes upon.
        if isinstance(error, ValueError) and not isinstance(error, UnicodeError):
            raise
        raise ValueError("is damaged") from error


def walk_bytes(data: bytes) -> Iterator[tarfile.TarInfo]:
    """Lists the members of a piece of a tar file, as `walk` does for the whole.

    Faster where headers hold names and sizes only, as those of a release do.

    Raises:
      ValueError: As `walk`.
    """
    members: list[tarfile.TarInfo] = []
    at = 0
    while at < len(data):
        header = data[at : at + tarfile.BLOCKSIZE]
        try:
            member = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise ValueError("is damaged") from error
        if member.type != tarfile.REGTYPE:
            yield from walk(io.BytesIO(data))
            return
        member.offset, member.offset_data = at, at + tarfile.BLOCKSIZE
        at = member.offset_data + member.size
        if at > len(data):
            raise ValueError("is cut off")
        at += -at % tarfile.BLOCKSIZE
        if not _is_note(member.name):
            members.append(member)
    yield from members


def loose(path: Path) -> Iterator[str]:
    """Says in words what a tar file has beyond members as a release has them."""
    with open_tar(path) as file, open_tar(path) as beside:
        end = 0
        for member in walk(file):
            beside.seek(end)
            between = beside.read(min(member.offset_data - end, _MOST_HEADER))
            if not member.isfile():
                yield f"{member.name} is no file"
            elif any(
                (member.uid, member.gid, member.mtime, member.uname, member.gname)
            ):
                yield f"{member.name} has an owner or a time"
            elif between != member_header(member.name, member.size):
                yield f"{member.name} has more than a name in its header"
            size = member.size if member.isfile() else 0
            end = member.offset_data + size
            beside.seek(end)
            if beside.read(-end % tarfile.BLOCKSIZE).strip(b"\0"):
                yield f"{member.name} has data behind it"
            end += -end % tarfile.BLOCKSIZE
        beside.seek(end)
        if beside.read(2 * tarfile.BLOCKSIZE + 1) != bytes(2 * tarfile.BLOCKSIZE):
            yield "there is data behind its end"

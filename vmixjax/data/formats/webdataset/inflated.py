"""Gzipped tar files: inflated once, into files that nobody else can open.

Samples are read by where they begin, and a gzipped file has no such places. What it is
inflated to has no name, so it is gone when the process is, however that ends.
"""

import atexit
import gzip
import io
import os
import tempfile
import threading
import zlib
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from vmixjax.errors import RunError

_SUFFIXES = (".tar.gz", ".tgz")

_MOST_BYTES = 2**36
"""Of what a file is inflated to."""

_PIECE = 2**20

_lock = threading.Lock()
_inflated: dict[tuple[Path, int, int], IO[bytes]] = {}


def is_gzipped(path: Path) -> bool:
    """Tells whether a path has the name of a gzipped tar file."""
    return path.name.lower().endswith(_SUFFIXES)


def open_inflated(path: Path) -> BinaryIO:
    """Opens what a gzipped file is inflated to, for reading.

    Raises:
      ValueError: It is damaged.
      RunError: It has too much in it.
      OSError: It cannot be read, or there is no room for what is in it.
    """
    status = path.stat()
    key = path.absolute(), status.st_size, status.st_mtime_ns
    with _lock:
        if key not in _inflated:
            _inflated[key] = _inflate(path)
        # Each has a place of its own in it.
        return cast(BinaryIO, io.BufferedReader(_Shared(_inflated[key].fileno())))


def _inflate(path: Path) -> IO[bytes]:
    file = tempfile.TemporaryFile()  # noqa: SIM115 (kept until the process ends)
    try:
        left = _MOST_BYTES
        with gzip.open(path) as source:
            while piece := source.read(min(_PIECE, left + 1)):
                left -= len(piece)
                if left < 0:
                    raise RunError(
                        f"{path} inflates to more than {_MOST_BYTES} bytes; unpack it "
                        f"with gunzip, and name what comes of it"
                    )
                file.write(piece)
        file.flush()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        file.close()
        raise ValueError("is damaged") from error
    except BaseException:
        file.close()
        raise
    # Python says of what it closes by itself that it was forgotten.
    atexit.register(file.close)
    return file


class _Shared(io.RawIOBase):
    """A file by its descriptor, which others read at other places."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._place = descriptor, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {
            os.SEEK_SET: 0,
            os.SEEK_CUR: self._place,
            os.SEEK_END: os.fstat(self._descriptor).st_size,
        }[whence]
        self._place = max(0, start + offset)
        return self._place

    def readinto(self, buffer: Any) -> int:
        piece = os.pread(self._descriptor, len(buffer), self._place)
        buffer[: len(piece)] = piece
        self._place += len(piece)
        return len(piece)

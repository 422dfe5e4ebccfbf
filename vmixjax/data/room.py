"""Room in memory for images that are read ahead, in bytes.

A file of some kilobytes can hold a picture of hundreds of megabytes, and many such can
follow each other, so that a number of images bounds nothing.
"""

import threading
from collections.abc import Callable

MAX_PIXELS = 2**28
"""Most pixels of an image: 268 million, for the 200 of phones and for panoramas.

So a hostile file of some kilobytes can take 2 GB while it is decoded, or 4 as WebP.
"""

Claim = Callable[[int], None]
"""Asks for room for so many bytes, before they are taken; raises `NoRoom`."""


class NoRoom(Exception):
    """There is no room for an image yet: it is to be read again later.

    Attributes:
      size: Bytes that it takes.
    """

    def __init__(self, size: int) -> None:
        super().__init__(f"no room for {size} bytes")
        self.size = size


def at_once(size: int) -> None:
    """Meets any claim: for one image at a time."""
    del size


class Room:
    """Counts bytes; nobody waits here, since who waits may keep others from ending.

    Args:
      limit: Bytes for all together.
    """

    def __init__(self, limit: int) -> None:
        self._limit, self._used = limit, 0
        self._lock = threading.Lock()

    def take(self, size: int, *, always: bool = False) -> bool:
        """Takes room if there is some, and tells; `always` takes it in any case."""
        with self._lock:
            fits = always or self._used + size <= self._limit
            self._used += size if fits else 0
            return fits

    def give_back(self, size: int) -> None:
        """Frees what was taken."""
        with self._lock:
            self._used -= size

"""Images are read ahead, by the threads of a run, as far as memory has room for them.

The threads are started once. New ones for each shard would be simpler, but each takes
some memory for good.
"""

import contextlib
import dataclasses
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor

from vmixjax.data.example import Example, Source
from vmixjax.data.room import Claim, NoRoom, Room, at_once
from vmixjax.data.writing import Shard
from vmixjax.errors import ImageError
from vmixjax.release.transforms import Task

_IMAGES, WINDOW_BYTES = 256, 2**24
"""A window of a shard: images that are transformed together are among so many."""

_ROOM = 2**27
"""Bytes of images that are read ahead, for each thread that decodes."""

_WAITING = 16
"""Files that are forced to disk at once: it confirms many in the time of one."""

Read = Callable[[int, Claim], Task]
"""Gives the task of a number, or raises `ImageError`; called from many threads.

It claims room for the image before it decodes it.
"""


@dataclasses.dataclass(frozen=True)
class Threads:
    """Who does what, side by side.

    Attributes:
      codec: Threads that decode and encode.
      device: One thread, which hands images to the device and waits for it.
      disk: Threads that force files to disk, and wait for it.
      ahead: Most images that are decoded before they are needed.
      room: Bytes that they may take together.
    """

    codec: Executor
    device: Executor
    disk: Executor
    ahead: int
    room: int


@contextlib.contextmanager
def start_threads(count: int | None = None) -> Iterator[Threads]:
    """Starts the threads of a run, `count` of them to decode and encode.

    By default one for each processor. When the block ends by an error, what has not
    begun is not done.
    """
    count = count or os.cpu_count() or 1
    with (
        ThreadPoolExecutor(count) as codec,
        ThreadPoolExecutor(1) as device,
        ThreadPoolExecutor(_WAITING) as disk,
    ):
        try:
            yield Threads(codec, device, disk, ahead=4 * count, room=_ROOM * count)
        except BaseException:
            for pool in (codec, device, disk):
                pool.shutdown(cancel_futures=True)
            raise


def readable(source: Source) -> Iterator[Example]:
    """Yields all examples that can be read, one after the other."""
    for split, count in source.splits.items():
        for index in range(count):
            with contextlib.suppress(ImageError):
                yield source.read(split, index)


def read_windows(
    shard: Shard,
    read: Read,
    threads: Threads,
    leave_out: Callable[[ImageError], None],
) -> Iterator[list[Task]]:
    """Reads what is in a shard ahead, in windows.

    Where a window ends depends on nothing but the images.

    Args:
      shard: The shard.
      read: Reads one image; see `Read`.
      threads: Threads that read.
      leave_out: Is told what cannot be read.
    """
    window: list[Task] = []
    size = 0
    for task in _Reader(read, threads).run(shard):
        if isinstance(task, ImageError):
            leave_out(task)
            continue
        window.append(task)
        size += task.example.image.nbytes
        # Nothing here shall keep an image once its window is given away.
        del task
        if len(window) >= _IMAGES or size >= WINDOW_BYTES:
            yield _emptied(window)
            size = 0
    if window:
        yield _emptied(window)


def _emptied(window: list[Task]) -> list[Task]:
    """Gives what is in a list, and leaves nothing there."""
    tasks = window.copy()
    window.clear()
    return tasks


@dataclasses.dataclass
class _Reading:
    """One image on its way: what comes of it, and the room that it has taken."""

    index: int
    future: Future[Task | ImageError | NoRoom]
    size: int = 0


class _Reader:
    """Reads the images of a shard in their order, some of them ahead."""

    def __init__(self, read: Read, threads: Threads) -> None:
        self._read, self._threads = read, threads
        self._room = Room(threads.room)
        self._readings: deque[_Reading] = deque()

    def run(self, shard: Shard) -> Iterator[Task | ImageError]:
        """Yields what comes of each image."""
        try:
            for index in range(shard.start, shard.stop):
                self._start(index)
                if len(self._readings) > self._threads.ahead:
                    yield self._first()
            while self._readings:
                yield self._first()
        finally:
            for reading in self._readings:
                reading.future.cancel()

    def _start(self, index: int) -> None:
        reading = _Reading(index, Future())

        def claim(size: int) -> None:
            if not self._room.take(size):
                raise NoRoom(size)
            reading.size = size

        reading.future = self._threads.codec.submit(self._do, reading, claim)
        self._readings.append(reading)

    def _do(self, reading: _Reading, claim: Claim) -> Task | ImageError | NoRoom:
        try:
            task = self._read(reading.index, claim)
        except (ImageError, NoRoom) as error:
            return error.with_traceback(None)
        # Decoding takes more than what comes of it.
        left = min(reading.size, task.example.image.nbytes)
        self._room.give_back(reading.size - left)
        reading.size = left
        return task

    def _again(
        self, reading: _Reading, refused: NoRoom, *, always: bool = False
    ) -> bool:
        if not self._room.take(refused.size, always=always):
            return False
        reading.size = refused.size
        reading.future = self._threads.codec.submit(self._do, reading, at_once)
        return True

    def _first(self) -> Task | ImageError:
        reading = self._readings.popleft()
        result = reading.future.result()
        if isinstance(result, NoRoom):
            # All before it are somebody else's care: it may always go on.
            self._again(reading, result, always=True)
            result = reading.future.result()
        assert not isinstance(result, NoRoom)
        self._room.give_back(reading.size)
        for other in self._readings:
            refused = other.future.result() if other.future.done() else None
            if isinstance(refused, NoRoom) and not self._again(other, refused):
                break
        return result

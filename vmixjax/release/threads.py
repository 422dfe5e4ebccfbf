"""The threads of a run, started once.

New ones for each shard would be simpler, but each takes some memory for good.
"""

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor

_ROOM = 2**27
"""Bytes of images that are read ahead, for each thread that decodes."""

_WAITING = 16
"""Files that are forced to disk at once: it confirms many in the time of one."""


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

    By default one for each processor.
    When the block ends by an error, what has not begun is not done.
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

"""One shard from source to sink: the same on one machine and on many.

Which images are in a shard follows from their numbers, and what is done to an image
from nothing but itself, so neither the number of workers nor their order changes a
byte.
"""

import dataclasses
import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait

from vmixjax.data.example import Source
from vmixjax.data.inside import move_inside, usual_mode
from vmixjax.data.room import Claim, NoRoom, Room, at_once
from vmixjax.data.writing import WORK, Files, Shard, Sink, Writer
from vmixjax.errors import ImageError
from vmixjax.release.manifest import Tally
from vmixjax.release.threads import Threads
from vmixjax.release.transforms import Done, Task, Work

_IMAGES, _BYTES = 256, 2**24
"""A window of a shard: images that are worked on together are among so many."""

Tell = Callable[[int, ImageError | None], None]
"""Told of images that are done, and of one that was left out, with the reason."""


def list_shards(splits: Mapping[str, int], size: int) -> list[Shard]:
    """All shards of all splits, in order."""
    return [
        Shard(
            split=split,
            number=number,
            shards=math.ceil(count / size),
            start=number * size,
            stop=min((number + 1) * size, count),
            count=count,
        )
        for split, count in splits.items()
        for number in range(math.ceil(count / size))
    ]


def write_shard(
    shard: Shard,
    source: Source,
    work: Work,
    sink: Sink,
    threads: Threads,
    tell: Tell,
) -> tuple[Files, Tally]:
    """Reads, works on and writes the examples of a shard.

    Args:
      shard: which.
      source: that it is read from.
      work: what is done to its images.
      sink: that writes it.
      threads: that do it.
      tell: see `Tell`. What it raises ends the shard.

    Returns:
      Its files, which have no final names yet, and what became of its images.

    Raises:
      RunError, VaultError, OSError: it cannot be done; nothing is left of it.
    """
    files, tally = Files(), Tally()
    working: deque[Future[list[Done | ImageError]]] = deque()
    encoding: deque[tuple[Done, Future[bytes]]] = deque()

    def leave_out(error: ImageError) -> None:
        tally.skipped += 1
        tell(1, error)

    def encode(results: list[Done | ImageError]) -> None:
        for done in results:
            if isinstance(done, ImageError):
                leave_out(done)
            else:
                record = threads.codec.submit(sink.encode, done.example, done.output)
                encoding.append((done, record))

    def drain(writer: Writer) -> None:
        while encoding:
            done, record = encoding.popleft()
            writer.add(done.output, record.result())
            tally.add(done.tally)
            tell(1, None)

    def read(index: int, claim: Claim) -> Task:
        example = source.read(shard.split, index, claim)
        return work.prepare(example, shard, index)

    try:
        with sink.write(shard, files, threads.disk) as writer:
            try:
                # While one window is worked on, the one before it is encoded and the
                # one behind it is read; large images go one after the other.
                for window in read_windows(shard, read, threads, leave_out):
                    large = _size(window) > 2 * _BYTES
                    working.append(
                        threads.device.submit(work.do, window, threads.codec)
                    )
                    del window
                    drain(writer)
                    while working and (large or len(working) > 1):
                        encode(working.popleft().result())
                    if large:
                        drain(writer)
                while working:
                    drain(writer)
                    encode(working.popleft().result())
                drain(writer)
            except BaseException:
                for _, record in encoding:
                    record.cancel()
                # What is under way may still use the vault.
                wait([done for done in working if not done.cancel()])
                raise
    except BaseException:
        discard(files)
        raise
    return files, tally


def _size(window: list[Task]) -> int:
    return sum(task.example.image.nbytes for task in window)


def discard(files: Files) -> None:
    """Removes what has no final name."""
    for path, _ in files.parts.values():
        path.unlink(missing_ok=True)


def settle(files: Files, sink: Sink) -> None:
    """Gives files their names, and the permissions that any new file has."""
    if not files.parts:
        return
    root = sink.root
    mode = usual_mode(root / WORK)
    moves = [(f"{WORK}/{path.name}", name) for name, (path, _) in files.parts.items()]
    move_inside(root, moves, mode)


def read_windows(
    shard: Shard,
    read: Callable[[int, Claim], Task],
    threads: Threads,
    leave_out: Callable[[ImageError], None],
) -> Iterator[list[Task]]:
    """Reads what is in a shard ahead, in windows of so much as memory has room for.

    Args:
      shard: which.
      read: gives the task of a number, or raises `ImageError`; called from many
        threads. It claims room for the image before it decodes it.
      threads: that read.
      leave_out: is told what cannot be read.
    """
    # Where a window ends depends on nothing but the images.
    window: list[Task] = []
    size = 0
    for task in _read(shard, read, threads):
        if isinstance(task, ImageError):
            leave_out(task)
            continue
        window.append(task)
        size += task.example.image.nbytes
        # Batches are powers of two: so few of them have to be filled up.
        whole = len(window).bit_count() == 1
        if len(window) >= _IMAGES or (size >= _BYTES and whole):
            yield window
            window, size = [], 0
    if window:
        yield window


@dataclasses.dataclass
class _Reading:
    """One image on its way: what comes of it, and the room that it has taken."""

    index: int
    future: Future[Task | ImageError | NoRoom]
    size: int = 0


def _read(
    shard: Shard, read: Callable[[int, Claim], Task], threads: Threads
) -> Iterator[Task | ImageError]:
    room = Room(threads.room)
    reading: deque[_Reading] = deque()

    def do(one: _Reading, claim: Claim) -> Task | ImageError | NoRoom:
        try:
            task = read(one.index, claim)
        except (ImageError, NoRoom) as error:
            return error.with_traceback(None)
        # Decoding takes more than what comes of it.
        left = min(one.size, task.example.image.nbytes)
        room.give_back(one.size - left)
        one.size = left
        return task

    def start(index: int) -> _Reading:
        def claim(size: int) -> None:
            if not room.take(size):
                raise NoRoom(size)
            one.size = size

        one = _Reading(index, Future())
        one.future = threads.codec.submit(do, one, claim)
        return one

    def again(one: _Reading, refused: NoRoom, *, always: bool = False) -> bool:
        if not room.take(refused.size, always=always):
            return False
        one.size = refused.size
        one.future = threads.codec.submit(do, one, at_once)
        return True

    def first() -> Task | ImageError:
        one = reading.popleft()
        result = one.future.result()
        if isinstance(result, NoRoom):
            # All before it are somebody else's care: it may always go on.
            again(one, result, always=True)
            result = one.future.result()
        assert not isinstance(result, NoRoom)
        room.give_back(one.size)
        for other in reading:
            refused = other.future.result() if other.future.done() else None
            if isinstance(refused, NoRoom) and not again(other, refused):
                break
        return result

    try:
        for index in range(shard.start, shard.stop):
            reading.append(start(index))
            if len(reading) > threads.ahead:
                yield first()
        while reading:
            yield first()
    finally:
        for one in reading:
            one.future.cancel()

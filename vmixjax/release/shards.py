"""One shard from source to sink: the same on one machine and on many.

Which images are in a shard follows from their numbers, and what is done to an image
from nothing but itself, so neither the number of workers nor their order changes a
byte.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait

from vmixjax.release.examples import Source
from vmixjax.release.images import ImageError
from vmixjax.release.manifest import Tally
from vmixjax.release.sinks.sink import Files, Shard, Sink, Writer
from vmixjax.release.threads import Threads
from vmixjax.release.work import Done, Task, Work

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

    try:
        with sink.write(shard, files, threads.disk) as writer:
            try:
                # While one window is worked on, the one before it is encoded and the
                # one behind it is read.
                for window in _windows(_read(shard, source, work, threads), leave_out):
                    working.append(
                        threads.device.submit(work.do, window, threads.codec)
                    )
                    drain(writer)
                    if len(working) > 1:
                        encode(working.popleft().result())
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


def discard(files: Files) -> None:
    """Removes what has no final name."""
    for path, _ in files.parts.values():
        path.unlink(missing_ok=True)


def settle(files: Files, sink: Sink) -> None:
    """Gives files their names."""
    for name, (path, _) in files.parts.items():
        final = sink.root / name
        final.parent.mkdir(parents=True, exist_ok=True)
        path.replace(final)


def _read(
    shard: Shard, source: Source, work: Work, threads: Threads
) -> Iterator[Task | ImageError]:
    def one(index: int) -> Task | ImageError:
        try:
            return work.prepare(source.read(shard.split, index), shard, index)
        except ImageError as error:
            return error

    reading: deque[Future[Task | ImageError]] = deque()
    try:
        for index in range(shard.start, shard.stop):
            reading.append(threads.codec.submit(one, index))
            if len(reading) > threads.ahead:
                yield reading.popleft().result()
        while reading:
            yield reading.popleft().result()
    finally:
        for future in reading:
            future.cancel()


def _windows(
    tasks: Iterator[Task | ImageError], leave_out: Callable[[ImageError], None]
) -> Iterator[list[Task]]:
    """Bounds memory; where a window ends depends on nothing but the images."""
    window: list[Task] = []
    size = 0
    for task in tasks:
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

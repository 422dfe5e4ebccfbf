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
from vmixjax.data.room import Claim
from vmixjax.data.writing import Files, Shard, Sink, Stored, Writer
from vmixjax.errors import Gone, ImageError, RunError
from vmixjax.release.reading import WINDOW_BYTES, Threads, read_windows
from vmixjax.release.schema import Tally
from vmixjax.release.transforms import Result, Task, Transform

Tell = Callable[[int, ImageError | None], None]
"""Is told of images that are done, and of one that was left out, with the reason."""


def stops_at_errors(tell: Tell) -> Tell:
    """Makes what is told raise `RunError` for an image that would be left out."""

    def strict(images: int, error: ImageError | None) -> None:
        if error is not None:
            raise RunError(f"{error} (--strict)")
        tell(images, error)

    return strict


def list_shards(splits: Mapping[str, int], size: int) -> list[Shard]:
    """Lists all shards of all splits, in order."""
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
    transform: Transform,
    sink: Sink,
    threads: Threads,
    tell: Tell,
) -> tuple[Files, Tally]:
    """Reads, transforms and writes the examples of a shard.

    Args:
      shard: The shard.
      source: Source that it is read from.
      transform: What is done to its images.
      sink: Sink that writes it.
      threads: Threads that do it.
      tell: See `Tell`. What it raises ends the shard.

    Returns:
      Its files, which have no final names yet, and what became of its images.

    Raises:
      RunError, VaultError, OSError: It cannot be done; nothing is left of it.
    """
    files = Files()

    def read(index: int, claim: Claim) -> Task:
        example = source.read(shard.split, index, claim)
        return transform.prepare(example, shard, index)

    try:
        with sink.write(shard, files, threads.disk) as writer:
            pipeline = _Pipeline(transform, sink, writer, threads, tell)
            try:
                pipeline.run(read_windows(shard, read, threads, pipeline.leave_out))
            except BaseException:
                pipeline.cancel()
                raise
    except BaseException:
        files.discard()
        raise
    return files, pipeline.tally


@dataclasses.dataclass
class _Pipeline:
    """While one window is transformed, the one before it is encoded and written.

    The one behind it is read; large images go one after the other.
    """

    transform: Transform
    sink: Sink
    writer: Writer
    threads: Threads
    tell: Tell
    tally: Tally = dataclasses.field(default_factory=Tally)

    def __post_init__(self) -> None:
        self._written: set[str] = set()
        self._transforming: deque[Future[list[Result | ImageError]]] = deque()
        self._encoding: deque[tuple[Result, Future[bytes | ImageError]]] = deque()

    def run(self, windows: Iterator[list[Task]]) -> None:
        """Takes all windows, and ends once they are written."""
        for window in windows:
            size = sum(task.example.image.nbytes for task in window)
            large = size > 2 * WINDOW_BYTES
            results = self.threads.device.submit(
                self.transform.apply, window, self.threads.codec
            )
            self._transforming.append(results)
            # Its images need not stay while others are written.
            del window, results
            self._write()
            while self._transforming and (large or len(self._transforming) > 1):
                self._encode()
            if large:
                self._write()
        while self._transforming:
            self._write()
            self._encode()
        self._write()

    def cancel(self) -> None:
        """Ends at once, but for what is under way and may still use the vault."""
        for _, record in self._encoding:
            record.cancel()
        wait([results for results in self._transforming if not results.cancel()])

    def leave_out(self, error: ImageError) -> None:
        """Counts an image that is not fit, and tells why."""
        if isinstance(error, Gone):
            self.tell(1, None)
            return
        self.tally.skipped += 1
        self.tell(1, error)

    def _encode(self) -> None:
        for result in self._transforming.popleft().result():
            if isinstance(result, ImageError):
                self.leave_out(result)
            else:
                record = self.threads.codec.submit(_encoded, self.sink, result)
                self._encoding.append((result, record))

    def _write(self) -> None:
        while self._encoding:
            result, encoding = self._encoding.popleft()
            record = encoding.result()
            if result.output in self._written:
                record = ImageError(
                    f"{result.example.name} would be called {result.output}, as "
                    f"another image is; rename one of them"
                )
            if isinstance(record, ImageError):
                self.leave_out(record)
                continue
            self._written.add(result.output)
            self.writer.add(result.output, record)
            self.tally.add(result.tally)
            self.tell(1, None)


def _encoded(sink: Sink, result: Result) -> bytes | ImageError:
    """The record of an example; or why it would not be read back as it is."""
    example = result.example
    record = sink.encode(example, result.output)
    image, belongings = example.image, sink.belongings(example)
    expected = Stored(result.output, image.shape, image.dtype, belongings)
    try:
        stored = sink.reread(record, result.output)
    except ImageError as error:
        return ImageError(f"{example.name} could not be read back: {error}")
    for what, there, right in zip(Stored._fields, stored, expected, strict=True):
        if there != right:
            return ImageError(
                f"{example.name} would be read back with another {what}; leave it out, "
                f"or choose another --format"
            )
    return record

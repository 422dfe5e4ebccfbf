"""The engine on many machines: Apache Beam hands out shards.

What travels are names of places and numbers of shards, never a secret: each worker
reads that from its file, so SRC, DST and the files that are named must lie where all
workers reach them.
"""

import contextlib
import logging
import threading
from collections.abc import Iterator, Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from vmixjax.data.writing import Shard
from vmixjax.errors import ImageError, RunError
from vmixjax.release.config import ReleaseConfig, ReleaseJob, open_job
from vmixjax.release.journal import Journal
from vmixjax.release.progress import Progress
from vmixjax.release.shards import write_shard
from vmixjax.release.threads import start_threads

_SECONDS = 2.0
"""Between two looks at what is done."""


def run_beam(
    order: ReleaseConfig,
    opened: ReleaseJob,
    shards: Sequence[Shard],
    journal: Journal,
    progress: Progress,
    *,
    options: Sequence[str] = (),
) -> None:
    """The engine on many machines; `options` are Beam's own.

    The order has to name a secret that all workers can read.
    """
    numbers = [opened.shards.index(shard) for shard in shards]
    with (
        _watched(shards, journal, progress),
        beam.Pipeline(options=PipelineOptions(list(options))) as pipeline,
    ):
        _ = (
            pipeline
            | "shards" >> beam.Create(numbers)
            | "share out" >> beam.Reshuffle()
            | "mix" >> beam.ParDo(_MixShard(order))
        )


@contextlib.contextmanager
def _watched(
    shards: Sequence[Shard], journal: Journal, progress: Progress
) -> Iterator[None]:
    """Tells of shards as they get done: their notes appear, wherever workers are."""
    left, ended = list(shards), threading.Event()
    for shard in shards:
        journal.forget(shard)

    def look() -> None:
        for shard in [shard for shard in left if journal.has(shard)]:
            tally = journal.read(shard).tally
            progress.tell(tally.images + tally.skipped, None)
            if tally.skipped:
                progress.leave_out(shard.name, tally.skipped)
            left.remove(shard)

    def watch() -> None:
        while not ended.wait(_SECONDS):
            look()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
    look()


class _MixShard(beam.DoFn):
    """Writes one shard, as the engine on one machine does."""

    def __init__(self, order: ReleaseConfig) -> None:
        self._order = order

    def setup(self) -> None:
        """Opens the source, once for all shards of a worker."""
        self._source = self._order.source()

    def process(self, element: int) -> Iterator[int]:
        """Takes the number of a shard, and gives it back when that is there."""
        order = self._order
        rows = order.vault / f"{element:08d}.rows" if order.vault else None

        def tell(images: int, error: ImageError | None) -> None:
            if error is not None and order.strict:
                raise RunError(f"{error} (--strict)")
            if error is not None:
                logging.getLogger(__name__).warning("skipped: %s", error)

        with (
            open_job(order, self._source, first=False, rows=rows) as opened,
            start_threads(1) as threads,
        ):
            shard = opened.shards[element]
            files, tally = write_shard(
                shard, opened.source, opened.work, opened.sink, threads, tell
            )
            journal = Journal(order.dst, opened.secret, opened.identity)
            journal.commit(shard, files, tally, opened.sink)
        yield element

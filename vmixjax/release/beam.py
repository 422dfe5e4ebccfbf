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

from vmixjax.data.soft_labels import origin_of
from vmixjax.data.writing import Shard
from vmixjax.errors import ImageError, RunError
from vmixjax.release.job import ReleaseJob, open_job
from vmixjax.release.journal import Journal
from vmixjax.release.progress import Progress
from vmixjax.release.reading import start_threads

_SECONDS = 2.0
"""Between two looks at what is done."""


def run_beam(
    job: ReleaseJob,
    shards: Sequence[Shard],
    progress: Progress,
    *,
    options: Sequence[str] = (),
) -> None:
    """The engine on many machines; `options` are Beam's own.

    The config has to name a secret that all workers can read.
    """
    numbers = [job.shards.index(shard) for shard in shards]
    with (
        _watched(shards, job.journal, progress),
        beam.Pipeline(options=PipelineOptions(list(options))) as pipeline,
    ):
        _ = (
            pipeline
            | "shards" >> beam.Create(numbers)
            | "share out" >> beam.Reshuffle()
            | "mix" >> beam.ParDo(_MixShard(job))
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
    """Mixes one shard, as the engine on one machine does."""

    def __init__(self, job: ReleaseJob) -> None:
        self._config, self._pixels = job.config, job.pixels
        self._soft_labels = origin_of(job.source)

    def setup(self) -> None:
        """Opens the source, once for all shards of a worker."""
        self._source = self._config.source()
        if origin_of(self._source) != self._soft_labels:
            raise RunError("--soft-labels was changed meanwhile; mix anew")

    def process(self, element: int) -> Iterator[int]:
        """Takes the number of a shard, and gives it back when that is there."""
        with (
            open_job(
                self._config, self._source, only=element, pixels=self._pixels
            ) as job,
            start_threads(1) as threads,
        ):
            job.mix(job.shards[element], threads, _log)
        yield element


def _log(images: int, error: ImageError | None) -> None:
    if error is not None:
        logging.getLogger(__name__).warning("skipped: %s", error)

"""Mixing a whole data set into a release, on one machine or on many."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from vmixjax.data.inside import holds
from vmixjax.data.writing import MANIFEST, Shard
from vmixjax.errors import ImageError, RunError
from vmixjax.release.config import ReleaseConfig, ReleaseJob, merge_rows, open_job
from vmixjax.release.journal import Journal
from vmixjax.release.keys import digest
from vmixjax.release.manifest import (
    Tally,
    is_signed,
    read_signed,
    signature,
    write_manifest,
)
from vmixjax.release.progress import Progress
from vmixjax.release.shards import write_shard
from vmixjax.release.threads import start_threads

_LONG = ("shards", "signature")
"""What `write_manifest` does not return."""

Engine = Callable[[ReleaseConfig, ReleaseJob, Sequence[Shard], Journal, Progress], None]
"""Writes shards of an order, and notes each in the journal."""


def mix_release(
    order: ReleaseConfig, engine: Engine, progress: Progress
) -> dict[str, Any]:
    """Mixes a data set, or does what is left of it.

    Args:
      order: what is asked for.
      engine: that does the work.
      progress: is told of it.

    Returns:
      The manifest, but for the shards.

    Raises:
      RunError, VaultError, OSError: it cannot begin or go on. What was written stays,
        and a run with the same secret goes on from there.
    """
    order.check()
    forgotten = order.secret_file is None and order.vault is None
    source = order.source()
    about = order.about(source)
    Journal(order.dst).look(about)
    with open_job(order, source) as opened, ThreadPoolExecutor() as threads:
        journal = Journal(order.dst, opened.secret, opened.identity)
        marks = {
            "source": digest(opened.secret, b"vmixjax source", source.traces()),
            "secret": digest(opened.secret, b"vmixjax secret", []),
        }
        begun = journal.begin(about, dict.fromkeys(marks) if forgotten else marks)
        if (order.dst / MANIFEST).exists():
            return _complete(order, opened, forgotten, journal)
        if order.vault is not None and opened.vault is not None:
            merge_rows(order.vault, opened.vault)
        pending = journal.pending(opened.shards, threads)
        there = sum(s.stop - s.start for s in opened.shards)
        there -= sum(s.stop - s.start for s in pending)
        if begun == "goes on":
            progress.say(f"going on with {order.dst}: {there} images are there")
        elif begun == "over":
            progress.say(
                f"starting {order.dst} over: it was begun without --vault or "
                f"--secret-file, and that secret is forgotten"
            )
        with progress.of(sum(source.splits.values()), there):
            engine(order, opened, pending, journal, progress)
        if order.vault is not None and opened.vault is not None:
            merge_rows(order.vault, opened.vault)
        return _finish(order, opened, journal, about)


def run_local(
    order: ReleaseConfig,
    opened: ReleaseJob,
    shards: Sequence[Shard],
    journal: Journal,
    progress: Progress,
    *,
    workers: int | None = None,
) -> None:
    """The engine on one machine: threads decode and encode, the device mixes."""
    count = workers or os.cpu_count() or 1

    def tell(images: int, error: ImageError | None) -> None:
        if error is not None and order.strict:
            raise RunError(f"{error} (--strict)")
        progress.tell(images, error)

    with start_threads(count) as threads:
        for shard in shards:
            files, tally = write_shard(
                shard, opened.source, opened.work, opened.sink, threads, tell
            )
            journal.commit(shard, files, tally, opened.sink)


def _finish(
    order: ReleaseConfig,
    opened: ReleaseJob,
    journal: Journal,
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """Writes what comes after all shards, the manifest last."""
    total = Tally()
    splits = dict.fromkeys(opened.source.splits, 0)
    counts: dict[str, list[tuple[int, int]]] = {split: [] for split in splits}
    for shard in opened.shards:
        note = journal.read(shard)
        total.add(note.tally)
        splits[shard.split] += note.tally.images
        counts[shard.split].append((note.tally.images, note.size))
    if not total.images:
        raise RunError(f"no image of SRC {order.src} could be mixed, as said above")
    files = opened.sink.finish(counts)

    def shards() -> Iterator[dict[str, Any]]:
        for shard in opened.shards:
            note = journal.read(shard)
            images, parts = note.tally.images, dict(note.files)
            yield {"split": shard.split, "images": images, "files": parts}

    def sign(written: bytes) -> str:
        made = signature(opened.secret, written)
        if opened.vault is not None:
            opened.vault.vouch(made)
        return made

    manifest = write_manifest(
        order.dst,
        about,
        opened.identity,
        splits,
        total,
        opened.sink.holds,
        shards(),
        files,
        sign,
    )
    journal.end()
    return manifest


def _complete(
    order: ReleaseConfig, opened: ReleaseJob, forgotten: bool, journal: Journal
) -> dict[str, Any]:
    """A release that is there already, if it is what is asked for."""
    manifest, written = read_signed(order.dst)
    if forgotten:
        raise RunError(
            f"DST {order.dst} holds a release whose secret is forgotten; name "
            f"another folder"
        )
    if manifest.identity != opened.identity:
        raise RunError(
            f"DST {order.dst} holds a finished release with another secret; name "
            f"another folder, or its --vault or --secret-file"
        )
    whole = is_signed(manifest, written, opened.secret)
    if opened.vault is not None:
        whole = opened.vault.vouches_for(manifest, written)
    if not whole:
        raise RunError(
            f"{order.dst / MANIFEST}, of a finished release, was changed since it was "
            f"written; name another folder and mix again"
        )
    for name, expected in manifest.all_files().items():
        if not holds(order.dst, name, expected):
            raise RunError(
                f"{order.dst / name}, of a finished release, is missing or was "
                f"changed; name another folder and mix again"
            )
    journal.end()
    values: dict[str, Any] = msgspec.to_builtins(manifest)
    return {name: value for name, value in values.items() if name not in _LONG}

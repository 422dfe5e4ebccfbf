"""Mixing a whole data set into a release, on one machine or on many."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from vmixjax.data.example import Label, Schema, Source, class_field
from vmixjax.data.formats import FORMATS
from vmixjax.data.inside import holds
from vmixjax.data.objects import Objects
from vmixjax.data.writing import MANIFEST, Shard, is_aside, note_files
from vmixjax.errors import RunError
from vmixjax.release.changes import (
    Changes,
    Fingerprint,
    changed_meanwhile,
    find_changes,
)
from vmixjax.release.config import ReleaseConfig
from vmixjax.release.exclusive import exclusive
from vmixjax.release.job import ReleaseJob, open_job
from vmixjax.release.journal import Begun, Journal
from vmixjax.release.keys import digest, read_secret
from vmixjax.release.manifest import (
    describe,
    is_signed,
    read_manifest,
    release_identity,
    signature,
    write_manifest,
)
from vmixjax.release.overlaps import check_overlaps
from vmixjax.release.progress import Progress, tell_of_source
from vmixjax.release.reading import start_threads
from vmixjax.release.remembering import RememberingSource
from vmixjax.release.schema import Manifest, Tally
from vmixjax.release.update import (
    can_update,
    earlier_sources,
    placed,
    put_tallies,
    remove_old,
    reopen,
    times_of,
)

_LONG = ("shards", "signature")
"""What the description of a release leaves out of its manifest."""

Engine = Callable[[ReleaseJob, Sequence[Shard], Progress], None]
"""Mixes shards of a job, see `ReleaseJob.mix`, on one machine or on many."""


def mix_release(
    config: ReleaseConfig,
    engine: Engine,
    progress: Progress,
    *,
    workers: int | None = None,
    source: Source | None = None,
) -> dict[str, Any]:
    """Mixes a data set, or does what is left of it.

    Args:
      config: What is asked for.
      engine: Engine that does the work.
      progress: Is told of it.
      workers: Threads that look for images of the same scene, on this machine; by
        default one for each processor.
      source: The data set, where it is open already, with nothing in it that is not to
        pass; by default that which the config names.

    Returns:
      The manifest, but for the shards and the signature, and with names of classes.

    Raises:
      RunError, VaultError, OSError: It cannot begin or go on. What was written stays,
        and a run with the same secret goes on from there.
    """
    config.check()
    source = source or config.source()
    with exclusive(config.dst):
        return _mix(config, source, engine, progress, workers)


def _mix(
    config: ReleaseConfig,
    source: Source,
    engine: Engine,
    progress: Progress,
    workers: int | None,
) -> dict[str, Any]:
    """As `mix_release`, where no other run works on the same folder."""
    # Before anything is read: what changes later is noticed then, by who has a secret.
    fingerprint = Fingerprint() if config.forgets_secret else Fingerprint.of(source)
    journal = Journal(config.dst)
    journal.check(config.about(source))
    # Before the look, so that what is wrong with it is told at once; and once only,
    # since a pipe gives it once.
    secret = read_secret(config.secret_file) if config.secret_file else None
    # What a format cannot hold is told before the look as well.
    format = FORMATS[config.format]
    if not format.needs_pixels:
        released = config.released(source)
        format.create(config.dst, Schema(source.name, released, source.pixels))
    tell_of_source(source, progress, strict=config.strict)
    # What goes on was looked at when it began: a release is begun only after that.
    if config.update or not journal.goes_on():
        source = RememberingSource(source)
        check_overlaps(config, source, progress, workers=workers)
    with (
        open_job(config, source, secret=secret) as job,
        ThreadPoolExecutor() as threads,
    ):
        marks, times = _marks(job, fingerprint)
        if (config.dst / MANIFEST).exists():
            manifest = _checked(job)
            changes = _changes(job, source, manifest, times)
            if not changes:
                finished = _finished(manifest, config, progress)
                return _with_names(finished, source)
            assert times is not None
            progress.say(f"updating {config.dst}: {changes}")
            job = reopen(job, source, manifest, changes, marks, times)
        elif (mixed := job.journal.source()) and job.journal.updates():
            job = placed(job, source, mixed)
        begun = job.journal.begin(job.about, marks, times)
        if job.vault is not None:
            job.vault.merge_rows()
        try:
            if begun != "goes on" and job.vault is not None and times is not None:
                _remember(job, source, times)
            pending = job.journal.pending(job.shards, threads)
            there = _images(job.shards) - _images(pending)
            _tell_begun(begun, config, there, progress)
            with progress.of(_images(job.shards), there):
                engine(job, pending, progress)
            told = job.transform.hardly_changed
            progress.hardly_changed = [one._asdict() for one in told]
            if job.vault is not None:
                job.vault.merge_rows()
            return _finish(job)
        finally:
            job.journal.leave()


def run_local(
    job: ReleaseJob,
    shards: Sequence[Shard],
    progress: Progress,
    *,
    workers: int | None = None,
) -> None:
    """The engine on one machine: threads decode and encode, the device mixes."""
    with start_threads(workers) as threads:
        for shard in shards:
            job.mix(shard, threads, progress.tell)


def _marks(
    job: ReleaseJob, source: Fingerprint
) -> tuple[dict[str, str | None], str | None]:
    """Digests of what is mixed; nothing of a secret that will be forgotten."""
    if job.config.forgets_secret:
        return {"source": None, "secret": None}, None
    secret = digest(job.secret, b"vmixjax secret", [])
    return (
        {
            "source": source.sizes(job.secret),
            "secret": secret,
            "file of soft labels": job.soft_labels,
        },
        source.times(job.secret),
    )


def _remember(job: ReleaseJob, source: Source, times: str) -> None:
    """Stores in the vault what the files of a source are like, before any is mixed."""
    assert job.vault is not None
    now = Fingerprint()
    job.vault.remember(times, now.over(source.traces()))
    if now.times(job.secret) != times:
        raise changed_meanwhile(job)


def _images(shards: Sequence[Shard]) -> int:
    return sum(shard.stop - shard.start for shard in shards)


def _tell_begun(
    begun: Begun, config: ReleaseConfig, there: int, progress: Progress
) -> None:
    if begun == "goes on":
        progress.say(f"going on with {config.dst}: {there} images are there")
    elif begun == "over":
        progress.say(
            f"starting {config.dst} over: it was begun without --vault or "
            f"--secret-file, and that secret is forgotten"
        )


def _finish(job: ReleaseJob) -> dict[str, Any]:
    """Writes what comes after all shards, the manifest last."""
    journal, total, mixed = job.journal, Tally(), job.journal.source()
    tallies: dict[str, Tally] = {}
    names: set[str] = set()
    counts: dict[str, list[tuple[int, int]]] = {s: [] for s in job.source.splits}
    for shard in job.shards:
        note = journal.read(shard)
        tallies[shard.name] = note.tally
        names.update(note.files)
        note_files(job.sink, shard, note.files)
        total.add(note.tally)
        counts[shard.split].append((note.tally.images, note.size))
    if not total.images:
        # Such as tar files without samples.
        journal.undo()
        raise RunError(
            f"no image of SRC {job.config.src} could be mixed, as said above"
        )
    files = job.sink.finish(counts)
    remove_old(job.config.dst, {*names, *files}, job.vault)
    if job.vault is not None and mixed is not None:
        put_tallies(job, mixed, tallies)

    def shards() -> Iterator[dict[str, Any]]:
        for shard in job.shards:
            note = journal.read(shard)
            images = note.tally.images
            parts = {n: d for n, d in note.files.items() if not is_aside(n)}
            yield {"split": shard.split, "images": images, "files": parts}

    def sign(written: bytes) -> str:
        made = signature(job.secret, written)
        if job.vault is not None:
            job.vault.vouch(made)
        return made

    splits = {split: sum(images for images, _ in of) for split, of in counts.items()}
    description = describe(
        job.about,
        job.identity,
        mixed,
        job.soft_labels,
        splits,
        total,
        job.sink.holds,
        files,
    )
    write_manifest(job.config.dst, description, shards(), sign)
    journal.end()
    return _with_names(description, job.source)


def _checked(job: ReleaseJob) -> Manifest:
    """What a finished release says of itself, if it is what is asked for, and whole."""
    dst = job.config.dst
    manifest, written = read_manifest(dst)
    if job.config.forgets_secret:
        raise RunError(
            f"DST {dst} holds a release whose secret is forgotten; name another folder"
        )
    about: dict[str, Any] = msgspec.to_builtins(manifest.about)
    if manifest.identity != release_identity(job.secret, about):
        raise RunError(
            f"DST {dst} holds a finished release with another secret; name another "
            f"folder, or its --vault or --secret-file"
        )
    if manifest.soft_labels != job.soft_labels:
        raise RunError(
            f"DST {dst} holds a finished release with other soft labels; name another "
            f"folder, or the file of before with --soft-labels"
        )
    whole = is_signed(manifest, written, job.secret)
    if job.vault is not None:
        whole = job.vault.vouches_for(manifest, written)
    if not whole:
        raise RunError(
            f"{dst / MANIFEST}, of a finished release, was changed since it was "
            f"written; name another folder and mix again"
        )
    for name, expected in manifest.all_files().items():
        if not holds(dst, name, expected):
            raise RunError(
                f"{dst / name}, of a finished release, is missing or was changed; name "
                f"another folder and mix again"
            )
    job.journal.end()
    return manifest


def _finished(
    manifest: Manifest, config: ReleaseConfig, progress: Progress
) -> dict[str, Any]:
    """What there is to say where nothing is to be done."""
    progress.say(f"{config.dst} is finished, and SRC is as it was; nothing was mixed")
    values: dict[str, Any] = msgspec.to_builtins(manifest)
    return {name: value for name, value in values.items() if name not in _LONG}


def _with_names(manifest: dict[str, Any], source: Source) -> dict[str, Any]:
    """What a manifest says, for its owner: classes by their names."""
    field = source.fields.get(class_field(source.fields) or "")
    names = field.names if isinstance(field, Label) else None
    named = {**manifest, "classes": _named(manifest["classes"], names)}
    for field in source.fields.values():
        if isinstance(field, Objects) and manifest.get("boxes"):
            named["boxes"] = _named(manifest["boxes"], field.names)
    return named


def _named(counts: dict[str, int], names: Sequence[str] | None) -> dict[str, int]:
    """What is counted by numbers of classes, by their names where there are such."""
    known = dict(enumerate(names or ()))
    numbers = sorted(map(int, counts))
    return {known.get(one, str(one)): counts[str(one)] for one in numbers}


def _changes(
    job: ReleaseJob, source: Source, manifest: Manifest, times: str | None
) -> Changes:
    """What became of a source since its release was finished.

    Raises:
      RunError: Something did, and the release is not to be updated.
    """
    src, dst, vault = job.config.src, job.config.dst, job.vault
    if times == times_of(vault, manifest.source):
        return Changes()
    if vault is None or manifest.source is None:
        raise RunError(
            f"SRC {src} is not as it was when DST {dst} was mixed: its files have "
            f"other names, sizes or times; name another folder (with a --vault it "
            f"could be told which images have changed)"
        )
    mixed = [manifest.source, *earlier_sources(vault, manifest.source)]
    changes = find_changes(job, source, mixed, vault)
    if changes and not job.config.update:
        can = can_update(job, source)
        raise RunError(
            f"SRC {src} is not as it was when DST {dst} was mixed: {changes}; mix it "
            f"into another folder{', or bring DST up to date with --update' * can}"
        )
    return changes

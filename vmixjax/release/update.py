"""A finished release is brought up to date with its source, in place.

Images keep their places in it, and new ones come behind the last. Shards in which
nothing changed stay as they are, byte for byte; of the others, unchanged images come
out as they were, since their keys follow from what they are and where.
"""

import contextlib
import dataclasses
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from vmixjax.data.example import Source, Trace
from vmixjax.data.formats import FORMATS
from vmixjax.data.inside import holds, inside, unlink_inside
from vmixjax.data.writing import MANIFEST, WORK, Shard
from vmixjax.errors import RunError
from vmixjax.release.changes import Changes, Fingerprint, changed_meanwhile
from vmixjax.release.job import ReleaseJob
from vmixjax.release.keys import digest
from vmixjax.release.manifest import read_manifest, release_identity
from vmixjax.release.order import Placed, keyed_order
from vmixjax.release.schema import Manifest, Note, Tally
from vmixjax.release.shards import list_shards
from vmixjax.release.vault import Vault

_DIGITS = 5
"""Of numbers of images, at the least."""

Places = Mapping[str, Sequence[Trace | None]]
"""For each split what has each place of the release; None for an image that is gone."""


def reopen(
    job: ReleaseJob,
    source: Source,
    manifest: Manifest,
    changes: Changes,
    marks: Mapping[str, str | None],
    times: str,
) -> ReleaseJob:
    """Makes a finished release an unfinished one, of what its source is now.

    Args:
      job: The job of mixing it once more.
      source: The source, in its own order.
      manifest: What the release says of itself.
      changes: What is new, changed or gone.
      marks: Digests of source and secret, as for `Journal.begin`.
      times: Digest of names, sizes and times of the source's files.

    Returns:
      The job of mixing what is left.

    Raises:
      RunError: A release of this kind cannot be brought up to date.
    """
    assert job.vault is not None
    assert manifest.source is not None
    old = _places(job, manifest) if can_update(job, source) else {}
    counts = {split: len(names) for split, names in old.items()}
    # Or files held several images when they were mixed.
    if counts != {split: n for split, n in manifest.about.examples.items() if n}:
        raise RunError(
            f"--update is for folders of image files, mixed into such; mix SRC "
            f"{job.config.src} into another folder"
        )
    new = _new_places(job, source, old)
    # A digest of its own: two releases of one source may have other places.
    mixed = digest(job.secret, b"vmixjax update", [times, manifest.signature])
    earlier = [manifest.source, *earlier_sources(job.vault, manifest.source)]
    job.vault.put(mixed, "earlier", json.dumps(earlier).encode())
    job.vault.put(mixed, "times", times.encode())
    job.vault.remember(
        mixed,
        (
            one or Trace(split, "", 0, 0, 0, 0)
            for split, places in new.items()
            for one in places
        ),
    )
    notes = _kept(job, manifest, old, {*changes.changed, *changes.gone})
    if Fingerprint.of(source).times(job.secret) != times:
        raise changed_meanwhile(job)
    updating = placed(job, source, mixed)
    kept = {
        shard: notes[_extent(shard)]
        for shard in updating.shards
        if _extent(shard) in notes
    }
    updating.journal.reopen(updating.about, marks, mixed, kept)
    return updating


def can_update(job: ReleaseJob, source: Source) -> bool:
    """Tells whether a release of a source can be brought up to date.

    Each image has to be a file, there and in the release: where others come before it,
    it has its place by their number.
    """
    alone = all(one.stop - one.start == 1 for one in source.traces())
    return alone and not FORMATS[job.config.format].has_order


def placed(job: ReleaseJob, source: Source, mixed: str) -> ReleaseJob:
    """Gives the job of an update that was begun, with images in their places.

    Args:
      job: The job of mixing the source.
      source: The source, in its own order.
      mixed: Digest that the vault knows the places by.
    """
    assert job.vault is not None
    numbers: dict[str, list[int]] = {}
    now = _by_name(source)
    for one in job.vault.remembered(mixed):
        there = now.get((one.split, one.name))
        places = numbers.setdefault(one.split, [])
        places.append(Placed.HOLE if there is None else there.start)
    arrays = {split: np.array(places) for split, places in numbers.items()}
    counts = {split: len(places) for split, places in numbers.items()}
    about = {**job.about, "order": "updated", "examples": counts}
    return dataclasses.replace(
        job,
        source=Placed(source, arrays),
        about=about,
        identity=release_identity(job.secret, about),
        shards=list_shards(counts, job.config.shard_size),
    )


def earlier_sources(vault: Vault, mixed: str) -> list[str]:
    """Lists digests of sources that images of a release were mixed from, newest first.

    Args:
      vault: Vault of the release.
      mixed: Digest of the newest one, which is not among them.
    """
    known = vault.get(mixed, "earlier")
    return [] if known is None else msgspec.json.decode(known, type=list[str])


def times_of(vault: Vault | None, mixed: str | None) -> str | None:
    """Gives the digest of names, sizes and times that a release was made from."""
    known = None if vault is None or mixed is None else vault.get(mixed, "times")
    return mixed if known is None else known.decode()


def remove_old(root: Path, names: Collection[str], vault: Vault | None) -> None:
    """Removes files of a release as it was before, which it has no longer.

    Args:
      root: Folder of the release.
      names: Files that it has now.
      vault: Vault that vouches for what the release said of itself then.

    Raises:
      RunError: What it said was changed.
    """
    said = root / WORK / MANIFEST
    if vault is None or not said.exists():
        return
    manifest, written = read_manifest(root, within=WORK)
    if not vault.vouches_for(manifest, written):
        raise RunError(f"{said} was changed; remove DST {root}, or name another folder")
    for name, expected in manifest.all_files().items():
        if name not in names and holds(root, name, expected):
            unlink_inside(root, name)
            # A class may be without images now.
            with contextlib.suppress(OSError):
                for folder in list(inside(name).parents)[:-1]:
                    (root / folder).rmdir()


def put_tallies(job: ReleaseJob, mixed: str, tallies: Mapping[str, Tally]) -> None:
    """Stores in the vault what became of the images of each shard, by its name."""
    assert job.vault is not None
    values = {name: dataclasses.asdict(tally) for name, tally in tallies.items()}
    job.vault.put(mixed, "tallies", json.dumps(values).encode())


def _by_name(source: Source) -> dict[tuple[str, str], Trace]:
    """The files of a source, each of one image."""
    files = {(one.split, one.name): one for one in source.traces()}
    return {key: one for key, one in files.items() if key[0] in source.splits}


def _places(job: ReleaseJob, manifest: Manifest) -> dict[str, list[str | None]]:
    """The names of the images in each place of a finished release."""
    assert job.vault is not None
    assert manifest.source is not None
    names: dict[str, list[str | None]] = {}
    for one in job.vault.remembered(manifest.source):
        names.setdefault(one.split, []).append(one.name or None)
    if manifest.about.order != "shuffled":
        return names
    order = keyed_order(job.secret)
    return {
        split: [there[number] for number in order(split, len(there))]
        for split, there in names.items()
    }


def _new_places(
    job: ReleaseJob, source: Source, old: Mapping[str, Sequence[str | None]]
) -> Places:
    """Where images are that stay, and behind them those that are new."""
    now = _by_name(source)
    places: dict[str, list[Trace | None]] = {}
    for split, names in old.items():
        places[split] = [now.get((split, name)) if name else None for name in names]
    there = {(split, name) for split, names in old.items() for name in names}
    new = [one for key, one in now.items() if key not in there]
    if not job.config.keep_order:
        # In the order of their names, these would be told by it.
        key = {
            one: digest(job.secret, b"vmixjax place", [one.split, one.name])
            for one in new
        }
        new.sort(key=key.__getitem__)
    for one in new:
        places.setdefault(one.split, []).append(one)
    for split, all_of_it in places.items():
        before, after = (
            max(_DIGITS, len(str(count - 1)))
            for count in (len(old.get(split, all_of_it)), len(all_of_it))
        )
        if before != after:
            raise RunError(
                f"--update would give all images of {split} other numbers, of {after} "
                f"digits; mix SRC {job.config.src} into another folder"
            )
    return places


def _kept(
    job: ReleaseJob,
    manifest: Manifest,
    old: Mapping[str, Sequence[str | None]],
    dirty: set[str],
) -> dict[tuple[str, int, int], Note]:
    """Notes on shards in which nothing changed, for shards that are just as large."""
    assert job.vault is not None
    assert manifest.source is not None
    told = job.vault.get(manifest.source, "tallies")
    tallies = {} if told is None else msgspec.json.decode(told, type=dict[str, Tally])
    counts = {split: len(names) for split, names in old.items()}
    shards = list_shards(counts, job.config.shard_size)
    notes = {}
    for shard, there in zip(shards, manifest.shards, strict=True):
        names = old[shard.split][shard.start : shard.stop]
        if shard.name in tallies and dirty.isdisjoint(names):
            size = sum((job.config.dst / one).stat().st_size for one in there.files)
            notes[_extent(shard)] = Note(there.files, size, tallies[shard.name])
    return notes


def _extent(shard: Shard) -> tuple[str, int, int]:
    """What a shard has in common with one of a release that is larger by now."""
    return shard.split, shard.start, shard.stop

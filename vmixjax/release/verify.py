"""Whether a release is whole, as its manifest says, and says no more than it should."""

import contextlib
import dataclasses
import functools
import hashlib
import math
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from vmixjax.data.example import Schema, Source
from vmixjax.data.formats.format import Format
from vmixjax.data.inside import inside, sha256_inside
from vmixjax.data.room import Claim
from vmixjax.data.writing import MANIFEST, WORK, Shard, Sink
from vmixjax.errors import ImageError, RunError
from vmixjax.release.batches import batch_size, vfe_batch
from vmixjax.release.config import read_passphrase
from vmixjax.release.manifest import Manifest, Spread, read_signed, release_identity
from vmixjax.release.progress import Progress
from vmixjax.release.shards import list_shards, read_windows
from vmixjax.release.threads import start_threads
from vmixjax.release.transforms import Task, restore
from vmixjax.release.unmix import open_release
from vmixjax.release.vault import Vault, open_vault

_WINDOW = 256
_CLOSE = 1e-4
"""Of VFE: devices add in different orders."""


@dataclasses.dataclass
class Report:
    """What was looked at, and what is wrong.

    Attributes:
      images: how many were looked at.
      checks: what was checked, in words.
      problems: what is wrong, a line each.
    """

    images: int = 0
    checks: list[str] = dataclasses.field(default_factory=list)
    problems: list[str] = dataclasses.field(default_factory=list)


def verify_release(
    root: Path,
    *,
    vault_folder: Path | None = None,
    passphrase_file: Path | None = None,
    original: Source | None = None,
    progress: Progress,
) -> Report:
    """Checks a release.

    Args:
      root: of the release.
      vault_folder: its vault: every image is restored, and must be the original that
        the vault knows by its digest.
      passphrase_file: holds the vault's passphrase.
      original: what was mixed: no image of it may be in the release as it is.
      progress: is told of it.

    Raises:
      RunError, VaultError: there is no release, or no such vault.
    """
    manifest, written = read_signed(root)
    report = Report()
    _check_files(root, manifest, report)
    with contextlib.ExitStack() as stack:
        vault = None
        if vault_folder is not None:
            passphrase = read_passphrase(passphrase_file)
            vault = stack.enter_context(open_vault(vault_folder, passphrase=passphrase))
            _check_vouched(vault, vault_folder, manifest, written, report)
        try:
            source, format = open_release(root)
            report.problems += source.loose()
            _check_images(source, format, manifest, vault, original, report, progress)
        except RunError as error:
            report.problems.append(f"its images cannot all be looked at: {error}")
    return report


def _check_vouched(
    vault: Vault, folder: Path, manifest: Manifest, written: bytes, report: Report
) -> None:
    about = msgspec.to_builtins(manifest.about)
    if manifest.identity != release_identity(vault.secret, about):
        report.problems.append(f"--vault {folder} is not of this release")
    elif not vault.vouches_for(manifest, written):
        report.problems.append(
            f"{MANIFEST} was changed since --vault {folder} vouched for it: images, "
            f"their labels, order or number may be others"
        )
    report.checks.append(f"{MANIFEST} is, as a whole, what the vault vouches for")


def _check_files(root: Path, manifest: Manifest, report: Report) -> None:
    expected = manifest.all_files()
    folders = {"."}
    for name, checksum in expected.items():
        try:
            folders |= {str(folder) for folder in inside(name).parents}
            if sha256_inside(root, name) != checksum:
                report.problems.append(f"{name} was changed: its SHA-256 is another")
        except FileNotFoundError:
            report.problems.append(f"{name} is missing")
        except RunError as error:
            report.problems.append(f"{name}: {error}")
        except ValueError as error:
            report.problems.append(f"{MANIFEST} names files elsewhere: {error}")
    for folder, within, names in os.walk(root):
        here = Path(folder).relative_to(root)
        if WORK in within and here == Path():
            within.remove(WORK)
            report.problems.append(f"{WORK} is still there: run the mixing again")
        for name in sorted(names + within):
            found = here / name
            is_folder = name in within and not (root / found).is_symlink()
            known = folders if is_folder else {MANIFEST, *expected}
            if found.as_posix() not in known:
                report.problems.append(f"{found} does not belong to the release")
    report.checks.append(f"SHA-256 of {len(expected)} files, and no others there")


def _check_images(
    source: Source,
    format: Format,
    manifest: Manifest,
    vault: Vault | None,
    original: Source | None,
    report: Report,
    progress: Progress,
) -> None:
    counts = dict.fromkeys(manifest.splits, 0)
    for entry in manifest.shards:
        counts[entry.split] = counts.get(entry.split, 0) + entry.images
    if counts != manifest.splits or sum(counts.values()) != manifest.images:
        report.problems.append(f"{MANIFEST} contradicts itself about numbers of images")
    there = sum(source.splits.values())
    if there != manifest.images:
        report.problems.append(
            f"{there} images are there, but {MANIFEST} says {manifest.images}"
        )
    schema = Schema(source.name, source.fields, source.pixels)
    sink = format.create(Path(), schema)
    report.problems += [
        f"{MANIFEST} does not declare the field {name}"
        for name in sink.holds
        if name not in manifest.fields
    ]
    tile = manifest.about.config.tile_size
    released: set[bytes] = set()
    spread: Spread | None = None

    def leave_out(error: ImageError) -> None:
        progress.tell(1, None)
        report.problems.append(str(error))

    with start_threads(os.cpu_count() or 1) as threads, progress.of(there):
        for shard in list_shards(source.splits, _WINDOW):
            read = functools.partial(_looked_at, source, shard)
            for tasks in read_windows(shard, read, threads, leave_out):
                report.problems += [line for task in tasks for line in task.ready]
                report.images += len(tasks)
                for value in _vfes(tasks, tile, report):
                    one = Spread.of(value)
                    spread = one if spread is None else spread + one
                if original is not None:
                    released |= {_pixels(task.example.image) for task in tasks}
                if vault is not None:
                    _check_restored(vault, tasks, threads.codec, sink, format, report)
                progress.tell(len(tasks), None)
    report.checks.append(f"{report.images} images decode, and carry no metadata")
    if spread is not None:
        found, said = spread.measured(report.images), manifest.vfe.after
        mean, smallest, largest = found.values()
        if not all(
            math.isclose(a, b, rel_tol=_CLOSE)
            for a, b in (
                (mean, said.mean),
                (smallest, said.smallest),
                (largest, said.largest),
            )
        ):
            report.problems.append(
                f"VFE is {mean:.4f} on average ({smallest:.4f} to {largest:.4f}), "
                f"not what {MANIFEST} says"
            )
        report.checks.append(f"VFE, {mean:.4f} on average, is as the manifest says")
    if vault is not None:
        report.checks.append("every image can be restored, and none is its original")
    if original is not None:
        _check_original(original, released, report)


def _looked_at(source: Source, shard: Shard, index: int, claim: Claim) -> Task:
    """An example as it was read; what it carries beyond that is ready to be told."""
    example = source.read(shard.split, index, claim)
    extras = sorted(set(source.extras(shard.split, index)))
    told = [f"{example.name} carries more than pixels: {', '.join(extras)}"]
    return Task(index, example, example.name, told if extras else [])


def _vfes(tasks: Sequence[Task], tile: int, report: Report) -> Iterator[float]:
    alike: dict[Any, list[np.ndarray]] = defaultdict(list)
    for task in tasks:
        image = task.example.image
        if image.shape[0] % tile or image.shape[1] % tile:
            report.problems.append(f"{task.output} does not consist of whole tiles")
        else:
            alike[image.shape, image.dtype.str].append(image)
    for group in alike.values():
        size = batch_size(group[0].shape)
        for start in range(0, len(group), size):
            yield from map(float, vfe_batch(group[start : start + size], tile))


def _check_restored(
    vault: Vault,
    tasks: list[Task],
    threads: Executor,
    sink: Sink,
    format: Format,
    report: Report,
) -> None:
    for task, done in zip(tasks, restore(vault, tasks, threads, sink), strict=True):
        if isinstance(done, ImageError):
            report.problems.append(str(done))
            continue
        # Numbers of records move up where images were left out.
        if format.has_names and done.mixed_as != task.output:
            report.problems.append(
                f"{task.output} is an image that belongs elsewhere in the release"
            )
        mixed, whole = task.example.image, done.example.image
        same = mixed.shape == whole.shape and (mixed == whole).all()
        # One colour all over cannot be mixed, nor does it show anything.
        if same and not (whole == whole[0, 0]).all():
            report.problems.append(f"{task.output} is as its original was")


def _check_original(original: Source, released: set[bytes], report: Report) -> None:
    for split, count in original.splits.items():
        for index in range(count):
            try:
                example = original.read(split, index)
            except ImageError:
                continue
            image = example.image
            if _pixels(image) in released and not (image == image[0, 0]).all():
                report.problems.append(f"{example.name} is in the release as it is")
    report.checks.append("no image of the source is in the release")


def _pixels(image: np.ndarray) -> bytes:
    found = hashlib.blake2b(
        repr((image.shape, image.dtype.str)).encode(), digest_size=16
    )
    found.update(np.ascontiguousarray(image).tobytes())
    return found.digest()

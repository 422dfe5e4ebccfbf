"""Whether a release is whole, as its manifest says, and says no more than it should."""

import contextlib
import dataclasses
import functools
import math
import os
from concurrent.futures import Executor
from pathlib import Path

import msgspec
import numpy as np

from vmixjax.data.example import Schema, Source
from vmixjax.data.formats.format import Format
from vmixjax.data.inside import inside, sha256_inside
from vmixjax.data.masks import Mask
from vmixjax.data.objects import Objects
from vmixjax.data.pixels import pixels_digest
from vmixjax.data.room import Claim
from vmixjax.data.writing import MANIFEST, WORK, Shard
from vmixjax.errors import ImageError, RunError
from vmixjax.release.batches import vfe_of_images
from vmixjax.release.manifest import read_manifest, release_identity
from vmixjax.release.private import read_passphrase
from vmixjax.release.progress import Progress
from vmixjax.release.reading import read_windows, readable, start_threads
from vmixjax.release.restore import Restore
from vmixjax.release.schema import Manifest, Range
from vmixjax.release.shards import list_shards
from vmixjax.release.transforms import Result, Task
from vmixjax.release.unmix import open_release
from vmixjax.release.vault import Vault, open_vault

_WINDOW = 256
_CLOSE = 1e-4
"""Of VFE: devices add in different orders."""


@dataclasses.dataclass
class Report:
    """What was looked at, and what is wrong.

    Attributes:
      images: How many were looked at.
      checks: What was checked, in words.
      problems: What is wrong, a line each.
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
      root: Folder of the release.
      vault_folder: Folder of its vault: every image is restored, and must be the
        original that the vault knows by its digest.
      passphrase_file: File that holds the vault's passphrase.
      original: What was mixed: no image of it may be in the release as it is.
      progress: Is told of it.

    Raises:
      RunError, VaultError: There is no release, or no such vault.
    """
    manifest, written = read_manifest(root)
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
            _check_numbers(source, manifest, report)
            images = _Images(source, format, manifest, vault, original, report)
            images.check(progress)
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


def _check_numbers(source: Source, manifest: Manifest, report: Report) -> None:
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


@dataclasses.dataclass
class _Images:
    """All images of a release, looked at once, some at a time."""

    source: Source
    format: Format
    manifest: Manifest
    vault: Vault | None
    original: Source | None
    report: Report
    vfe: Range | None = None
    digests: set[bytes] = dataclasses.field(default_factory=set)

    def __post_init__(self) -> None:
        source = self.source
        schema = Schema(source.name, source.fields, source.pixels)
        self.sink = self.format.create(Path(), schema)
        # One for all of them: it knows which names were given.
        self.restore = (
            None
            if self.vault is None
            else Restore(self.vault, self.format, self.sink, source.fields)
        )

    def check(self, progress: Progress) -> None:
        """Looks at all of them."""
        self.report.problems += [
            f"{MANIFEST} does not declare the field {name}"
            for name in self.sink.holds
            if name not in self.manifest.fields
        ]

        def leave_out(error: ImageError) -> None:
            progress.tell(1, None)
            self.report.problems.append(str(error))

        splits = self.source.splits
        with (
            start_threads() as threads,
            progress.of(sum(splits.values())),
        ):
            for shard in list_shards(splits, _WINDOW):
                read = functools.partial(self._read, shard)
                for tasks in read_windows(shard, read, threads, leave_out):
                    self._check_window(shard, tasks, threads.codec)
                    progress.tell(len(tasks), None)
        images = self.report.images
        self.report.checks.append(f"{images} images decode, and carry no metadata")
        self._check_placed()
        self._check_vfe()
        if self.vault is not None:
            self.report.checks.append(
                "every image can be restored under its name, and none is its original"
            )
        if self.original is not None:
            self._check_original(self.original)

    def _check_placed(self) -> None:
        """Says what was checked of boxes and masks as they were read."""
        about, fields = self.manifest.about, self.source.fields
        if any(isinstance(field, Objects) for field in fields.values()):
            self.report.checks.append("boxes lie inside of their images")
        masks = {name: f for name, f in fields.items() if isinstance(f, Mask)}
        # Those that formats have other names for are kept by their own.
        kept = {mask for name in about.keep for mask in (name, f"{name}_mask")}
        for name, mask in masks.items():
            cells = 1 if name in kept else max(1, about.mask_cells)
            if mask.cells < cells:
                self.report.problems.append(
                    f"{name} has one class for {mask.cells} x {mask.cells} pixels, not "
                    f"for {cells} x {cells} as {MANIFEST} says"
                )
        if masks:
            self.report.checks.append("masks fit their images, cell by cell")

    def _check_original(self, original: Source) -> None:
        problems = self.report.problems
        for example in readable(original):
            image = example.image
            if pixels_digest(image) in self.digests and not _is_flat(image):
                problems.append(f"{example.name} is in the release as it is")
        self.report.checks.append("no image of the source is in the release")

    def _read(self, shard: Shard, index: int, claim: Claim) -> Task:
        """An example as it was read, and lines on what it carries beyond that."""
        example = self.source.read(shard.split, index, claim)
        extras = sorted(set(self.source.extras(shard.split, index)))
        told = [f"{example.name} carries more than pixels: {', '.join(extras)}"]
        return Task(index, example, example.name, told if extras else [])

    def _check_window(self, shard: Shard, tasks: list[Task], threads: Executor) -> None:
        self.report.problems += [line for task in tasks for line in task.prepared]
        self.report.images += len(tasks)
        for vfe in self._vfes(tasks, threads):
            one = Range.of(vfe)
            self.vfe = one if self.vfe is None else self.vfe + one
        if self.original is not None:
            self.digests |= {pixels_digest(task.example.image) for task in tasks}
        if self.restore is not None:
            tasks = [dataclasses.replace(task, prepared=shard) for task in tasks]
            results = self.restore.apply(tasks, threads)
            for task, result in zip(tasks, results, strict=True):
                self._check_restored(task, result)

    def _vfes(self, tasks: list[Task], threads: Executor) -> list[float]:
        tile = self.manifest.about.config.tile_size
        whole = []
        for task in tasks:
            height, width = task.example.image.shape[:2]
            if height % tile or width % tile:
                self.report.problems.append(
                    f"{task.output} does not consist of whole tiles"
                )
            else:
                whole.append(task.example.image)
        return vfe_of_images(whole, tile, threads)

    def _check_restored(self, task: Task, result: Result | ImageError) -> None:
        problems = self.report.problems
        if isinstance(result, ImageError):
            problems.append(str(result))
            return
        # Numbers of records move up where images were left out.
        if self.format.has_names and result.mixed_as != task.output:
            problems.append(
                f"{task.output} is an image that belongs elsewhere in the release"
            )
        if np.array_equal(task.example.image, result.example.image) and not _is_flat(
            result.example.image
        ):
            problems.append(f"{task.output} is as its original was")

    def _check_vfe(self) -> None:
        if self.vfe is None:
            return
        there = self.vfe.measured(self.report.images)
        said = msgspec.to_builtins(self.manifest.vfe.after)
        mean = there["mean"]
        if not all(
            math.isclose(there[name], said[name], rel_tol=_CLOSE) for name in there
        ):
            self.report.problems.append(
                f"VFE is {mean:.4f} on average ({there['smallest']:.4f} to "
                f"{there['largest']:.4f}), not what {MANIFEST} says"
            )
        self.report.checks.append(
            f"VFE, {mean:.4f} on average, is as the manifest says"
        )


def _is_flat(image: np.ndarray) -> bool:
    """One colour all over cannot be mixed, nor does it show anything."""
    return bool((image == image[0, 0]).all())

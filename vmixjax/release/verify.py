"""Whether a release is whole, as its manifest says, and says no more than it should."""

import contextlib
import dataclasses
import hashlib
import math
import tarfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from vmixjax.release._png import chunk_names
from vmixjax.release.batches import batch_size, vfe_batch
from vmixjax.release.errors import RunError
from vmixjax.release.examples import Source
from vmixjax.release.images import ImageError
from vmixjax.release.manifest import (
    MANIFEST,
    WORK,
    Spread,
    read_manifest,
    release_identity,
)
from vmixjax.release.order import read_passphrase
from vmixjax.release.progress import Progress
from vmixjax.release.shards import list_shards
from vmixjax.release.sinks.sink import Shard, sha256
from vmixjax.release.unmix import open_release
from vmixjax.release.vault import Vault, open_vault
from vmixjax.release.work import Task, restore

_CHUNKS = {"IHDR", "IDAT", "IEND"}
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
    manifest = read_manifest(root)
    report = Report()
    _check_files(root, manifest, report)
    with contextlib.ExitStack() as stack:
        vault = None
        if vault_folder is not None:
            passphrase = read_passphrase(passphrase_file)
            vault = stack.enter_context(open_vault(vault_folder, passphrase=passphrase))
            identity = release_identity(vault.secret, manifest["about"])
            if identity != manifest["identity"]:
                report.problems.append(f"--vault {vault_folder} is not of this release")
        try:
            source, format = open_release(root)
            if format == "webdataset":
                _check_headers(root, report)
            _check_images(source, manifest, vault, original, report, progress)
        except RunError as error:
            report.problems.append(f"its images cannot all be looked at: {error}")
    return report


def _check_files(root: Path, manifest: dict[str, Any], report: Report) -> None:
    expected: dict[str, str] = dict(manifest["files"])
    for shard in manifest["shards"]:
        expected |= shard["files"]
    for name, checksum in expected.items():
        path = root / name
        if not path.is_file():
            report.problems.append(f"{name} is missing")
        elif sha256(path) != checksum:
            report.problems.append(f"{name} was changed: its SHA-256 is another")
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if name == WORK:
            report.problems.append(f"{WORK} is still there: run the mixing again")
        elif path.is_symlink() or (
            path.is_file()
            and name != MANIFEST
            and name not in expected
            and not name.startswith(f"{WORK}/")
        ):
            report.problems.append(f"{name} does not belong to the release")
    report.checks.append(f"SHA-256 of {len(expected)} files, and no others there")


def _check_headers(root: Path, report: Report) -> None:
    for path in sorted(root.glob("*.tar")):
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                found = (member.uid, member.gid, member.mtime, member.uname)
                if any((*found, member.gname, member.pax_headers)):
                    report.problems.append(
                        f"{path.name}: {member.name} has an owner or a time"
                    )
                tar.members.clear()  # type: ignore[attr-defined]
    report.checks.append("no owners and times in tar files")


def _check_images(
    source: Source,
    manifest: dict[str, Any],
    vault: Vault | None,
    original: Source | None,
    report: Report,
    progress: Progress,
) -> None:
    counts = {
        split: sum(s["images"] for s in manifest["shards"] if s["split"] == split)
        for split in manifest["splits"]
    }
    if counts != manifest["splits"] or sum(counts.values()) != manifest["images"]:
        report.problems.append(f"{MANIFEST} contradicts itself about numbers of images")
    if sum(source.splits.values()) != manifest["images"]:
        report.problems.append(
            f"{sum(source.splits.values())} images are there, but {MANIFEST} says "
            f"{manifest['images']}"
        )
    tile = manifest["about"]["config"]["tile_size"]
    released: set[bytes] = set()
    spread = Spread()
    with ThreadPoolExecutor() as threads, progress.of(sum(source.splits.values())):
        for shard in list_shards(source.splits, _WINDOW):
            tasks = []
            for task in threads.map(
                lambda index, shard=shard: _looked_at(source, shard, index, report),
                range(shard.start, shard.stop),
            ):
                progress.tell(1, None)
                if task is not None:
                    tasks.append(task)
            report.images += len(tasks)
            for value in _vfes([task.example.image for task in tasks], tile):
                spread += Spread.of(value)
            if original is not None:
                released |= {_pixels(task.example.image) for task in tasks}
            if vault is not None and tasks:
                _check_restored(vault, tasks, threads, report)
    report.checks.append(f"{report.images} images decode, and carry no metadata")
    if report.images:
        found = (spread.total / report.images, spread.smallest, spread.largest)
        said = manifest["vfe"]["after"].values()
        if not all(
            math.isclose(a, b, rel_tol=_CLOSE) for a, b in zip(found, said, strict=True)
        ):
            report.problems.append(
                f"VFE is {found[0]:.4f} on average ({found[1]:.4f} to {found[2]:.4f}), "
                f"not what {MANIFEST} says"
            )
        report.checks.append(f"VFE, {found[0]:.4f} on average, is as the manifest says")
    if vault is not None:
        report.checks.append("every image can be restored, and none is its original")
    if original is not None:
        _check_original(original, released, report)


def _looked_at(source: Source, shard: Shard, index: int, report: Report) -> Task | None:
    try:
        example = source.read(shard.split, index)
    except ImageError as error:
        report.problems.append(str(error))
        return None
    extra = set(chunk_names(source.content(shard.split, index))) - _CHUNKS
    if extra:
        report.problems.append(
            f"{example.name} carries more than pixels: {', '.join(sorted(extra))}"
        )
    return Task(index, example, example.name, shard)


def _vfes(images: Sequence[np.ndarray], tile: int) -> Iterator[float]:
    alike: dict[Any, list[np.ndarray]] = defaultdict(list)
    for image in images:
        alike[image.shape, image.dtype.str].append(image)
    for group in alike.values():
        size = batch_size(group[0].shape)
        for start in range(0, len(group), size):
            yield from map(float, vfe_batch(group[start : start + size], tile))


def _check_restored(
    vault: Vault, tasks: list[Task], threads: ThreadPoolExecutor, report: Report
) -> None:
    for task, done in zip(tasks, restore(vault, tasks, threads), strict=True):
        if isinstance(done, ImageError):
            report.problems.append(str(done))
            continue
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

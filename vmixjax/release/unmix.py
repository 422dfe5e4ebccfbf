"""Restoring a release, a part of it, or one image, with the vault of its mixing."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from vmixjax.data.codecs.images import RELEASED_CODECS
from vmixjax.data.example import Pixels, Schema, Source
from vmixjax.data.files import is_inside
from vmixjax.data.formats import format_of_release, open_source
from vmixjax.data.formats.format import Format
from vmixjax.data.inside import inside
from vmixjax.data.writing import (
    ASIDE,
    MANIFEST,
    WORK,
    Shard,
    Sink,
    note_files,
    sweep,
)
from vmixjax.errors import ImageError, RunError, VaultError
from vmixjax.release.exclusive import exclusive
from vmixjax.release.journal import BEGUN
from vmixjax.release.manifest import read_manifest
from vmixjax.release.order import Reordered, inverse, keyed_order
from vmixjax.release.private import read_passphrase
from vmixjax.release.progress import Progress
from vmixjax.release.reading import Threads, readable, start_threads
from vmixjax.release.restore import Restore
from vmixjax.release.shards import Tell, list_shards, stops_at_errors, write_shard
from vmixjax.release.vault import Vault, open_vault

_SHARD = 1024
"""Images to a shard, where the format has such."""


def open_release(path: Path) -> tuple[Source, Format]:
    """Opens what was mixed as a source: a release, or any image files of one.

    Raises:
      RunError: There is nothing that can be read.
    """
    format = format_of_release(path)
    source = open_source(
        f"{format.name}:{path}",
        keep=None,
        codecs=RELEASED_CODECS,
        released=True,
        raw=_is_raw(path),
    )
    return source, format


def _is_raw(path: Path) -> bool:
    """Whether a release says nothing of boxes or masks.

    Those that earlier versions let through are bytes, of which the vault has digests.
    """
    try:
        about = read_manifest(path)[0].about
    except RunError:
        return False
    return not (about.boxes or about.mask_cells)


def unmix_release(
    src: Path,
    dst: Path,
    vault_folder: Path,
    *,
    passphrase_file: Path | None = None,
    image: str | None = None,
    overwrite: bool = False,
    strict: bool = False,
    workers: int | None = None,
    progress: Progress,
) -> int:
    """Restores mixed images, exactly, in the format that they are in.

    Args:
      src: A release, or mixed image files.
      dst: Folder to write to.
      vault_folder: Folder of the vault of the mixing.
      passphrase_file: File that holds the vault's passphrase.
      image: Only this one, called as in the release or as its original; None for all.
      overwrite: Whether files in `dst` may be replaced.
      strict: Whether one image that cannot be restored ends the run.
      workers: Number of threads that decode and encode.
      progress: Is told of it.

    Returns:
      How many were restored.

    Raises:
      RunError, VaultError, OSError: It cannot begin or go on.
    """
    _check_places(src, dst, overwrite)
    tell = stops_at_errors(progress.tell) if strict else progress.tell
    with (
        open_vault(vault_folder, passphrase=read_passphrase(passphrase_file)) as vault,
        exclusive(dst),
        start_threads(workers) as threads,
    ):
        source, format = open_release(src)
        shards = list_shards(source.splits, _SHARD)
        if image is not None:
            shards = [_shard_of(image, source, vault)]
        schema = Schema(source.name, source.fields, _original_pixels(source, vault))
        sink = format.create(dst, schema)
        # Originals that a run which was killed left under way.
        sweep(dst, ASIDE)
        try:
            if image is None and format.has_order:
                source = _in_source_order(src, source, vault)
            with progress.of(sum(shard.stop - shard.start for shard in shards)):
                restored = _restore(shards, source, vault, format, sink, threads, tell)
            if image is None:
                _check_seen(src, vault, restored, strict, progress)
        finally:
            sweep(dst, ASIDE)
            _clean(dst)
    return restored


def _check_places(src: Path, dst: Path, overwrite: bool) -> None:
    if not src.exists():
        raise RunError(f"SRC {src} does not exist; name a release or an image file")
    if is_inside(dst, src) or is_inside(src, dst):
        raise RunError(f"DST {dst} and SRC {src} lie inside each other; name another")
    if dst.exists() and not dst.is_dir():
        raise RunError(f"DST {dst} is a file; name a folder")
    if dst.is_dir() and any(dst.iterdir()) and not overwrite:
        raise RunError(
            f"DST {dst} holds files already; pass --overwrite, or name another folder"
        )
    if (dst / WORK / BEGUN).exists():
        raise RunError(
            f"DST {dst} holds a release that is not finished; name another folder"
        )


def _in_source_order(src: Path, source: Source, vault: Vault) -> Source:
    """The release in the order that its images had, if it is whole and known."""
    try:
        manifest, written = read_manifest(src)
    except RunError:
        return source
    shuffled = manifest.about.order == "shuffled"
    whole = manifest.about.examples == dict(source.splits)
    if not (shuffled and whole and vault.vouches_for(manifest, written)):
        return source
    return Reordered(source, inverse(keyed_order(vault.secret)))


def _restore(
    shards: Sequence[Shard],
    source: Source,
    vault: Vault,
    format: Format,
    sink: Sink,
    threads: Threads,
    tell: Tell,
) -> int:
    """Restores shards, and ends the data set; gives the number of images."""
    transform = Restore(vault, format, sink, source.fields)
    counts: dict[str, list[tuple[int, int]]] = {}
    restored = 0
    for shard in shards:
        files, tally = write_shard(shard, source, transform, sink, threads, tell)
        counts.setdefault(shard.split, []).append((tally.images, files.size))
        restored += tally.images
        try:
            if tally.images:
                files.publish(sink.root)
                note_files(sink, shard, files.parts)
        finally:
            # Originals are not left under other names.
            files.discard()
    if restored:
        sink.finish(counts)
    return restored


def _check_seen(
    src: Path, vault: Vault, restored: int, strict: bool, progress: Progress
) -> None:
    """Says so if there may be more images in a release than were seen."""
    for doubt in _doubts(src, vault, restored + len(progress.skipped)):
        if strict:
            raise RunError(f"{doubt} (--strict)")
        progress.doubt(doubt)


def _doubts(src: Path, vault: Vault, seen: int) -> Iterator[str]:
    """Why there may be more images in a release than were seen, if there may."""
    if not (src / MANIFEST).exists():
        return
    try:
        manifest, written = read_manifest(src)
    except RunError as error:
        yield str(error)
        return
    if not vault.vouches_for(manifest, written):
        yield (
            f"{src / MANIFEST} was changed since the vault vouched for it; images that "
            f"are gone from the release cannot be told"
        )
        return
    for name in manifest.all_files():
        if not (src / inside(name)).exists():
            yield f"{src / name}, a file of the release, is missing; bring it back"
    if seen < manifest.images:
        gone = manifest.images - seen
        of = "image of the release is" if gone == 1 else "images of the release are"
        yield f"{gone} {of} not in {src}"


def _shard_of(image: str, source: Source, vault: Vault) -> Shard:
    """A shard of nothing but the one image that is asked for."""
    output = vault.output_of(image)
    if output is None:
        raise RunError(
            f"--id {image}: the vault has no image that is or was called so; name it "
            f"as in the release, or as the original"
        )
    for split, index in source.candidates(output):
        try:
            entry = vault.find(source.read(split, index).image, output)
        except ImageError:
            continue
        if entry is not None and entry.output == output:
            return Shard(split, 0, 1, index, index + 1, source.splits[split])
    raise RunError(f"--id {image}: {output} is not in SRC, or was changed since")


def _original_pixels(source: Source, vault: Vault) -> Pixels | None:
    """What the originals have in common, where that is known of their mixes."""
    known = source.pixels
    if known is None or None in known.shape:
        return known
    # Mixes are of one size where a data set promised one size of its images.
    for example in readable(source):
        with contextlib.suppress(VaultError):
            entry = vault.find(example.image, "")
            if entry is not None:
                shape = entry.height, entry.width, known.shape[2]
                return Pixels(shape, known.dtype)
    return known


def _clean(dst: Path) -> None:
    """Removes the folder for files under way, and what is empty."""
    for path in (dst / WORK, dst):
        if path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
            path.rmdir()

"""Restoring a release, a part of it, or one image, with the vault of its mixing."""

import os
from pathlib import Path

from vmixjax.data.codecs.images import RELEASED_CODECS
from vmixjax.data.example import Pixels, Schema, Source
from vmixjax.data.files import is_inside
from vmixjax.data.formats import format_of_release, open_source
from vmixjax.data.formats.format import Format
from vmixjax.data.writing import MANIFEST, WORK, Shard, sweep
from vmixjax.errors import ImageError, RunError, VaultError
from vmixjax.release.config import read_passphrase
from vmixjax.release.journal import BEGUN
from vmixjax.release.manifest import read_signed
from vmixjax.release.progress import Progress
from vmixjax.release.shards import discard, list_shards, settle, write_shard
from vmixjax.release.threads import start_threads
from vmixjax.release.transforms import Restoring
from vmixjax.release.vault import Vault, open_vault

_SHARD = 1024
"""Images to a shard, where the format has such."""


def open_release(path: Path) -> tuple[Source, Format]:
    """What was mixed, as a source: a release, or any image files of one.

    Raises:
      RunError: there is nothing that can be read.
    """
    format = format_of_release(path)
    source = open_source(f"{format.name}:{path}", keep=None, codecs=RELEASED_CODECS)
    return source, format


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
      src: a release, or mixed image files.
      dst: folder to write to.
      vault_folder: of the mixing.
      passphrase_file: holds the vault's passphrase.
      image: only this one, called as in the release or as its original.
      overwrite: whether files in `dst` may be replaced.
      strict: whether one image that cannot be restored ends the run.
      workers: threads that decode and encode.
      progress: is told of it.

    Returns:
      How many were restored.

    Raises:
      RunError, VaultError, OSError: it cannot begin or go on.
    """
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
    count, restored = workers or os.cpu_count() or 1, 0

    def tell(images: int, error: ImageError | None) -> None:
        if error is not None and strict:
            raise RunError(f"{error} (--strict)")
        progress.tell(images, error)

    passphrase = read_passphrase(passphrase_file)
    with (
        open_vault(vault_folder, passphrase=passphrase) as vault,
        start_threads(count) as threads,
    ):
        source, format = open_release(src)
        shards = list_shards(source.splits, _SHARD)
        if image is not None:
            shards = [_shard_of(image, source, vault)]
        schema = Schema(source.name, source.fields, _restored(source, vault))
        sink = format.create(dst, schema)
        # Originals that a run which was killed left under way.
        sweep(dst)
        work = Restoring(vault, sink)
        counts: dict[str, list[tuple[int, int]]] = {}
        try:
            with progress.of(sum(shard.stop - shard.start for shard in shards)):
                for shard in shards:
                    files, tally = write_shard(shard, source, work, sink, threads, tell)
                    size = sum(p.stat().st_size for p, _ in files.parts.values())
                    counts.setdefault(shard.split, []).append((tally.images, size))
                    restored += tally.images
                    if tally.images:
                        settle(files, sink)
                    else:
                        discard(files)
            if restored:
                sink.finish(counts)
            if image is None and (src / MANIFEST).exists():
                doubt = _doubt(src, vault, restored + len(progress.skipped))
                if doubt is not None and strict:
                    raise RunError(f"{doubt} (--strict)")
                if doubt is not None:
                    progress.doubt(doubt)
        finally:
            _clean(dst)
    return restored


def _doubt(src: Path, vault: Vault, seen: int) -> str | None:
    """Why there may be more images in a release than were seen, if there may."""
    try:
        manifest, written = read_signed(src)
    except RunError as error:
        return str(error)
    if not vault.vouches_for(manifest, written):
        return (
            f"{src / MANIFEST} was changed since the vault vouched for it; images that "
            f"are gone from the release cannot be told"
        )
    if seen < manifest.images:
        return f"{manifest.images - seen} images of the release are not in {src}"
    return None


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


def _restored(source: Source, vault: Vault) -> Pixels | None:
    """What the originals have in common, where that is known of their mixes."""
    known = source.pixels
    if known is None or None in known.shape:
        return known
    # Mixes are of one size where a data set promised one size of its images.
    for split, count in source.splits.items():
        for index in range(count):
            try:
                entry = vault.find(source.read(split, index).image, "")
            except (ImageError, VaultError):
                continue
            if entry is not None:
                shape = entry.height, entry.width, known.shape[2]
                return Pixels(shape, known.dtype)
    return known


def _clean(dst: Path) -> None:
    """Removes the folder for files under way, and what is empty."""
    for path in (dst / WORK, dst):
        if path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
            path.rmdir()

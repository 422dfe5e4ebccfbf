"""`vmixjax unmix`: a release, or some of its files, as they were."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from vmixjax.cli.options import (
    Destination,
    PassphraseFile,
    Workers,
    check_workers,
    errors_name,
    optional,
    status,
)
from vmixjax.command_line import SOME_SKIPPED, Command


@dataclasses.dataclass(frozen=True)
class Unmix:
    """Restore a release, or some of its files, exactly, by the vault of its mixing."""

    src: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SRC")]
    """A release, a mixed image file, or a folder of them."""
    dst: Destination
    """Folder to write to."""
    vault: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """The folder that was given to vmixjax mix --vault."""
    vault_passphrase_file: PassphraseFile = None
    """File whose first line is the vault's passphrase."""
    id: Annotated[str | None, optional("NAME", "all")] = None
    """Only this image, called as in the release or as its original was."""
    workers: Workers = None
    """Threads that decode and encode."""
    overwrite: bool = False
    """Replace files in DST."""
    strict: bool = False
    """Stop at the first file that cannot be restored, instead of skipping it."""


def run(options: Unmix) -> int:
    """Restores a release; returns the exit status."""
    from vmixjax.release.progress import Progress
    from vmixjax.release.unmix import unmix_release

    check_workers(options.workers)
    progress = Progress("restoring")
    with errors_name(options.dst):
        restored = unmix_release(
            options.src,
            options.dst,
            options.vault,
            passphrase_file=options.vault_passphrase_file,
            image=options.id,
            overwrite=options.overwrite,
            strict=options.strict,
            workers=options.workers,
            progress=progress,
        )
    print(f"{restored} restored")
    skipped = status(restored, len(progress.skipped))
    return SOME_SKIPPED if progress.doubts else skipped


COMMAND = Command(Unmix, "vmixjax unmix mixed restored --vault ~/photos-vault", run)

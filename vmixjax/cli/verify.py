"""`vmixjax verify`: whether a release is whole, and says no more than it should."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import tyro

from vmixjax.cli.options import (
    DataDir,
    FollowLinks,
    Image,
    PassphraseFile,
    Splits,
    optional,
)
from vmixjax.command_line import DONE, SOME_SKIPPED, Command, say


@dataclasses.dataclass(frozen=True)
class Verify:
    """Check that a release is whole, as its manifest says, and says no more.

    Checksums, counts, that every image decodes, its VFE, and that no file carries
    metadata. With the vault: that each image can be restored to its original, and is
    not like it. With --source: that no image of it is in the release.
    """

    release: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RELEASE")]
    """The folder that vmixjax mix wrote."""
    vault: Annotated[Path | None, optional("DIR", "none")] = None
    """The folder that was given to vmixjax mix --vault."""
    vault_passphrase_file: PassphraseFile = None
    """File whose first line is the vault's passphrase."""
    source: Annotated[str | None, optional("SRC", "none")] = None
    """What was mixed."""
    splits: Splits = ()
    """Splits of SRC that were mixed."""
    data_dir: DataDir = None
    """Where TFDS keeps its data sets."""
    image: Image = None
    """Field of SRC that was mixed, as for `vmixjax mix`."""
    follow_links: FollowLinks = ()
    """Folders that links in SRC may lead into."""
    json: bool = False
    """Print JSON instead of words."""


def run(options: Verify) -> int:
    """Checks a release; returns the exit status."""
    from vmixjax.data.formats import open_source
    from vmixjax.release.progress import Progress
    from vmixjax.release.verify import verify_release

    original = None
    if options.source is not None:
        original = open_source(
            options.source,
            data_dir=options.data_dir,
            splits=options.splits,
            keep=None,
            image=options.image,
            follow_links=options.follow_links,
        )
    report = verify_release(
        options.release,
        vault_folder=options.vault,
        passphrase_file=options.vault_passphrase_file,
        original=original,
        progress=Progress("verifying"),
    )
    problems = len(report.problems)
    if options.json:
        print(json.dumps(dataclasses.asdict(report), indent=1))
    else:
        for check in report.checks:
            say(f"checked: {check}")
        for problem in report.problems:
            say(f"WRONG: {problem}")
        print(
            f"{problems} problem{'' if problems == 1 else 's'}" if problems else "good"
        )
    return SOME_SKIPPED if problems else DONE


COMMAND = Command(Verify, "vmixjax verify mixed --vault ~/photos-vault", run)

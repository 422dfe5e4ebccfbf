"""`vmixjax audit`: what an attacker gets back from images like these."""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import tyro

from vmixjax.attacks import ATTACKS
from vmixjax.cli.options import DataDir, Image, Splits, optional
from vmixjax.command_line import DONE, Command, say


@dataclasses.dataclass(frozen=True)
class Audit:
    """Find out what an attacker gets back from images like yours, once protected.

    Attacks that know the method, its settings and public images, but no key, are made
    on your images, protected by vmixjax and by other methods. OUT gets report.html,
    with a verdict in plain words, and audit.json. Both, and the folder work, tell of
    your originals: keep them as carefully. Interrupted, the same command goes on.
    """

    src: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="SRC")]
    """Your images: whatever vmixjax mix takes. Folders, or labels, are classes, which
    networks learn; boxes or masks, where there are none."""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("vmixjax-audit")
    """Folder for the report and what it is made from."""
    public: Annotated[str | None, optional("SRC", "the other half of SRC")] = None
    """Images like yours that an attacker may have. None may be yours."""
    methods: Annotated[tuple[str, ...], optional("NAME...", "by --budget")] = ()
    """What to compare: mix:REGION[/BLOCK], mix-joint:REGION, pixelate:PIXELS and so
    on, or pixelate:match for as much learned as from the first, which the verdict is
    about."""
    attacks: Annotated[
        tuple[str, ...],
        optional("NAME...", "all", help=f"What to try: {', '.join(ATTACKS)}."),
    ] = ()
    budget: Literal["quick", "hour", "full"] = "quick"
    """Minutes, an hour, or many."""
    image_size: Annotated[int | None, optional("PIXELS", "by --budget")] = None
    """Bring all images to squares of so many pixels, which regions are measured in."""
    data_dir: DataDir = None
    """Where TFDS keeps its data sets."""
    splits: Splits = ()
    """Splits of SRC to take; --public takes all that it has."""
    image: Image = None
    """Field of SRC that is the image, where several might be."""
    seed: int = 0
    """Of all random choices."""


def run(options: Audit) -> int:
    """Makes an audit, or goes on with it; returns the exit status."""
    from vmixjax.audit import AuditConfig, audit_images

    asked = dataclasses.asdict(options)
    out = asked.pop("out")
    for line in audit_images(AuditConfig(**asked), out).splitlines():
        say(line)
    say(f"see {out / 'report.html'}")
    return DONE


COMMAND = Command(Audit, "vmixjax audit photos --public tfds:cifar10 --out audit", run)

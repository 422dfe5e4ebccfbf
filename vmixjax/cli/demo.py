"""`vmixjax demo`: see it work, offline."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from vmixjax.command_line import DONE, Command


@dataclasses.dataclass(frozen=True)
class Demo:
    """See it work, offline: photographs mixed at three strengths, a model trained."""

    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("vmixjax-demo")
    """Folder for report.html."""


def run(options: Demo) -> int:
    """Makes the demo's page; returns the exit status."""
    from vmixjax.demo import run_demo

    options.out.mkdir(parents=True, exist_ok=True)
    print(run_demo(options.out))
    return DONE


COMMAND = Command(Demo, "vmixjax demo --out demo", run)

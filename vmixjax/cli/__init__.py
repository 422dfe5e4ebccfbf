"""The `vmixjax` command: measure, mix, restore, check, audit, and the demo.

The edge of the package. A file for each command holds its options, an example and what
it does; what is heavy is imported where it is used, so that help and complaints come
at once. Results go to standard output.
"""

import dataclasses
import functools
import importlib.metadata
import sys

from vmixjax.command_line import DONE, MENDS, Program
from vmixjax.errors import RunError

PROGRAM = Program(
    name="vmixjax",
    speaker="vmixjax",
    about="VisualMixer: images that networks can train on and people cannot recognise. "
    "Compiled programs are kept in your cache folder, unless the environment has "
    "JAX_ENABLE_COMPILATION_CACHE=0.",
    example="vmixjax mix photos mixed --vault ~/photos-vault",
    missing="{} is not installed, and the command line needs it: "
    "pip install 'vmixjax[cli]'",
    interrupted="interrupted; every file that was written is whole",
    mends=MENDS,
)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    return PROGRAM.run(functools.partial(_run, arguments))


def _run(arguments: list[str]) -> int:
    if arguments == ["--version"]:
        print(f"{PROGRAM.name} {importlib.metadata.version(PROGRAM.name)}")
        return DONE

    from vmixjax.cli.commands import COMMANDS

    place = arguments.index("--") if "--" in arguments else len(arguments)
    command, options = PROGRAM.parse(arguments[:place], COMMANDS)
    if behind := arguments[place + 1 :]:
        if getattr(options, "engine", None) != "beam":
            raise RunError(f"{behind[0]} behind --: only --engine beam takes such")
        options = dataclasses.replace(options, beam_options=tuple(behind))

    from vmixjax.cli.cache import keep_programs

    keep_programs(PROGRAM.speaker)
    return command.run(options)

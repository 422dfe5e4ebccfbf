"""What all command lines here have in common: commands, complaints, exit statuses.

What a run cannot go on from is one line on standard error; no traceback reaches a user.
"""

import contextlib
import dataclasses
import errno
import functools
import operator
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any

from vmixjax._printable import printable as printable
from vmixjax.errors import ImageError, RunError

DONE, SOME_SKIPPED, REFUSED, INTERRUPTED = 0, 1, 2, 130
"""Exit statuses: all done; some files skipped; nothing or not all tried; Ctrl-C."""

_NAMED = 12
"""Names in a list, at most."""

_ROOM = "; make room, and run the same command again"
MENDS: Mapping[int, str] = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EROFS: "; name a folder elsewhere",
    errno.EACCES: "; change its permissions, or name another",
    errno.ELOOP: "; it is a link that leads back to itself: remove it, or name another",
    errno.ENAMETOOLONG: "; no file can be called so: name another",
}
"""What to do about an error of the operating system, by its number."""


@dataclasses.dataclass(frozen=True)
class Command:
    """One command of a program.

    Attributes:
      options: Dataclass of its options; its docstrings are their help.
      example: A whole command line, shown last in its help.
      run: Carries it out; returns the exit status.
    """

    options: type
    example: str
    run: Callable[[Any], int]


@dataclasses.dataclass(frozen=True)
class Program:
    """A program with commands.

    Attributes:
      name: How it is called.
      speaker: What complaints begin with.
      about: What it is for, shown in its help.
      example: A whole command line, shown last in its help.
      missing: What to say, with `{}` for the name, of a module that is not there.
      interrupted: What to say when somebody stopped it.
      mends: What to do about an error of the operating system, by its number.
    """

    name: str
    speaker: str
    about: str
    example: str
    missing: str
    interrupted: str
    mends: Mapping[int, str] = dataclasses.field(default_factory=dict)

    def run(self, work: Callable[[], int]) -> int:
        """Gives the exit status of some work, or of the error that ended it."""
        try:
            try:
                return work()
            finally:
                # Before exit, where an error would be printed by nobody's choice.
                sys.stdout.flush()
        except (RunError, ImageError) as error:
            return self._complain(str(error))
        except ModuleNotFoundError as error:
            module = (error.name or str(error)).partition(".")[0]
            return self._complain(self.missing.format(module))
        except KeyboardInterrupt:
            self._complain(self.interrupted)
            return INTERRUPTED
        except BrokenPipeError:
            # Whoever read our output has seen enough; flushing it at exit must not
            # fail.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return REFUSED
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            mend = self.mends.get(error.errno or 0, "")
            return self._complain(f"{where}{error.strerror or error}{mend}")

    def parse(
        self, arguments: Sequence[str], commands: Mapping[str, Command]
    ) -> tuple[Command, Any]:
        """Gives the command that a command line begins with, and its options.

        Raises:
          SystemExit: It asks for help, or is not understood; what there is to say is
            printed.
        """
        import tyro

        named = [
            Annotated[command.options, tyro.conf.subcommand(name)]
            for name, command in commands.items()
        ]
        one_of_them: Any = functools.reduce(operator.or_, named)
        examples = {name: command.example for name, command in commands.items()}
        with example_last(arguments, {"": self.example, **examples}):
            options = tyro.cli(
                one_of_them,
                args=arguments,
                prog=self.name,
                description=self.about,
                config=(tyro.conf.FlagCreatePairsOff,),
            )
        command = next(c for c in commands.values() if c.options is type(options))
        return command, options

    def _complain(self, line: str) -> int:
        print(printable(f"{self.speaker}: {line}"), file=sys.stderr)
        return REFUSED


@contextlib.contextmanager
def example_last(
    arguments: Sequence[str], examples: Mapping[str, str]
) -> Iterator[None]:
    """Prints an example after the help that the parser in this context prints.

    There the eye is when a terminal stops scrolling. Examples are by command, the first
    of the arguments; that for help without one is called `""`.
    """
    try:
        yield
    except SystemExit as stop:
        if not stop.code and {"-h", "--help"} & set(arguments):
            print(f"Example: {examples.get(arguments[0], examples[''])}")
        raise


def counted(counts: Mapping[str, int]) -> str:
    """Lists names and how many there are of each; where there are many, less of it.

    >>> counted({"cat": 3, "": 1})
    'cat (3), none (1)'
    >>> counted({str(number): number for number in range(100)})
    '100 of 0 to 99 images'
    """
    if len(counts) > _NAMED:
        least, most = min(counts.values()), max(counts.values())
        return f"{len(counts)} of {least} to {most} images"
    return ", ".join(f"{name or 'none'} ({count})" for name, count in counts.items())


def say(line: str) -> None:
    """Prints a line on standard output, whatever names from files it holds."""
    print(printable(line))

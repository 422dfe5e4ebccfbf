"""Errors that users meet: each is one line that says why, and what to do."""

import contextlib
import difflib
from collections.abc import Collection, Iterator


class RunError(ValueError):
    """A run that cannot begin or go on."""


class ImageError(ValueError):
    """An image that is refused: the line names its file, the fault and the mend."""


class Gone(ImageError):
    """An image that is no longer there, as its owner wants it."""


class VaultError(RunError):
    """A vault that cannot be used."""


def none_of(
    option: str, name: str, known: Collection[str], *, like: str | None = None
) -> str:
    """Says that an option has no such name, and which are the nearest of the known.

    They are compared with `like`; None for the whole name.
    """
    near = difflib.get_close_matches(name if like is None else like, known)
    mean = f"; did you mean {' or '.join(near)}?" if near else ""
    return f"{option} {name!r} is none of {', '.join(known)}{mean}"


@contextlib.contextmanager
def needs(package: str, extra: str) -> Iterator[None]:
    """Says which extra to install where a package is missing.

    Args:
      package: Name of the package, for the complaint.
      extra: What pip is to install.

    Raises:
      RunError: A module of it is not there.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise RunError(
            f"{package} is not installed, and this needs it: pip install '{extra}', "
            f"then try again"
        ) from error

"""Errors that users meet: each is one line that says why, and what to do."""

import difflib
from collections.abc import Collection


class RunError(ValueError):
    """A run that cannot begin or go on."""


class ImageError(ValueError):
    """An image that is refused: the line names its file, the fault and the mend."""


class VaultError(RunError):
    """A vault that cannot be used."""


def none_of(
    option: str, name: str, known: Collection[str], *, like: str | None = None
) -> str:
    """Says that there is no such name, and which are the nearest of those there are.

    Args:
      option: Option that has the name.
      name: Name as it was given.
      known: Names that there are.
      like: What they are compared with; None for the whole name.
    """
    near = difflib.get_close_matches(name if like is None else like, known)
    mean = f"; did you mean {' or '.join(near)}?" if near else ""
    return f"{option} {name!r} is none of {', '.join(known)}{mean}"

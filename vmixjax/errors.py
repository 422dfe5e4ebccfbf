"""What ends a run over files."""

import difflib
from collections.abc import Collection


class RunError(ValueError):
    """A run that cannot begin or go on: one line that says why, and what to do."""


def none_of(
    option: str, name: str, known: Collection[str], *, like: str | None = None
) -> str:
    """The line about a name that there is not, with the nearest of those there are.

    Args:
      option: that has the name.
      name: as it was given.
      known: the names that there are.
      like: what they are compared with; None for the whole name.
    """
    near = difflib.get_close_matches(name if like is None else like, known)
    mean = f"; did you mean {' or '.join(near)}?" if near else ""
    return f"{option} {name!r} is none of {', '.join(known)}{mean}"

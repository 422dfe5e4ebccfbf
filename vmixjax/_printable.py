"""Text from files, fit for a terminal."""

from collections.abc import Sequence


def printable(text: str) -> str:
    r"""Gives the text with escapes for what would break the line or steer the terminal.

    Names of files, classes and members of archives may hold anything.

    >>> printable("cat\x1b]0;owned\x07.png")
    'cat\\x1b]0;owned\\x07.png'
    """
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )


def listed(names: Sequence[str], most: int = 3) -> str:
    """Lists names in one line, the first of them where there are many.

    >>> listed(["a.png", "b.png", "c.png"], 2)
    'a.png, b.png and 1 more'
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"

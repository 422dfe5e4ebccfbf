"""Text from files, fit for a terminal."""


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

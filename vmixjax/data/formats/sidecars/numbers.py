"""Numbers as sidecars have them: in decimal digits, and of bounded length and size."""

import re

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_MOST_DIGITS, _LARGEST = 64, 2**31


def parse_number(text: str) -> float:
    """Parses a number.

    >>> parse_number("12.5"), parse_number("1e-3")
    (12.5, 0.001)

    Raises:
      ValueError: It is none, or too large to be one of an image.
    """
    if len(text) > _MOST_DIGITS or not _NUMBER.fullmatch(text):
        raise ValueError(f"{short(text)} is no number")
    number = float(text)
    if not abs(number) <= _LARGEST:
        raise ValueError(f"{short(text)} is larger than any place in an image")
    return number


def short(text: str) -> str:
    """Gives a text as a complaint quotes it."""
    return repr(text if len(text) <= _MOST_DIGITS else f"{text[:_MOST_DIGITS]}…")

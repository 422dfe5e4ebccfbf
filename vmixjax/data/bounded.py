"""Small files that may come from anybody: ordinary ones, read as far as a limit."""

import json
import os
from pathlib import Path
from typing import TypeVar

import msgspec

from vmixjax.data.inside import open_ordinary
from vmixjax.errors import RunError

_T = TypeVar("_T")


_PIECE = 2**20
"""Bytes that are looked at together."""


def read_bounded(path: Path, limit: int, *, follow: bool = False) -> bytes:
    """Reads an ordinary file of text whole.

    Args:
      path: Path of the file; a link is refused.
      limit: The most bytes that it may have.
      follow: Whether links are followed after all.

    Raises:
      FileNotFoundError: It is not there.
      RunError: It is a link, no ordinary file, larger, or no text.
      OSError: It cannot be read.
    """
    if follow and path.is_symlink():
        # `Path.resolve` has an error of its own for links that lead to each other.
        path = Path(os.path.realpath(path))
    if path.is_symlink():
        raise RunError(f"{path} is a link; put the file itself there")
    with open_ordinary(path, path, "put one there") as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise RunError(
                f"{path} holds {size} bytes, more than there is to say; use a copy "
                f"from before"
            )
        if size > _PIECE:
            # What was said to be so long, and never written, reads as zeros: that is
            # known before it fills the memory.
            if any(b"\0" in piece for piece in iter(lambda: file.read(_PIECE), b"")):
                raise RunError(f"{path} is no text; use a copy from before")
            file.seek(0)
        return file.read(size)


def read_json(path: Path, kind: type[_T], limit: int) -> _T:
    """Reads a JSON file, checked against a type.

    Raises:
      ValueError: It is no JSON, or something else than `kind`.
      FileNotFoundError, RunError, OSError: As `read_bounded`.
    """
    return parse_json(read_bounded(path, limit), kind)


def parse_json(data: bytes | str, kind: type[_T]) -> _T:
    """Parses JSON, checked against a type.

    Raises:
      ValueError: It is no JSON, or something else than `kind`.
    """
    try:
        # Names that are no text are escaped here as half characters, which JSON
        # parsers other than Python's refuse.
        values = json.loads(data, parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return msgspec.convert(values, kind)


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")

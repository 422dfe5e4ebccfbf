"""Small files that may come from anybody: ordinary ones, read as far as a limit."""

import json
import os
from pathlib import Path
from typing import TypeVar

import msgspec

from vmixjax.data.inside import open_ordinary
from vmixjax.errors import RunError

_T = TypeVar("_T")


def read_bounded(path: Path, limit: int) -> bytes:
    """Reads an ordinary file whole.

    Args:
      path: Path of the file; a link is refused.
      limit: The most bytes that it may have.

    Raises:
      FileNotFoundError: It is not there.
      RunError: It is a link, no ordinary file, or larger.
      OSError: It cannot be read.
    """
    if path.is_symlink():
        raise RunError(f"{path} is a link; put the file itself there")
    descriptor = open_ordinary(path, path, "put one there")
    with open(descriptor, "rb") as file:  # noqa: PTH123 (a descriptor, not a path)
        size = os.fstat(descriptor).st_size
        if size > limit:
            raise RunError(
                f"{path} holds {size} bytes, more than there is to say; use a copy "
                f"from before"
            )
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

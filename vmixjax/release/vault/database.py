"""The SQLite file of a vault: its tables, and how little of it is believed."""

import contextlib
import functools
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vmixjax.atomic import atomic_path

FILE_NAME = "vault.sqlite"
FORMAT = "5"

_MOST_BYTES = 2**30
"""Of a value that SQLite hands out."""

_FEW = 16
"""More than there are settings, tables and indexes."""

_SCHEMA = """
CREATE TABLE about (name TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE images (
  pixels BLOB NOT NULL,
  output BLOB NOT NULL,
  original BLOB NOT NULL,
  source BLOB NOT NULL,
  sealed BLOB NOT NULL,
  PRIMARY KEY (pixels, output, source)
) WITHOUT ROWID;
CREATE INDEX by_output ON images (output);
CREATE INDEX by_original ON images (original);
CREATE TABLE sources (
  source TEXT, number INTEGER, sealed BLOB NOT NULL, PRIMARY KEY (source, number)
) WITHOUT ROWID;
CREATE TABLE notes (
  source TEXT, name TEXT, sealed BLOB NOT NULL, PRIMARY KEY (source, name)
) WITHOUT ROWID;
CREATE TABLE releases (signature TEXT PRIMARY KEY) WITHOUT ROWID;
"""


def create(path: Path, about: Mapping[str, bytes]) -> None:
    """Creates the file of a new vault, whole or not at all.

    Args:
      path: Path of the file; its folder exists.
      about: What is said of the vault, by name.

    Raises:
      OSError: It cannot be made.
    """
    # Made by its owner for its owner before SQLite opens it; the files that SQLite puts
    # beside it get the same permissions.
    with (
        atomic_path(path, 0o600) as file,
        contextlib.closing(sqlite3.connect(file.name)) as connection,
        connection,
    ):
        connection.executescript(_SCHEMA)
        connection.executemany(
            "INSERT INTO about VALUES (?, ?)", {"format": FORMAT, **about}.items()
        )


def connect(path: Path) -> sqlite3.Connection:
    """Opens a file that may come from anybody.

    Raises:
      sqlite3.Error: It is no data base.
    """
    # One thread at a time uses it, but not always the same.
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", uri=True, check_same_thread=False
    )
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MOST_BYTES)
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    return connection


def read_about(connection: sqlite3.Connection) -> dict[str, Any]:
    """Reads what the table `about` says; nothing where it is no table."""
    # A view could be one without an end.
    kind = connection.execute(
        "SELECT type FROM sqlite_schema WHERE name = 'about' "
        "AND sql LIKE 'CREATE TABLE%'"
    ).fetchone()
    if kind != ("table",):
        return {}
    return dict(connection.execute("SELECT name, value FROM about").fetchmany(_FEW))


def has_structure(connection: sqlite3.Connection) -> bool:
    """Tells whether the tables and indexes of a vault are there, and nothing else."""
    return _structure(connection) == _expected_structure()


def _structure(connection: sqlite3.Connection) -> list[tuple[str, ...]]:
    return connection.execute(
        "SELECT type, name, sql FROM sqlite_schema ORDER BY type, name"
    ).fetchmany(_FEW)


@functools.cache
def _expected_structure() -> list[tuple[str, ...]]:
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(_SCHEMA)
        return _structure(connection)

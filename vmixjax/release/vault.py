"""What the owner keeps: the secret, and what it takes to undo each mixing.

One SQLite file in a folder of its own, readable by its owner only. It never belongs
into a release: with it, every image can be restored.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vmixjax.config import MixConfig
from vmixjax.release.keys import new_secret

FILE_NAME = "vault.sqlite"
_FORMAT = "1"

_SCHEMA = """
CREATE TABLE about (name TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE images (
  pixels BLOB NOT NULL,
  output TEXT NOT NULL,
  identity BLOB NOT NULL,
  source TEXT NOT NULL,
  config TEXT NOT NULL,
  rows INTEGER NOT NULL,
  columns INTEGER NOT NULL,
  levels BLOB NOT NULL,
  height INTEGER NOT NULL,
  width INTEGER NOT NULL,
  rest BLOB NOT NULL,
  PRIMARY KEY (pixels, output)
) WITHOUT ROWID;
"""


class VaultError(ValueError):
    """A vault that cannot be used: one line that says why, and what to do."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """What undoes one mixing.

    Attributes:
      identity: id that the key is derived from, with the secret.
      source: path of the original, relative to the folder that was mixed.
      config: what the levels mean.
      levels: uint8 (H // T, W // T), the plan.
      height, width: size of the original, before it was padded or cropped.
      rest: values that cropping took away.
    """

    identity: bytes
    source: str
    config: MixConfig
    levels: np.ndarray
    height: int
    width: int
    rest: bytes


class Vault:
    """An open vault. Get one from `open_vault`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        (self.secret,) = connection.execute(
            "SELECT value FROM about WHERE name = 'secret'"
        ).fetchone()

    def keep(self, mixed: np.ndarray, output: str, entry: Entry) -> None:
        """Stores what undoes one mixed image (H, W, C), for good, before returning."""
        with self._connection:
            self._connection.execute(
                f"INSERT OR REPLACE INTO images VALUES ({', '.join('?' * 11)})",
                (
                    self._name(mixed),
                    output,
                    entry.identity,
                    entry.source,
                    json.dumps(dataclasses.asdict(entry.config)),
                    *entry.levels.shape,
                    zlib.compress(entry.levels.tobytes()),
                    entry.height,
                    entry.width,
                    zlib.compress(entry.rest),
                ),
            )

    def find(self, mixed: np.ndarray, output: str) -> Entry | None:
        """What undoes a mixed image, which is known by its pixels.

        Only flat images of one colour can be alike when mixed; then the name that
        the output was given decides.
        """
        row = self._connection.execute(
            "SELECT identity, source, config, rows, columns, levels, height, width, "
            "rest FROM images WHERE pixels = ? ORDER BY output = ? DESC",
            (self._name(mixed), output),
        ).fetchone()
        if row is None:
            return None
        identity, source, config, rows, columns, levels, height, width, rest = row
        flat = np.frombuffer(zlib.decompress(levels), np.uint8)
        return Entry(
            identity=identity,
            source=source,
            config=MixConfig(**json.loads(config)),
            levels=flat.reshape(rows, columns),
            height=height,
            width=width,
            rest=zlib.decompress(rest),
        )

    def _name(self, mixed: np.ndarray) -> bytes:
        digest = hashlib.blake2b(
            key=self.secret, digest_size=16, person=b"vmixjax mixed"
        )
        digest.update(repr((mixed.shape, mixed.dtype.str)).encode())
        digest.update(np.ascontiguousarray(mixed).tobytes())
        return digest.digest()


@contextlib.contextmanager
def open_vault(folder: Path, *, create: bool = False) -> Iterator[Vault]:
    """Opens the vault in a folder; with `create`, makes one where there is none.

    A new vault gets a secret of its own. The folder and the file are made readable
    by their owner only, from the first moment on.

    Raises:
      VaultError: no vault there, or a file that is not one, or of another version.
      OSError: the folder or file cannot be made.
    """
    path = folder / FILE_NAME
    if create and not path.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make(path)
    if not path.is_file():
        raise VaultError(
            f"--vault {folder} holds no vault ({FILE_NAME} is not there); name the "
            f"folder that was given to vmixjax mix --vault"
        )
    try:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            found = dict(connection.execute("SELECT name, value FROM about"))
            if found.get("format") != _FORMAT:
                raise VaultError(
                    f"--vault {folder} was written by another version of vmixjax; "
                    f"use that one"
                )
            yield Vault(connection)
    except sqlite3.Error as error:
        raise VaultError(f"--vault {folder} cannot be used: {error}") from error


def _make(path: Path) -> None:
    """A new vault file, whole or not at all."""
    part = path.with_name(f".{FILE_NAME}.{os.getpid()}.part")
    try:
        # Made by its owner for its owner before SQLite opens it; the files that
        # SQLite puts beside it get the same permissions.
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with contextlib.closing(sqlite3.connect(part)) as connection:
            connection.executescript(_SCHEMA)
            with connection:
                connection.executemany(
                    "INSERT INTO about VALUES (?, ?)",
                    [("format", _FORMAT), ("secret", new_secret())],
                )
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise

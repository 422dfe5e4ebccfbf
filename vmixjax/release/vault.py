"""What the owner keeps: the secret, and what it takes to undo each mixing.

One SQLite file in a folder of its own, readable by its owner only. It never belongs
into a release: with it, every image can be restored. All that it holds is sealed with
AES-GCM under a key of the vault's own, so damage and meddling are noticed; with a
passphrase that key is itself locked (scrypt, AES-GCM), and the vault is of no use
without.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from vmixjax.config import MixConfig
from vmixjax.release.keys import new_secret

FILE_NAME = "vault.sqlite"
_FORMAT = "2"
_NONCE = 12
_SCRYPT = {"n": 2**17, "r": 8, "p": 1}
"""128 MiB and a third of a second for each guess at a passphrase."""

_SCHEMA = """
CREATE TABLE about (name TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE images (
  pixels BLOB NOT NULL,
  output TEXT NOT NULL,
  original BLOB NOT NULL,
  sealed BLOB NOT NULL,
  PRIMARY KEY (pixels, output)
) WITHOUT ROWID;
CREATE INDEX by_output ON images (output);
CREATE INDEX by_original ON images (original);
"""

Row: TypeAlias = tuple[bytes, str, bytes, bytes]
"""A line of the table `images`: it says nothing without the vault's key."""


class VaultError(ValueError):
    """A vault that cannot be used: one line that says why, and what to do."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """What undoes one mixing.

    Attributes:
      identity: id that the key is derived from, with the secret.
      output: what the mixed image is called in its release.
      source: id of the original in the data set that was mixed.
      restored: what the restored image is called.
      config: what the levels mean.
      levels: uint8 (H // T, W // T), the plan.
      height, width: size of the original, before it was padded or cropped.
      rest: values that cropping took away.
      texts: fields that the release has numbers for, as they were.
    """

    identity: bytes
    output: str
    source: str
    restored: str
    config: MixConfig
    levels: np.ndarray
    height: int
    width: int
    rest: bytes
    texts: dict[str, str] = dataclasses.field(default_factory=dict)


class Vault:
    """An open vault. Get one from `open_vault`."""

    def __init__(self, connection: sqlite3.Connection, seal: AESGCM) -> None:
        self._connection = connection
        self._seal = seal
        (sealed,) = connection.execute(
            "SELECT value FROM about WHERE name = 'secret'"
        ).fetchone()
        self.secret = _open(seal, sealed, b"secret")

    def row(self, mixed: np.ndarray, entry: Entry) -> Row:
        """What `keep` stores for a mixed image (H, W, C)."""
        head = {
            "identity": entry.identity.hex(),
            "source": entry.source,
            "restored": entry.restored,
            "config": dataclasses.asdict(entry.config),
            "levels": entry.levels.shape,
            "height": entry.height,
            "width": entry.width,
            "texts": entry.texts,
        }
        text = json.dumps(head).encode()
        values = zlib.compress(entry.levels.tobytes() + entry.rest)
        pixels = self._pixels(mixed)
        sealed = _close(
            self._seal,
            len(text).to_bytes(4, "little") + text + values,
            _names(pixels, entry.output),
        )
        return pixels, entry.output, self._digest(entry.source.encode()), sealed

    def keep(self, rows: Iterable[Row]) -> None:
        """Stores rows, all or none of them, for good, before it returns."""
        with self._connection:
            self._connection.executemany(
                "INSERT OR REPLACE INTO images VALUES (?, ?, ?, ?)", rows
            )

    def find(self, mixed: np.ndarray, output: str) -> Entry | None:
        """What undoes a mixed image, which is known by its pixels.

        Only flat images of one colour can be alike when mixed; then the name that
        the output was given decides.

        Raises:
          VaultError: what the vault holds was changed.
        """
        row = self._connection.execute(
            "SELECT pixels, output, CAST(sealed AS BLOB) FROM images "
            "WHERE pixels = ? ORDER BY output = ? DESC",
            (self._pixels(mixed), output),
        ).fetchone()
        return None if row is None else self._entry(*row)

    def output_of(self, image: str) -> str | None:
        """What the release calls an image, given that or the id of its original."""
        row = self._connection.execute(
            "SELECT output FROM images WHERE output = ? OR original = ?",
            (image, self._digest(image.encode())),
        ).fetchone()
        return None if row is None else str(row[0])

    def __len__(self) -> int:
        (count,) = self._connection.execute("SELECT count(*) FROM images").fetchone()
        return int(count)

    def _entry(self, pixels: bytes, output: str, sealed: bytes) -> Entry:
        try:
            opened = _open(self._seal, sealed, _names(pixels, output))
        except (InvalidTag, ValueError) as error:
            raise VaultError(
                f"the vault's entry for {output} was changed or is damaged; use a copy "
                f"of the vault from before"
            ) from error
        end = 4 + int.from_bytes(opened[:4], "little")
        head: dict[str, Any] = json.loads(opened[4:end])
        values = zlib.decompress(opened[end:])
        rows, columns = head["levels"]
        levels = np.frombuffer(values[: rows * columns], np.uint8)
        return Entry(
            identity=bytes.fromhex(head["identity"]),
            output=output,
            source=head["source"],
            restored=head["restored"],
            config=MixConfig(**head["config"]),
            levels=levels.reshape(rows, columns),
            height=head["height"],
            width=head["width"],
            rest=values[rows * columns :],
            texts=head["texts"],
        )

    def _pixels(self, mixed: np.ndarray) -> bytes:
        return self._digest(
            repr((mixed.shape, mixed.dtype.str)).encode(),
            np.ascontiguousarray(mixed).tobytes(),
        )

    def _digest(self, *parts: bytes) -> bytes:
        digest = hashlib.blake2b(
            key=self.secret, digest_size=16, person=b"vmixjax vault"
        )
        for part in parts:
            digest.update(part)
        return digest.digest()


@contextlib.contextmanager
def open_vault(
    folder: Path,
    *,
    create: bool = False,
    secret: bytes | None = None,
    passphrase: bytes | None = None,
) -> Iterator[Vault]:
    """Opens the vault in a folder; with `create`, makes one where there is none.

    A new vault gets a secret of its own, unless it is given one. The folder and the
    file are made readable by their owner only, from the first moment on.

    Raises:
      VaultError: no vault there, or a file that is not one, of another version or with
        another secret; a passphrase that is missing, wrong or not needed.
      OSError: the folder or file cannot be made.
    """
    path = folder / FILE_NAME
    if create and not path.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make(path, secret or new_secret(), passphrase)
    if not path.is_file():
        raise VaultError(
            f"--vault {folder} holds no vault ({FILE_NAME} is not there); name the "
            f"folder that was given to vmixjax mix --vault"
        )
    try:
        # One thread at a time uses it, but not always the same.
        with contextlib.closing(
            sqlite3.connect(path, check_same_thread=False)
        ) as connection:
            about = dict(connection.execute("SELECT name, value FROM about"))
            if about.get("format") != _FORMAT:
                raise VaultError(
                    f"--vault {folder} was written by another version of vmixjax; "
                    f"use that one"
                )
            vault = _unlocked(connection, folder, about, passphrase)
            if secret not in (None, vault.secret):
                raise VaultError(
                    f"--vault {folder} has another secret than --secret-file; leave "
                    f"the option out, or name another vault"
                )
            yield vault
    except sqlite3.Error as error:
        raise VaultError(f"--vault {folder} cannot be used: {error}") from error


def _unlocked(
    connection: sqlite3.Connection,
    folder: Path,
    about: dict[str, Any],
    passphrase: bytes | None,
) -> Vault:
    try:
        return Vault(connection, _key(folder, about, passphrase))
    except VaultError:
        raise
    except (InvalidTag, KeyError, TypeError, ValueError) as error:
        raise VaultError(
            f"--vault {folder} was changed or is damaged; use a copy from before"
        ) from error


def _key(folder: Path, about: dict[str, Any], passphrase: bytes | None) -> AESGCM:
    """The vault's key, with the passphrase where one is needed."""
    if "salt" not in about:
        if passphrase is not None:
            raise VaultError(
                f"--vault {folder} has no passphrase; leave out --vault-passphrase-file"
            )
        return AESGCM(about["key"])
    if passphrase is None:
        raise VaultError(
            f"--vault {folder} has a passphrase; name the file that holds it with "
            f"--vault-passphrase-file"
        )
    scrypt = {name: int(about[name]) for name in _SCRYPT}
    lock = AESGCM(Scrypt(about["salt"], 32, **scrypt).derive(passphrase))
    try:
        return AESGCM(_open(lock, about["key"], b"key"))
    except InvalidTag as error:
        raise VaultError(
            f"--vault-passphrase-file holds another passphrase than that of --vault "
            f"{folder}, or the vault is damaged; nothing was read from it"
        ) from error


def _close(seal: AESGCM, value: bytes, about: bytes) -> bytes:
    nonce = os.urandom(_NONCE)
    return nonce + seal.encrypt(nonce, value, about)


def _open(seal: AESGCM, sealed: bytes, about: bytes) -> bytes:
    return seal.decrypt(sealed[:_NONCE], sealed[_NONCE:], about)


def _names(pixels: bytes, output: str) -> bytes:
    """Binds what is sealed to its line, so that lines cannot be exchanged."""
    return pixels + output.encode("utf-8", "surrogateescape")


def _make(path: Path, secret: bytes, passphrase: bytes | None) -> None:
    """A new vault file, whole or not at all."""
    key = AESGCM.generate_key(256)
    about: dict[str, Any] = {"format": _FORMAT, "key": key}
    about["secret"] = _close(AESGCM(key), secret, b"secret")
    if passphrase is not None:
        salt = os.urandom(16)
        lock = AESGCM(Scrypt(salt, 32, **_SCRYPT).derive(passphrase))
        about |= {"key": _close(lock, key, b"key"), "salt": salt, **_SCRYPT}
    part = path.with_name(f".{FILE_NAME}.{os.getpid()}.part")
    try:
        # Made by its owner for its owner before SQLite opens it; the files that
        # SQLite puts beside it get the same permissions.
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with contextlib.closing(sqlite3.connect(part)) as connection:
            connection.executescript(_SCHEMA)
            with connection:
                connection.executemany("INSERT INTO about VALUES (?, ?)", about.items())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise

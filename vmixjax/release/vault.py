"""What the owner keeps: the secret, and what it takes to undo each mixing.

One SQLite file in a folder of its own, readable by its owner only. It never belongs
into a release: with it, every image can be restored.

All that it holds is sealed with AES-GCM under a key of the vault's own, each row with
the digests of the names that it is found by, so that no part can stand in for another.
With a passphrase that key is itself locked (scrypt, AES-GCM): the vault is of no use
without, and whoever lacks it can remove rows, but neither read nor exchange nor add
any. Without a passphrase the key lies beside what it seals: damage is noticed then,
and what was changed by who does not know the format; who does can change it all. What
protects such a vault are the permissions of its folder.

Of each release it holds a MAC of the whole `release.json`, and so of all files, their
order, their labels and their number.
"""

import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import secrets
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import msgspec
import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from vmixjax.config import MixConfig
from vmixjax.data.bounded import parse_json
from vmixjax.data.inside import create_private
from vmixjax.errors import VaultError
from vmixjax.release.keys import looks_random, new_secret
from vmixjax.release.manifest import Config, Count, Manifest, is_signed
from vmixjax.release.private import check_private, check_private_folder

FILE_NAME = "vault.sqlite"
_FORMAT = "3"
_NONCE = 12
_SCRYPT = {"n": 2**17, "r": 8, "p": 1}
"""128 MiB and a third of a second for each guess at a passphrase. They belong to the
format: a file that named its own could ask for any time and memory."""

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
  sealed BLOB NOT NULL,
  PRIMARY KEY (pixels, output)
) WITHOUT ROWID;
CREATE INDEX by_output ON images (output);
CREATE INDEX by_original ON images (original);
CREATE TABLE releases (signature TEXT PRIMARY KEY) WITHOUT ROWID;
"""

Row: TypeAlias = tuple[bytes, bytes, bytes, bytes]
"""A line of the table `images`: it says nothing without the vault's key."""


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
      folder: that the restored image belongs into, such as its class.
      belongings: SHA-256 of what the release has beside the image, such as its label.
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
    folder: str = ""
    belongings: str = ""

    def fits(self, mixed: np.ndarray) -> bool:
        """Whether it can be of a mixed image (H, W, C): sizes all follow from that."""
        tile = self.config.tile_size
        rows, columns = mixed.shape[:2]
        if rows % tile or columns % tile:
            return False
        padded = rows - tile < self.height <= rows and columns - tile < self.width
        padded = padded and self.width <= columns
        cropped = rows <= self.height < rows + tile
        cropped = cropped and columns <= self.width < columns + tile
        left = 0 if padded else self.height * self.width - rows * columns
        return (
            (padded or cropped)
            and self.levels.shape == (rows // tile, columns // tile)
            and int(self.levels.max()) <= len(self.config.ladder)
            and len(self.rest) == left * mixed.shape[2] * mixed.itemsize
        )


class _Head(msgspec.Struct, forbid_unknown_fields=True):
    """What is sealed of an entry, but for its levels and the rest; names as bytes."""

    identity: bytes
    output: bytes
    source: bytes
    restored: bytes
    folder: bytes
    config: Config
    levels: tuple[Count, Count]
    height: Annotated[int, msgspec.Meta(ge=1, le=2**31)]
    width: Annotated[int, msgspec.Meta(ge=1, le=2**31)]
    rest: Count
    texts: dict[str, bytes]
    belongings: str


class Vault:
    """An open vault. Get one from `open_vault`."""

    def __init__(self, connection: sqlite3.Connection, seal: AESGCM) -> None:
        self._connection = connection
        self._seal = seal
        (sealed,) = connection.execute(
            "SELECT value FROM about WHERE name = 'secret'"
        ).fetchone()
        self.secret = _open(seal, sealed, b"secret")
        if len(self.secret) != 32 or not looks_random(self.secret):
            raise ValueError("the secret is no secret")

    def row(self, mixed: np.ndarray, entry: Entry) -> Row:
        """What `keep` stores for a mixed image (H, W, C)."""
        head = _Head(
            identity=entry.identity,
            output=_bytes(entry.output),
            source=_bytes(entry.source),
            restored=_bytes(entry.restored),
            folder=_bytes(entry.folder),
            config=_config(entry.config),
            levels=(entry.levels.shape[0], entry.levels.shape[1]),
            height=entry.height,
            width=entry.width,
            rest=len(entry.rest),
            texts={name: _bytes(text) for name, text in entry.texts.items()},
            belongings=entry.belongings,
        )
        text = json.dumps(msgspec.to_builtins(head)).encode()
        values = zlib.compress(entry.levels.tobytes() + entry.rest)
        found_by = (
            self._pixels(mixed),
            self._name(b"output", entry.output),
            self._name(b"original", entry.source),
        )
        value = len(text).to_bytes(4, "little") + text + values
        return *found_by, _close(self._seal, value, b"".join(found_by))

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
            f"SELECT {_ROW} FROM images WHERE pixels = ? ORDER BY output = ? DESC",
            (self._pixels(mixed), self._name(b"output", output)),
        ).fetchone()
        if row is None:
            return None
        entry = self._entry(row, output)
        if not entry.fits(mixed):
            raise _changed(output)
        return entry

    def output_of(self, image: str) -> str | None:
        """What the release calls an image, given that or the id of its original.

        Raises:
          VaultError: what the vault holds was changed.
        """
        row = self._connection.execute(
            f"SELECT {_ROW} FROM images WHERE output = ?1 OR original = ?2 "
            f"ORDER BY output = ?1 DESC",
            (self._name(b"output", image), self._name(b"original", image)),
        ).fetchone()
        if row is None:
            return None
        entry = self._entry(row, image)
        if image not in (entry.output, entry.source):
            raise _changed(image)
        return entry.output

    def vouch(self, signature: str) -> None:
        """Stores the signature of a `release.json`, for good."""
        with self._connection:
            self._connection.execute(
                "INSERT OR REPLACE INTO releases VALUES (?)", (signature,)
            )

    def vouches_for(self, manifest: Manifest, written: bytes) -> bool:
        """Whether a `release.json` is, as a whole, one that was written with it.

        Args:
          manifest: what it holds.
          written: SHA-256 of all in it but its signature.
        """
        row = self._connection.execute(
            "SELECT 1 FROM releases WHERE signature = ?", (manifest.signature,)
        ).fetchone()
        return row is not None and is_signed(manifest, written, self.secret)

    def __len__(self) -> int:
        (count,) = self._connection.execute("SELECT count(*) FROM images").fetchone()
        return int(count)

    def _entry(self, row: tuple[Any, ...], name: str) -> Entry:
        *found_by, sealed = row
        try:
            opened = _open(self._seal, sealed, b"".join(found_by))
            end = 4 + int.from_bytes(opened[:4], "little")
            head = parse_json(opened[4:end], _Head)
            rows, columns = head.levels
            size = rows * columns + head.rest
            # No more is inflated than there should be.
            values = zlib.decompressobj().decompress(opened[end:], size + 1)
            if len(values) != size or size > _MOST_BYTES:
                raise ValueError("its values are too few or too many")
            levels = np.frombuffer(values[: rows * columns], np.uint8)
            return Entry(
                identity=head.identity,
                output=_text(head.output),
                source=_text(head.source),
                restored=_text(head.restored),
                folder=_text(head.folder),
                config=MixConfig(
                    head.config.tile_size, head.config.ladder, head.config.channels
                ),
                levels=levels.reshape(rows, columns),
                height=head.height,
                width=head.width,
                rest=values[rows * columns :],
                texts={key: _text(value) for key, value in head.texts.items()},
                belongings=head.belongings,
            )
        except (InvalidTag, TypeError, ValueError, OverflowError, zlib.error) as error:
            raise _changed(name) from error

    def _pixels(self, mixed: np.ndarray) -> bytes:
        return self._digest(
            b"pixels",
            repr((mixed.shape, mixed.dtype.str)).encode(),
            np.ascontiguousarray(mixed).tobytes(),
        )

    def _name(self, purpose: bytes, name: str) -> bytes:
        return self._digest(purpose, _bytes(name))

    def _digest(self, purpose: bytes, *parts: bytes) -> bytes:
        digest = hashlib.blake2b(
            key=self.secret, digest_size=16, person=b"vmixjax" + purpose
        )
        for part in parts:
            digest.update(part)
        return digest.digest()


_ROW = "pixels, output, original, CAST(sealed AS BLOB)"


def _changed(name: str) -> VaultError:
    return VaultError(
        f"the vault's entry for {name} was changed or is damaged; use a copy of the "
        f"vault from before"
    )


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
    file are made readable by their owner only, from the first moment on. As `ssh` does
    with keys, one that others can read, change or have made is refused.

    Raises:
      VaultError: no vault there, or a file that is not one, of another version or with
        another secret; a passphrase that is missing, wrong or not needed.
      RunError: others may have a hand in it.
      OSError: the folder or file cannot be made.
    """
    path = folder / FILE_NAME
    if create:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.is_symlink() or folder.exists():
        check_private_folder(folder, "--vault")
    if create and not (path.is_symlink() or path.exists()):
        _make(path, secret or new_secret(), passphrase)
    if not (path.is_symlink() or path.is_file()):
        raise VaultError(
            f"--vault {folder} holds no vault ({FILE_NAME} is not there); name the "
            f"folder that was given to vmixjax mix --vault"
        )
    # With what SQLite puts beside it, which it believes as well.
    for part in folder.glob(f"{FILE_NAME}*"):
        check_private(part, "--vault")
    try:
        with contextlib.closing(_connect(path)) as connection:
            about = dict(_about(connection))
            if about.get("format") != _FORMAT:
                raise VaultError(
                    f"--vault {folder} was written by another version of vmixjax; "
                    f"use that one"
                )
            if _structure(connection) != _expected_structure():
                raise VaultError(f"--vault {folder} {_DAMAGED}")
            vault = _unlocked(connection, folder, about, passphrase)
            if secret not in (None, vault.secret):
                raise VaultError(
                    f"--vault {folder} has another secret than --secret-file; leave "
                    f"the option out, or name another vault"
                )
            yield vault
    except sqlite3.Error as error:
        raise VaultError(f"--vault {folder} cannot be used: {error}") from error
    except UnicodeDecodeError as error:
        # What SQLite says of a damaged file quotes it.
        raise VaultError(f"--vault {folder} {_DAMAGED}") from error


_DAMAGED = "was changed or is damaged; use a copy from before"


def _connect(path: Path) -> sqlite3.Connection:
    # One thread at a time uses it, but not always the same.
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", uri=True, check_same_thread=False
    )
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MOST_BYTES)
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    return connection


def _about(connection: sqlite3.Connection) -> list[tuple[str, Any]]:
    """What the table `about` says; nothing where it is no table."""
    # A view could be one without an end.
    kind = connection.execute(
        "SELECT type FROM sqlite_schema WHERE name = 'about' "
        "AND sql LIKE 'CREATE TABLE%'"
    ).fetchone()
    if kind != ("table",):
        return []
    return connection.execute("SELECT name, value FROM about").fetchmany(_FEW)


def _structure(connection: sqlite3.Connection) -> list[tuple[str, ...]]:
    """Tables and indexes, and whatever else there is."""
    return connection.execute(
        "SELECT type, name, sql FROM sqlite_schema ORDER BY type, name"
    ).fetchmany(_FEW)


@functools.cache
def _expected_structure() -> list[tuple[str, ...]]:
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(_SCHEMA)
        return _structure(connection)


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
        raise VaultError(f"--vault {folder} {_DAMAGED}") from error


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
    lock = AESGCM(Scrypt(about["salt"], 32, **_SCRYPT).derive(passphrase))
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


@functools.cache
def _config(config: MixConfig) -> Config:
    return Config(config.tile_size, config.ladder, config.channels)


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _make(path: Path, secret: bytes, passphrase: bytes | None) -> None:
    """A new vault file, whole or not at all."""
    key = AESGCM.generate_key(256)
    about: dict[str, Any] = {"format": _FORMAT, "key": key}
    about["secret"] = _close(AESGCM(key), secret, b"secret")
    if passphrase is not None:
        salt = os.urandom(16)
        lock = AESGCM(Scrypt(salt, 32, **_SCRYPT).derive(passphrase))
        about |= {"key": _close(lock, key, b"key"), "salt": salt}
    part = path.with_name(f".{secrets.token_hex(16)}.part")
    try:
        # Made by its owner for its owner before SQLite opens it; the files that
        # SQLite puts beside it get the same permissions.
        os.close(create_private(part))
        with contextlib.closing(sqlite3.connect(part)) as connection:
            connection.executescript(_SCHEMA)
            with connection:
                connection.executemany("INSERT INTO about VALUES (?, ?)", about.items())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise

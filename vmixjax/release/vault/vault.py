"""An open vault: entries go in and are found again by the pixels of mixed images."""

import contextlib
import hashlib
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from cryptography.exceptions import InvalidTag

from vmixjax.data.example import Trace
from vmixjax.errors import VaultError
from vmixjax.keys import new_secret
from vmixjax.release.keys import looks_random
from vmixjax.release.manifest import is_signed
from vmixjax.release.private import check_private, check_private_folder
from vmixjax.release.schema import Manifest
from vmixjax.release.vault import database
from vmixjax.release.vault.entry import Entry, name_bytes
from vmixjax.release.vault.locks import Seal, new_key, unlock
from vmixjax.release.vault.rows import SUFFIX, Row, parse_row
from vmixjax.release.vault.traces import decode, encode, in_pieces

_DAMAGED = "was changed or is damaged; use a copy from before"


class Vault:
    """An open vault. Get one from `open_vault`."""

    def __init__(
        self, folder: Path, connection: sqlite3.Connection, seal: Seal
    ) -> None:
        self.folder, self._connection, self._seal = folder, connection, seal
        (sealed,) = connection.execute(
            "SELECT value FROM about WHERE name = 'secret'"
        ).fetchone()
        self.secret = seal.open(sealed, b"secret")
        if len(self.secret) != 32 or not looks_random(self.secret):
            raise ValueError("the secret is no secret")

    def seal(self, mixed: np.ndarray, entry: Entry) -> Row:
        """Seals what undoes a mixed image (H, W, C), for `store`."""
        found_by = (
            self._pixels(mixed),
            self._name(b"output", entry.output),
            self._name(b"original", entry.source),
            self._name(b"source", entry.mixed_from),
        )
        return *found_by, self._seal.close(entry.encode(), b"".join(found_by))

    def store(self, rows: Iterable[Row]) -> None:
        """Stores rows, all or none of them, for good, before it returns."""
        with self._connection:
            self._connection.executemany(
                "INSERT OR REPLACE INTO images VALUES (?, ?, ?, ?, ?)", rows
            )

    def merge_rows(self) -> None:
        """Takes in what workers have stored in files of their own, see `RowsFile`.

        Raises:
          VaultError: One of the files is damaged.
        """
        for path in sorted(self.folder.glob(f"*{SUFFIX}")):
            check_private(path, "--vault")
            try:
                self.store(map(parse_row, path.read_text().splitlines()))
            except ValueError as error:
                raise VaultError(
                    f"{path} is damaged; remove it, and run the mixing again"
                ) from error
            path.unlink()

    def find(self, mixed: np.ndarray, output: str) -> Entry | None:
        """Finds what undoes a mixed image, by its pixels.

        Only flat images of one colour can be alike when mixed; then the name that
        the output was given decides.

        Raises:
          VaultError: What the vault holds was changed.
        """
        entry = self._entry(
            "pixels = ?1 ORDER BY output = ?2 DESC",
            (self._pixels(mixed), self._name(b"output", output)),
            output,
        )
        if entry is not None and not entry.fits(mixed):
            raise _changed(output)
        return entry

    def output_of(self, image: str) -> str | None:
        """Tells what the release calls an image, by that or the id of its original.

        Raises:
          VaultError: What the vault holds was changed.
        """
        entry = self._entry(
            "output = ?1 OR original = ?2 ORDER BY output = ?1 DESC",
            (self._name(b"output", image), self._name(b"original", image)),
            image,
        )
        if entry is None:
            return None
        if image not in (entry.output, entry.source):
            raise _changed(image)
        return entry.output

    def entries_of(self, original: str, mixed_from: str) -> Iterator[Entry]:
        """Gives what undoes the mixing of an original, by the id of that.

        Args:
          original: Id of the original.
          mixed_from: Digest of the source that was mixed.

        Raises:
          VaultError: What the vault holds was changed.
        """
        found_by = self._name(b"original", original), self._name(b"source", mixed_from)
        for entry in self._entries("original = ? AND source = ?", found_by, original):
            if (entry.source, entry.mixed_from) != (original, mixed_from):
                raise _changed(original)
            yield entry

    def remember(self, source: str, traces: Iterable[Trace]) -> None:
        """Stores what the files of a source are like, for good.

        Args:
          source: Digest of all of them.
          traces: The files.
        """
        rows = (
            (source, number, self._seal.close(encode(piece), _place(source, number)))
            for number, piece in enumerate(in_pieces(traces))
        )
        with self._connection:
            self._connection.executemany(
                "INSERT OR REPLACE INTO sources VALUES (?, ?, ?)", rows
            )

    def remembered(self, source: str) -> Iterator[Trace]:
        """Gives what the files of a source were like; nothing where it is unknown.

        Raises:
          VaultError: What the vault holds was changed.
        """
        rows = self._connection.execute(
            "SELECT number, CAST(sealed AS BLOB) FROM sources WHERE source = ? "
            "ORDER BY number",
            (source,),
        )
        for number, sealed in rows:
            try:
                yield from decode(self._seal.open(sealed, _place(source, number)))
            except (InvalidTag, TypeError, ValueError, zlib.error) as error:
                raise _changed("the source") from error

    def put(self, source: str, name: str, value: bytes) -> None:
        """Stores what else there is to say of the mixing of a source, for good."""
        sealed = self._seal.close(value, f"note {source} {name}".encode())
        with self._connection:
            self._connection.execute(
                "INSERT OR REPLACE INTO notes VALUES (?, ?, ?)", (source, name, sealed)
            )

    def get(self, source: str, name: str) -> bytes | None:
        """Gives what `put` stored; None where there is nothing.

        Raises:
          VaultError: What the vault holds was changed.
        """
        row = self._connection.execute(
            "SELECT CAST(sealed AS BLOB) FROM notes WHERE source = ? AND name = ?",
            (source, name),
        ).fetchone()
        if row is None:
            return None
        try:
            return self._seal.open(row[0], f"note {source} {name}".encode())
        except (InvalidTag, TypeError, ValueError) as error:
            raise _changed("the source") from error

    def vouch(self, signature: str) -> None:
        """Stores the signature of a `release.json`, for good."""
        with self._connection:
            self._connection.execute(
                "INSERT OR REPLACE INTO releases VALUES (?)", (signature,)
            )

    def vouches_for(self, manifest: Manifest, written: bytes) -> bool:
        """Tells whether a `release.json` is, as a whole, one that was written with it.

        Args:
          manifest: What it holds.
          written: SHA-256 of all in it but its signature.
        """
        row = self._connection.execute(
            "SELECT 1 FROM releases WHERE signature = ?", (manifest.signature,)
        ).fetchone()
        return row is not None and is_signed(manifest, written, self.secret)

    def __len__(self) -> int:
        (count,) = self._connection.execute("SELECT count(*) FROM images").fetchone()
        return int(count)

    def _entry(self, which: str, digests: tuple[bytes, ...], name: str) -> Entry | None:
        """The first entry that is found by digests; `name` is for complaints."""
        return next(self._entries(which, digests, name), None)

    def _entries(
        self, which: str, digests: tuple[bytes, ...], name: str
    ) -> Iterator[Entry]:
        rows = self._connection.execute(
            f"SELECT pixels, output, original, source, CAST(sealed AS BLOB) "
            f"FROM images WHERE {which}",
            digests,
        )
        for *found_by, sealed in rows:
            try:
                entry = Entry.decode(self._seal.open(sealed, b"".join(found_by)))
            except (
                InvalidTag,
                TypeError,
                ValueError,
                OverflowError,
                zlib.error,
            ) as error:
                raise _changed(name) from error
            yield entry

    def _pixels(self, mixed: np.ndarray) -> bytes:
        return self._digest(
            b"pixels",
            repr((mixed.shape, mixed.dtype.str)).encode(),
            np.ascontiguousarray(mixed).data,
        )

    def _name(self, purpose: bytes, name: str) -> bytes:
        return self._digest(purpose, name_bytes(name))

    def _digest(self, purpose: bytes, *parts: bytes | memoryview) -> bytes:
        digest = hashlib.blake2b(
            key=self.secret, digest_size=16, person=b"vmixjax" + purpose
        )
        for part in parts:
            digest.update(part)
        return digest.digest()


def _place(source: str, number: int) -> bytes:
    return f"source {source} {number}".encode()


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
      VaultError: There is no vault, or a file that is not one, of another version or
        with another secret; a passphrase is missing, wrong or not needed.
      RunError: Others may have a hand in it.
      OSError: The folder or file cannot be made.
    """
    path = folder / database.FILE_NAME
    if create:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.is_symlink() or folder.exists():
        check_private_folder(folder, "--vault")
    if create and not (path.is_symlink() or path.exists()):
        database.create(path, new_key(secret or new_secret(), passphrase))
    if not (path.is_symlink() or path.is_file()):
        raise VaultError(
            f"--vault {folder} holds no vault ({path.name} is not there); name the "
            f"folder that was given to vmixjax mix --vault"
        )
    # With what SQLite puts beside it, which it believes as well.
    for part in folder.glob(f"{path.name}*"):
        check_private(part, "--vault")
    try:
        with contextlib.closing(database.connect(path)) as connection:
            vault = _unlocked(connection, folder, passphrase)
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


def _unlocked(
    connection: sqlite3.Connection, folder: Path, passphrase: bytes | None
) -> Vault:
    about = database.read_about(connection)
    if about.get("format") != database.FORMAT:
        raise VaultError(
            f"--vault {folder} was written by another version of vmixjax; use that one"
        )
    if not database.has_structure(connection):
        raise VaultError(f"--vault {folder} {_DAMAGED}")
    try:
        return Vault(folder, connection, unlock(folder, about, passphrase))
    except VaultError:
        raise
    except (InvalidTag, KeyError, TypeError, ValueError) as error:
        raise VaultError(f"--vault {folder} {_DAMAGED}") from error

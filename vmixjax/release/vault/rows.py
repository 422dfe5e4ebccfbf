"""Rows of a vault in files beside it, where many workers share one vault."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vmixjax.atomic import atomic_path
from vmixjax.errors import VaultError
from vmixjax.release.private import check_private
from vmixjax.release.vault.entry import Entry
from vmixjax.release.vault.vault import Row, Vault

_SUFFIX = ".rows"


class RowsFile:
    """Takes what one worker has for a vault, until `merge_rows` puts it there.

    Args:
      path: Path of the file.
      vault: Vault that seals the rows.
    """

    def __init__(self, path: Path, vault: Vault) -> None:
        self._path, self._vault = path, vault
        self._lines: list[str] = []

    def seal(self, mixed: np.ndarray, entry: Entry) -> Row:
        """Seals what undoes a mixed image (H, W, C), for `store`."""
        return self._vault.seal(mixed, entry)

    def store(self, rows: Sequence[Row]) -> None:
        """Stores rows, for good, before it returns."""
        self._lines += [" ".join(value.hex() for value in row) for row in rows]
        with atomic_path(self._path, mode=0o600) as file:
            file.write("\n".join(self._lines).encode())


def rows_path(folder: Path, number: int) -> Path:
    """Gives the file for the rows of a shard, beside the vault in a folder."""
    return folder / f"{number:08d}{_SUFFIX}"


def merge_rows(folder: Path, vault: Vault) -> None:
    """Takes what workers have stored in files of their own into the vault.

    Args:
      folder: Folder of the vault.
      vault: The vault, open.

    Raises:
      VaultError: One of the files is damaged.
    """
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        check_private(path, "--vault")
        try:
            lines = path.read_text().splitlines()
            vault.store([_row(line) for line in lines])
        except ValueError as error:
            raise VaultError(
                f"{path} is damaged; remove it, and run the mixing again"
            ) from error
        path.unlink()


def _row(line: str) -> Row:
    pixels, output, original, sealed = map(bytes.fromhex, line.split(" "))
    return pixels, output, original, sealed

"""Rows on their way to a vault: each worker has a file of them, until it is merged."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from vmixjax.atomic import atomic_path

if TYPE_CHECKING:
    from vmixjax.release.vault.vault import Vault

Row: TypeAlias = tuple[bytes, bytes, bytes, bytes, bytes]
"""A line of the table `images`: it says nothing without the vault's key."""

SUFFIX = ".rows"


class RowsFile:
    """Takes what one worker has for a vault, until that merges it.

    Args:
      vault: Vault that seals the rows; the file lies beside it.
      number: Number of the shard that they are of.
    """

    def __init__(self, vault: "Vault", number: int) -> None:
        self._path, self.seal = vault.folder / f"{number:08d}{SUFFIX}", vault.seal
        self._lines: list[str] = []

    def store(self, rows: Sequence[Row]) -> None:
        """Stores rows, for good, before it returns."""
        self._lines += [" ".join(value.hex() for value in row) for row in rows]
        with atomic_path(self._path, mode=0o600) as file:
            file.write("\n".join(self._lines).encode())


def parse_row(line: str) -> Row:
    """Makes a row of a line of such a file.

    Raises:
      ValueError: It is none.
    """
    pixels, output, original, source, sealed = map(bytes.fromhex, line.split(" "))
    return pixels, output, original, source, sealed

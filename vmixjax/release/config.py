"""What a user asked for, and what it takes to carry it out, on any machine."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from vmixjax.atomic import atomic_path
from vmixjax.data.example import Pixels, Schema, Source
from vmixjax.data.files import is_inside
from vmixjax.data.formats import FORMATS, open_source
from vmixjax.data.writing import Shard, Sink
from vmixjax.errors import ImageError, RunError, VaultError
from vmixjax.release.keys import new_secret, read_secret
from vmixjax.release.manifest import release_identity
from vmixjax.release.private import check_private, read_private
from vmixjax.release.recipe import Recipe
from vmixjax.release.shards import list_shards
from vmixjax.release.transforms import Mixing
from vmixjax.release.vault import Row, Vault, open_vault

_PASSPHRASE = 4096
"""Bytes, at most."""


@dataclasses.dataclass(frozen=True)
class ReleaseConfig:
    """A data set to mix; names of things only, so it may travel to other machines.

    Attributes:
      src: see `open_source`, as are `data_dir`, `splits`, `drop` and `keep`.
      dst: folder for the release.
      recipe: how images are mixed.
      format: of the release.
      names: whether images keep their names.
      shard_size: images to a shard.
      strict: whether one image that is not fit ends the run.
      secret_file: holds the secret.
      vault: folder for what undoes the mixing.
      passphrase_file: holds the vault's passphrase.
    """

    src: str
    dst: Path
    recipe: Recipe
    format: str = "folder"
    data_dir: str | None = None
    splits: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    names: bool = False
    shard_size: int = 1024
    strict: bool = False
    secret_file: Path | None = None
    vault: Path | None = None
    passphrase_file: Path | None = None

    def check(self) -> None:
        """Refuses places that would spoil each other.

        Raises:
          RunError: something lies where it would be lost or handed out.
        """
        if self.dst.exists() and not self.dst.is_dir():
            raise RunError(f"DST {self.dst} is a file; name a folder")
        for option, path in (
            ("--vault", self.vault),
            ("--secret-file", self.secret_file),
            ("--vault-passphrase-file", self.passphrase_file),
        ):
            if path is not None and is_inside(path, self.dst):
                raise RunError(
                    f"{option} {path} lies inside DST {self.dst}, and would be handed "
                    f"out with it; name a place elsewhere"
                )
        if self.passphrase_file is not None and self.vault is None:
            raise RunError("--vault-passphrase-file needs a --vault that it locks")
        if self.shard_size < 1:
            raise RunError(f"--shard-size must be 1 or more; got {self.shard_size}")
        most = FORMATS.find("--format", self.format).most_images
        if most is not None and self.shard_size > most:
            raise RunError(
                f"--shard-size must be at most {most} for --format {self.format}; got "
                f"{self.shard_size}"
            )

    def source(self) -> Source:
        """Opens the data set.

        Raises:
          RunError: see `open_source`; or it lies inside the release, or that inside it.
        """
        source = open_source(
            self.src,
            data_dir=self.data_dir,
            splits=self.splits,
            drop=self.drop,
            keep=self.keep,
        )
        for place in (Path(self.src), *source.places):
            if place.is_dir() and is_inside(self.dst, place):
                raise RunError(
                    f"DST {self.dst} lies inside SRC {place}; name a folder beside it"
                )
            if place.exists() and is_inside(place, self.dst):
                raise RunError(
                    f"SRC {place} lies inside DST {self.dst}, which would hold the "
                    f"originals; name another folder"
                )
        return source

    def about(self, source: Source) -> dict[str, Any]:
        """How the release is mixed, for its manifest."""
        recipe = dataclasses.asdict(self.recipe)
        recipe["masks"] = self.recipe.masks is not None
        return {
            **recipe,
            "format": self.format,
            "names": "kept" if self.names else "numbers",
            "drop": sorted(self.drop),
            "keep": sorted(self.keep),
            "shard_size": self.shard_size,
            "examples": dict(source.splits),
        }


@dataclasses.dataclass(frozen=True)
class ReleaseJob:
    """All parts of an order, open.

    Attributes:
      source, sink, work: see there.
      secret: that keys are derived from.
      identity: of the release; see `release_identity`.
      shards: all of them.
      vault: what undoes the mixing goes here.
    """

    source: Source
    sink: Sink
    work: Mixing
    secret: bytes
    identity: str
    shards: list[Shard]
    vault: Vault | None


@contextlib.contextmanager
def open_job(
    order: ReleaseConfig,
    source: Source,
    *,
    first: bool = True,
    rows: Path | None = None,
) -> Iterator[ReleaseJob]:
    """Opens the parts of an order.

    Args:
      order: what is asked for.
      source: its data set.
      first: whether a vault may be made; other workers open the one that is there.
      rows: file for what undoes the mixing, where many workers share one vault;
        otherwise it goes into the vault at once.

    Raises:
      RunError, VaultError: something is not there or not fit.
    """
    format = FORMATS.find("--format", order.format)
    pixels = _fitted(order, source) if format.needs_pixels else None
    sink = format.create(order.dst, Schema(source.name, source.fields, pixels))
    secret = read_secret(order.secret_file) if order.secret_file else None
    with contextlib.ExitStack() as stack:
        vault = keep = None
        if order.vault is not None:
            vault = stack.enter_context(
                open_vault(
                    order.vault,
                    create=first,
                    secret=secret,
                    passphrase=read_passphrase(order.passphrase_file),
                )
            )
            secret = vault.secret
            keep = vault.store if rows is None else _RowsFile(rows).keep
        work = Mixing(
            order.recipe,
            secret or new_secret(),
            sink,
            source.fields,
            names=order.names,
            vault=vault,
            keep=keep,
        )
        identity = release_identity(work.secret, order.about(source))
        shards = list_shards(source.splits, order.shard_size)
        yield ReleaseJob(source, sink, work, work.secret, identity, shards, vault)


def read_passphrase(path: Path | None) -> bytes | None:
    """The first line of a file.

    Raises:
      RunError: it is empty or endless, or others may have read or made the file.
      OSError: it is not there, or cannot be read.
    """
    if path is None:
        return None
    option = "--vault-passphrase-file"
    lines = read_private(path, option, _PASSPHRASE + 1).split(b"\n", 1)
    passphrase = lines[0].rstrip(b"\r")
    if not passphrase:
        raise RunError(f"{option} {path} has no first line; write the passphrase there")
    if len(passphrase) > _PASSPHRASE:
        raise RunError(
            f"{option} {path} has a first line of more than {_PASSPHRASE} bytes; write "
            f"a shorter passphrase there"
        )
    return passphrase


def merge_rows(folder: Path, vault: Vault) -> None:
    """Takes what workers kept in files of their own into the vault.

    Raises:
      VaultError: one of them is damaged.
    """
    for path in sorted(folder.glob("*.rows")):
        check_private(path, "--vault")
        try:
            lines = path.read_text().splitlines()
            vault.store([_row(line) for line in lines])
        except ValueError as error:
            raise VaultError(
                f"{path} is damaged; remove it, and run the mixing again"
            ) from error
        path.unlink()


class _RowsFile:
    """Rows of a vault, in a file beside it, until they are merged."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: list[str] = []

    def keep(self, rows: Sequence[Row]) -> None:
        self._lines += [" ".join(value.hex() for value in row) for row in rows]
        with atomic_path(self._path, mode=0o600) as file:
            file.write("\n".join(self._lines).encode())


def _row(line: str) -> Row:
    pixels, output, original, sealed = map(bytes.fromhex, line.split(" "))
    return pixels, output, original, sealed


def _fitted(order: ReleaseConfig, source: Source) -> Pixels | None:
    """What all images will have in common, once they are whole tiles."""
    pixels = source.pixels or _first(source)
    if pixels is None:
        return None
    tile = order.recipe.config.tile_size
    up = tile - 1 if order.recipe.fit == "pad" else 0
    height, width = (
        None if side is None else (side + up) // tile * tile
        for side in pixels.shape[:2]
    )
    return Pixels((height, width, pixels.shape[2]), pixels.dtype)


def _first(source: Source) -> Pixels | None:
    """From the first image that can be read; sizes may differ."""
    for split, count in source.splits.items():
        for index in range(count):
            try:
                image = source.read(split, index).image
            except ImageError:
                continue
            return Pixels((None, None, image.shape[2]), image.dtype)
    return None

"""All that it takes to carry out a config, open, on any machine."""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

from vmixjax.data.example import Pixels, Schema, Source
from vmixjax.data.formats import FORMATS
from vmixjax.data.forms import find_form
from vmixjax.data.soft_labels import origin_of
from vmixjax.data.writing import Shard, Sink
from vmixjax.errors import ImageError, RunError
from vmixjax.keys import new_secret
from vmixjax.release.config import ReleaseConfig
from vmixjax.release.journal import Journal
from vmixjax.release.keys import digest, read_secret
from vmixjax.release.manifest import release_identity
from vmixjax.release.order import Reordered, keyed_order
from vmixjax.release.private import read_passphrase
from vmixjax.release.reading import Threads
from vmixjax.release.shards import Tell, list_shards, stops_at_errors, write_shard
from vmixjax.release.transforms import Mix
from vmixjax.release.vault import RowsFile, Vault, open_vault


@dataclasses.dataclass(frozen=True)
class ReleaseJob:
    """All parts of a release to be made, open.

    Attributes:
      config: What is asked for.
      source: Source, in the order of the release.
      sink, transform: See there.
      secret: Secret that keys are derived from.
      about: How the release is mixed, for its manifest.
      identity: Identity of the release; see `release_identity`.
      shards: All shards of it.
      vault: Vault that what undoes the mixing goes into.
      pixels: What all images of the release have in common, where its format needs it.
    """

    config: ReleaseConfig
    source: Source
    sink: Sink
    transform: Mix
    secret: bytes
    about: dict[str, Any]
    identity: str
    shards: list[Shard]
    vault: Vault | None
    pixels: Pixels | None

    @property
    def journal(self) -> Journal:
        """The notes on how far it has come."""
        return Journal(self.config.dst, self.secret, self.identity)

    @property
    def soft_labels(self) -> str | None:
        """Digest of the file of soft labels; says nothing without the secret."""
        origin = origin_of(self.source)
        return origin and digest(self.secret, b"vmixjax teacher", [origin])

    def mix(self, shard: Shard, threads: Threads, tell: Tell) -> None:
        """Mixes a shard, and notes that it is done.

        Raises:
          RunError, VaultError, OSError: It cannot be done; nothing is left of it.
        """
        if self.config.strict:
            tell = stops_at_errors(tell)
        transform = self.transform.of(self.journal.source())
        files, tally = write_shard(
            shard, self.source, transform, self.sink, threads, tell
        )
        self.journal.commit(shard, files, tally)


@contextlib.contextmanager
def open_job(
    config: ReleaseConfig,
    source: Source,
    *,
    secret: bytes | None = None,
    only: int | None = None,
    pixels: Pixels | None = None,
) -> Iterator[ReleaseJob]:
    """Opens all that it takes to make a release.

    Args:
      config: What is asked for.
      source: Its data set.
      secret: What its secret file holds, where that was read already.
      only: Number of the one shard to be mixed, where many workers share a vault: that
        must be there, and what undoes the mixing goes into a file beside it.
      pixels: Those of the job that it is a part of, if they are known.

    Raises:
      RunError, VaultError: Something is not there or not fit.
    """
    if only is not None and Journal(config.dst).updates():
        raise RunError("--update is done on one machine: leave out --engine beam")
    format = FORMATS.find("--format", config.format)
    if format.needs_pixels:
        pixels = pixels or _fitted_pixels(config, source)
    released = config.released(source)
    sink = format.create(config.dst, Schema(source.name, released, pixels))
    if secret is None and config.secret_file is not None:
        secret = read_secret(config.secret_file)
    with contextlib.ExitStack() as stack:
        vault: Vault | None = None
        keeper: Vault | RowsFile | None = None
        if config.vault is not None:
            vault = stack.enter_context(
                open_vault(
                    config.vault,
                    create=only is None,
                    secret=secret,
                    passphrase=read_passphrase(config.vault_passphrase_file),
                )
            )
            secret = vault.secret
            keeper = vault if only is None else RowsFile(vault, only)
        secret = secret or new_secret()
        transform = Mix(
            config.recipe,
            secret,
            sink,
            source.fields,
            released,
            names=config.keep_names,
            pixels=pixels,
            vault=keeper,
        )
        about = config.about(source)
        yield ReleaseJob(
            config=config,
            source=source
            if config.keep_order
            else Reordered(source, keyed_order(secret)),
            sink=sink,
            transform=transform,
            secret=secret,
            about=about,
            identity=release_identity(secret, about),
            shards=list_shards(source.splits, config.shard_size),
            vault=vault,
            pixels=pixels,
        )


def _why(source: Source) -> str:
    """What is wrong with the first image of a source that has none to read."""
    split = next(split for split, count in source.splits.items() if count)
    try:
        source.read(split, 0)
    except ImageError as error:
        return str(error)
    raise RunError("SRC has changed; run again")


def _fitted_pixels(config: ReleaseConfig, source: Source) -> Pixels:
    """What all images will have in common, once they are whole tiles."""
    pixels = source.pixels or find_form(source)
    if pixels is None:
        raise RunError(f"no image of SRC {config.src} can be read: {_why(source)}")
    tile = config.recipe.config.tile_size
    up = tile - 1 if config.recipe.fit == "pad" else 0
    height, width = (
        None if side is None else (side + up) // tile * tile
        for side in pixels.shape[:2]
    )
    return Pixels((height, width, pixels.shape[2]), pixels.dtype)

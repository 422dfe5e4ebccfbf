"""What a user asks for: a data set to mix, and how."""

import dataclasses
from pathlib import Path
from typing import Any

from vmixjax.data.example import Source
from vmixjax.data.files import is_inside
from vmixjax.data.formats import FORMATS, open_source
from vmixjax.errors import RunError
from vmixjax.release.recipe import Recipe


@dataclasses.dataclass(frozen=True)
class ReleaseConfig:
    """A data set to mix; names of things only, so it may travel to other machines.

    Attributes:
      src: Name of the data set, see `open_source`; likewise `data_dir`, `splits`,
        `drop` and `keep`.
      dst: Folder for the release.
      recipe: How images are mixed.
      format: Name of the release's format.
      keep_names: Whether images keep their names.
      shard_size: Images to a shard.
      strict: Whether one image that is not fit ends the run.
      secret_file: File that holds the secret.
      vault: Folder for what undoes the mixing.
      vault_passphrase_file: File that holds the vault's passphrase.
    """

    src: str
    dst: Path
    recipe: Recipe
    format: str = "folder"
    data_dir: str | None = None
    splits: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    keep_names: bool = False
    shard_size: int = 1024
    strict: bool = False
    secret_file: Path | None = None
    vault: Path | None = None
    vault_passphrase_file: Path | None = None

    @property
    def forgets_secret(self) -> bool:
        """Whether nobody knows the secret once the run has ended."""
        return self.secret_file is None and self.vault is None

    def check(self) -> None:
        """Refuses places that would spoil each other.

        Raises:
          RunError: Something lies where it would be lost or handed out.
        """
        if self.dst.exists() and not self.dst.is_dir():
            raise RunError(f"DST {self.dst} is a file; name a folder")
        for option, path in (
            ("--vault", self.vault),
            ("--secret-file", self.secret_file),
            ("--vault-passphrase-file", self.vault_passphrase_file),
        ):
            if path is not None and is_inside(path, self.dst):
                raise RunError(
                    f"{option} {path} lies inside DST {self.dst}, and would be handed "
                    f"out with it; name a place elsewhere"
                )
        if self.vault_passphrase_file is not None and self.vault is None:
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
          RunError: See `open_source`; or it lies inside the release, or that inside it.
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
        """Tells how a release of a source is mixed, for its manifest."""
        recipe = dataclasses.asdict(self.recipe)
        recipe["masks"] = self.recipe.masks is not None
        return {
            **recipe,
            "format": self.format,
            "names": "kept" if self.keep_names else "numbers",
            "drop": sorted(self.drop),
            "keep": sorted(self.keep),
            "shard_size": self.shard_size,
            "examples": dict(source.splits),
        }

"""What a user asks for: a data set to mix, and how."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from vmixjax.config import MixConfig
from vmixjax.data.codecs.images import read_image
from vmixjax.data.example import Example, Field, Source
from vmixjax.data.files import is_inside
from vmixjax.data.formats import FORMATS, open_source
from vmixjax.data.masks import Mask
from vmixjax.data.objects import Objects
from vmixjax.data.pixels import Fit, fit
from vmixjax.data.soft_labels import with_soft_labels
from vmixjax.errors import ImageError, RunError
from vmixjax.release.placed import released_fields


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a data set is mixed; one of `strength` and `target_vfe` decides how far.

    Attributes:
      config: Tile size, ladder and channel mode.
      fit: What is done to images that are not whole tiles.
      strength: 0 to 1, a place in each image's reachable range of VFE. Every private
        tile is mixed at 0, too; at 1, by the strongest level, even where that adds no
        VFE.
      target_vfe: A desired VFE, the same for all, instead.
      masks: Folder of grey masks by the same names; black is not private.
    """

    config: MixConfig
    fit: Fit = "pad"
    strength: float = 1.0
    target_vfe: float | None = None
    masks: Path | None = None

    @property
    def takes_strongest(self) -> bool:
        """Whether all that is private is mixed by the strongest level."""
        return self.strength == 1 and self.target_vfe is None

    def prune_ladder(self) -> "Recipe":
        """Leaves out of the ladder the levels that no tile will have.

        Fewer random numbers are drawn then.
        """
        if not self.takes_strongest:
            return self
        config = dataclasses.replace(self.config, ladder=self.config.ladder[-1:])
        return dataclasses.replace(self, config=config)

    def prepare(self, example: Example) -> tuple[np.ndarray, np.ndarray | None]:
        """Gives an image as whole tiles, and where it is private if there are masks.

        Raises:
          ImageError: The image, or its mask, is not fit to be mixed.
        """
        tile = self.config.tile_size
        fitted = fit(example.image, tile, self.fit, example.name)
        if self.masks is None:
            return fitted, None
        mask = fit(_read_mask(self.masks, example), tile, self.fit)
        rows, columns = mask.shape[0] // tile, mask.shape[1] // tile
        tiles = mask.reshape(rows, tile, columns, tile)
        # Above 0 if any of a tile's pixels is.
        means = tiles.mean(axis=(1, 3), dtype=np.float64)
        return fitted, means.astype(np.float32)


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
      keep_order: Whether they keep their order.
      shard_size: Images to a shard.
      mask_cells: Side of the cells that masks keep one class of; 0 for that of the
        smallest regions which are mixed; None where masks may not pass.
      strict: Whether one image that is not fit ends the run.
      follow_links: Folders that links of images may lead into.
      soft_labels: File of what a teacher says of each image, see `read_soft_labels`.
      update: Whether a finished release is brought up to date with its source.
      allow_overlaps: Whether images are mixed although many show the same scene.
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
    image: str | None = None
    follow_links: tuple[Path, ...] = ()
    soft_labels: Path | None = None
    update: bool = False
    mask_cells: int | None = None
    keep_names: bool = False
    keep_order: bool = False
    shard_size: int = 1024
    strict: bool = False
    allow_overlaps: bool = False
    secret_file: Path | None = None
    vault: Path | None = None
    vault_passphrase_file: Path | None = None

    @property
    def forgets_secret(self) -> bool:
        """Whether nobody knows the secret once the run has ended."""
        return self.secret_file is None and self.vault is None

    @property
    def cells(self) -> int | None:
        """Side of the cells that masks keep one class of; None where none pass so."""
        if self.mask_cells != 0:
            return self.mask_cells
        return min(region for region, _ in self.recipe.prune_ladder().config.ladder)

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
            ("--soft-labels", self.soft_labels),
        ):
            if path is not None and is_inside(path, self.dst):
                raise RunError(
                    f"{option} {path} lies inside DST {self.dst}, and would be handed "
                    f"out with it; name a place elsewhere"
                )
        if self.vault_passphrase_file is not None and self.vault is None:
            raise RunError("--vault-passphrase-file needs a --vault that it locks")
        if self.update and self.vault is None:
            raise RunError("--update needs the --vault of the release")
        if self.update and self.soft_labels is not None:
            raise RunError(
                "--update is for folders of image files, which hold no --soft-labels; "
                "mix SRC anew, into another folder"
            )
        self._check_cells()
        if self.shard_size < 1:
            raise RunError(f"--shard-size must be 1 or more; got {self.shard_size}")
        most = FORMATS.find("--format", self.format).most_images
        if most is not None and self.shard_size > most:
            raise RunError(
                f"--shard-size must be at most {most} for --format {self.format}; got "
                f"{self.shard_size}"
            )

    def _check_cells(self) -> None:
        """Refuses cells that a tile does not consist of.

        Raises:
          RunError: It does not.
        """
        tile, cells = self.recipe.config.tile_size, self.cells
        if cells is None or (cells > 1 and tile % cells == 0):
            return
        if cells == 1:
            raise RunError(
                "--mask-cells 1 is every pixel; to let masks through whole, --keep them"
            )
        sides = ", ".join(str(n) for n in range(2, tile + 1) if tile % n == 0)
        raise RunError(
            f"--mask-cells must divide the tile of {tile} pixels, as {sides} do; got "
            f"{cells}"
        )

    def source(self) -> Source:
        """Opens the data set.

        Raises:
          RunError: See `open_source`, `with_soft_labels`; or it lies inside the
            release, or that inside it.
        """
        source = open_source(
            self.src,
            data_dir=self.data_dir,
            splits=self.splits,
            drop=self.drop,
            keep=self.keep,
            image=self.image,
            follow_links=self.follow_links,
        )
        if not any(source.splits.values()):
            raise RunError(
                f"SRC {self.src} has no images in {', '.join(source.splits)}; name "
                f"another data set, or other --splits"
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
        self._check_masks(source)
        if self.soft_labels is not None:
            return with_soft_labels(source, self.soft_labels)
        return source

    def released(self, source: Source) -> Mapping[str, Field]:
        """Gives what the release will hold of each image.

        Raises:
          RunError: As of `released_fields`.
        """
        return released_fields(source.fields, self.keep, self.cells)

    def _check_masks(self, source: Source) -> None:
        """Refuses masks that nothing is said of, and cells that nothing has.

        Raises:
          RunError: There are such; or masks have cells already.
        """
        masks = _masks(source.fields)
        asked = [name for name in masks if name not in self.keep]
        if asked and self.cells is None:
            of, it = ("masks", "them") if len(asked) > 1 else ("mask", "it")
            every = " ".join(asked)
            raise RunError(
                f"the {of} {', '.join(asked)} may show what the images show, by "
                f"outlines: leave {it} behind with --drop {every}, let {it} through "
                f"with --keep {every}, or keep one class for each cell of N x N pixels "
                f"with --mask-cells N"
            )
        if self.cells is not None and not asked:
            kept = f"--keep lets {', '.join(masks)} through as they are"
            raise RunError(
                f"--mask-cells {self.cells}: {kept if masks else 'SRC has no masks'}; "
                f"leave it out"
            )
        tile = self.recipe.config.tile_size
        for name, field in masks.items():
            if tile % field.cells:
                raise RunError(
                    f"{name} has cells of {field.cells} pixels, which do not divide "
                    f"the tile of {tile}: choose a --tile-size of whole cells"
                )
        self.released(source)

    def about(self, source: Source) -> dict[str, Any]:
        """Tells how a release of a source is mixed, for its manifest."""
        recipe = dataclasses.asdict(self.recipe)
        recipe["masks"] = self.recipe.masks is not None
        masks = _masks(source.fields)
        return {
            **recipe,
            # What there is not is not said, as releases of before had none of it.
            **({"boxes": True} if _boxes(source.fields) else {}),
            **({"mask_cells": self.cells or 1} if masks else {}),
            **({} if self.soft_labels is None else {"soft_labels": True}),
            "format": self.format,
            "names": "kept" if self.keep_names else "numbers",
            "order": "kept" if self.keep_order else "shuffled",
            "drop": sorted(self.drop),
            "keep": sorted(self.keep),
            "image": self.image,
            "shard_size": self.shard_size,
            "examples": dict(source.splits),
        }


def _boxes(fields: Mapping[str, Field]) -> list[str]:
    return [name for name, field in fields.items() if isinstance(field, Objects)]


def _masks(fields: Mapping[str, Field]) -> dict[str, Mask]:
    return {name: field for name, field in fields.items() if isinstance(field, Mask)}


def _read_mask(masks: Path, example: Example) -> np.ndarray:
    """The grey mask of an image: (H, W, 1), 0 where it is not private."""
    exact = masks / PurePath(example.name)
    candidates = [exact] if exact.is_file() else _same_stem(exact)
    if len(candidates) != 1:
        found = "several" if candidates else "no"
        raise ImageError(
            f"{example.name} has {found} masks named {exact.with_suffix('.*')}; give "
            f"it one, white where it is private"
        )
    mask = read_image(candidates[0])
    height, width = example.image.shape[:2]
    if mask.shape[:2] != (height, width):
        raise ImageError(
            f"{candidates[0]} is {mask.shape[0]} x {mask.shape[1]}, but its image is "
            f"{height} x {width}; make the mask as large as the image"
        )
    # Whatever else a mask holds, any colour in it means private.
    return (
        mask[..., :3].max(axis=2, keepdims=True) if mask.shape[2] > 2 else mask[..., :1]
    )


def _same_stem(path: Path) -> list[Path]:
    return [p for p in sorted(path.parent.glob("*")) if p.stem == path.stem]

"""Mixing a folder of image files, and restoring it.

Both work file by file: what is wrong with one file is said in one line, and the
others go on. A mixed file appears whole or not at all, and only after the vault, if
there is one, holds what undoes it.
"""

import dataclasses
import math
from pathlib import Path, PurePath

import jax.numpy as jnp
import numpy as np

from vmixjax.config import MixConfig
from vmixjax.entropy import vfe
from vmixjax.mixing import mix, unmix
from vmixjax.planning import Plan, plan
from vmixjax.release.files import find_files, is_inside, png_names
from vmixjax.release.fitting import Fit, cut_off, fit, unfit
from vmixjax.release.images import ImageError, read_image, write_png
from vmixjax.release.keys import derive_key, image_id
from vmixjax.release.strength import target_at
from vmixjax.release.vault import Entry, Vault


class RunError(ValueError):
    """A run that cannot begin or go on: one line that says why, and what to do."""


@dataclasses.dataclass(frozen=True)
class Job:
    """One file to read and the file to write."""

    root: Path
    """The folder that sources lie below: SRC, or where it lies."""
    relative: PurePath
    """Path of the source below `root`."""
    target: Path
    name: PurePath
    """Path of the target below DST."""

    @property
    def source(self) -> Path:
        """The file to read."""
        return self.root / self.relative


@dataclasses.dataclass(frozen=True)
class Mixed:
    """What came of mixing one file.

    Attributes:
      source, output: the two files.
      height, width, channels, dtype: of the source, as it was read.
      vfe_before, vfe_after: of the image as whole tiles.
      target_vfe: what was asked for; infinite for the strongest plan.
      expected_vfe: what the plan promised.
      reachable: whether the target lies in the image's range.
      clear_tiles: tiles that a mask left as they are.
    """

    source: str
    output: str
    height: int
    width: int
    channels: int
    dtype: str
    vfe_before: float
    vfe_after: float
    target_vfe: float
    expected_vfe: float
    reachable: bool
    clear_tiles: int


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How files are mixed; one of `strength` and `target_vfe` decides how far.

    Attributes:
      config: tile size, ladder and channel mode.
      fit: what is done to images that are not whole tiles.
      strength: 0 to 1, a place in each image's reachable range.
      target_vfe: a desired VFE, the same for all, instead.
      masks: folder of grey masks by the same names; black is not private.
    """

    config: MixConfig
    fit: Fit = "pad"
    strength: float = 1.0
    target_vfe: float | None = None
    masks: Path | None = None


def list_jobs(source: Path, target: Path, *, overwrite: bool) -> list[Job]:
    """What a run over a file or folder would read and write, checked beforehand.

    Raises:
      RunError: no source, source and target inside each other, or output that is
        already there and may not be overwritten.
    """
    if not source.exists():
        raise RunError(f"SRC {source} does not exist; name an image file or a folder")
    root = source if source.is_dir() else source.parent
    if target.exists() and not target.is_dir():
        raise RunError(f"DST {target} is a file; name a folder")
    if source.is_dir() and is_inside(target, source):
        raise RunError(
            f"DST {target} lies inside SRC {source}; name a folder beside it"
        )
    if is_inside(source, target):
        raise RunError(
            f"SRC {source} lies inside DST {target}, which would hold the originals; "
            f"name another folder"
        )
    names = png_names(find_files(source))
    jobs = [Job(root, name, target / png, png) for name, png in names.items()]
    there = [job.target for job in jobs if job.target.exists()]
    if there and not overwrite:
        more = f" (and {len(there) - 1} more)" if len(there) > 1 else ""
        raise RunError(
            f"{there[0]}{more} exists already; pass --overwrite, or name another DST"
        )
    return jobs


def mix_file(job: Job, recipe: Recipe, secret: bytes, vault: Vault | None) -> Mixed:
    """Reads, plans, mixes and writes one file.

    Raises:
      ImageError: the file, or its mask, is not fit to be mixed.
      OSError, VaultError: what is to be kept or written cannot be.
    """
    image = _read(job)
    config = recipe.config
    fitted = fit_image(job.source, image, config.tile_size, recipe.fit)
    sensitivity = None
    if recipe.masks is not None:
        mask = _read_mask(recipe.masks / job.relative, job, image.shape)
        sensitivity = _tile_means(fit(mask, config.tile_size, recipe.fit), config)

    target = recipe.target_vfe
    if target is None:
        target = target_at(recipe.strength, fitted, config, sensitivity=sensitivity)
    chosen = plan(fitted, target, config, sensitivity=sensitivity)
    levels = np.asarray(chosen.levels)
    identity = image_id(str(job.name), fitted, levels, config)
    mixed = np.asarray(mix(derive_key(secret, identity), fitted, chosen))
    if vault is not None:
        rest = cut_off(image, fitted)
        height, width = image.shape[:2]
        source = str(job.relative)
        output = str(job.name)
        vault.keep(
            mixed,
            output,
            Entry(identity, source, config, levels, height, width, rest),
        )
    job.target.parent.mkdir(parents=True, exist_ok=True)
    write_png(job.target, mixed)
    return Mixed(
        source=str(job.source),
        output=str(job.target),
        height=image.shape[0],
        width=image.shape[1],
        channels=image.shape[2],
        dtype=str(image.dtype),
        vfe_before=float(vfe(fitted, config.tile_size)),
        vfe_after=float(vfe(mixed, config.tile_size)),
        target_vfe=target,
        expected_vfe=float(chosen.expected_vfe),
        reachable=bool(chosen.reachable) or math.isinf(target),
        clear_tiles=int((levels == 0).sum()),
    )


def unmix_file(job: Job, vault: Vault) -> None:
    """Restores one mixed file, exactly.

    Raises:
      ImageError: the file is no image, or not one that this vault can undo.
      OSError, VaultError: the vault cannot be read, or the file not written.
    """
    mixed = _read(job)
    entry = vault.find(mixed, str(job.name))
    if entry is None:
        raise ImageError(
            f"{job.source} was not mixed with this vault, or was changed since; use "
            f"the vault of its mixing and the file as it was written"
        )
    stored = Plan(
        levels=jnp.asarray(entry.levels),
        expected_vfe=jnp.float32(jnp.nan),
        reachable=jnp.bool_(True),
        config=entry.config,
    )
    key = derive_key(vault.secret, entry.identity)
    fitted = np.asarray(unmix(key, mixed, stored))
    image = unfit(fitted, entry.height, entry.width, entry.rest)
    job.target.parent.mkdir(parents=True, exist_ok=True)
    write_png(job.target, image)


def fit_image(path: Path, image: np.ndarray, tile_size: int, how: Fit) -> np.ndarray:
    """The image of a file as whole tiles, or an `ImageError` that names the file."""
    try:
        return fit(image, tile_size, how)
    except ValueError as error:
        raise ImageError(f"{path} {error}") from error


def _read(job: Job) -> np.ndarray:
    """The image of a job; a link that leads out of its folder is refused."""
    if job.source.is_symlink() and not is_inside(job.source, job.root):
        raise ImageError(
            f"{job.source} is a link out of the folder; copy the picture into it"
        )
    return read_image(job.source)


def _read_mask(exact: Path, job: Job, shape: tuple[int, ...]) -> np.ndarray:
    """The grey mask of an image: (H, W, 1), 0 where it is not private."""
    candidates = [exact] if exact.is_file() else _same_stem(exact)
    if len(candidates) != 1:
        found = "several" if candidates else "no"
        raise ImageError(
            f"{job.source} has {found} masks named {exact.with_suffix('.*')}; give it "
            f"one, white where it is private"
        )
    mask = read_image(candidates[0])
    if mask.shape[:2] != shape[:2]:
        raise ImageError(
            f"{candidates[0]} is {mask.shape[0]} x {mask.shape[1]}, but its image is "
            f"{shape[0]} x {shape[1]}; make the mask as large as the image"
        )
    # Whatever else a mask holds, any colour in it means private.
    return (
        mask[..., :3].max(axis=2, keepdims=True) if mask.shape[2] > 2 else mask[..., :1]
    )


def _same_stem(path: Path) -> list[Path]:
    if not path.parent.is_dir():
        return []
    return [p for p in sorted(path.parent.iterdir()) if p.stem == path.stem]


def _tile_means(mask: np.ndarray, config: MixConfig) -> np.ndarray:
    """Mean of a mask (H, W, 1) per tile: above 0 if any of its pixels is."""
    tile = config.tile_size
    tiles = mask.reshape(mask.shape[0] // tile, tile, mask.shape[1] // tile, tile)
    return tiles.mean(axis=(1, 3), dtype=np.float64).astype(np.float32)

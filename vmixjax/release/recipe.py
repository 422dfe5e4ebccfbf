"""How images are mixed: the config, and what is done around the pure functions."""

import dataclasses
from pathlib import Path, PurePath

import numpy as np

from vmixjax.config import MixConfig
from vmixjax.data.codecs.images import read_image
from vmixjax.data.example import Example
from vmixjax.data.fitting import Fit, fit
from vmixjax.errors import ImageError


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a data set is mixed; one of `strength` and `target_vfe` decides how far.

    Attributes:
      config: tile size, ladder and channel mode.
      fit: what is done to images that are not whole tiles.
      strength: 0 to 1, a place in each image's reachable range of VFE. Every private
        tile is mixed at 0, too; at 1, by the strongest level, even where that adds no
        VFE.
      target_vfe: a desired VFE, the same for all, instead.
      masks: folder of grey masks by the same names; black is not private.
    """

    config: MixConfig
    fit: Fit = "pad"
    strength: float = 1.0
    target_vfe: float | None = None
    masks: Path | None = None

    def prune_ladder(self) -> "Recipe":
        """The same, on a ladder without the levels that no tile will have.

        Fewer random numbers are drawn then.
        """
        if self.strength != 1 or self.target_vfe is not None:
            return self
        config = dataclasses.replace(self.config, ladder=self.config.ladder[-1:])
        return dataclasses.replace(self, config=config)

    def prepare(self, example: Example) -> tuple[np.ndarray, np.ndarray | None]:
        """An image as whole tiles, and where it is private if there are masks.

        Raises:
          ImageError: the image, or its mask, is not fit to be mixed.
        """
        tile = self.config.tile_size
        fitted = fit_image(example.name, example.image, tile, self.fit)
        if self.masks is None:
            return fitted, None
        mask = fit(_read_mask(self.masks, example), tile, self.fit)
        rows, columns = mask.shape[0] // tile, mask.shape[1] // tile
        tiles = mask.reshape(rows, tile, columns, tile)
        # Above 0 if any of a tile's pixels is.
        means = tiles.mean(axis=(1, 3), dtype=np.float64)
        return fitted, means.astype(np.float32)


def fit_image(name: str, image: np.ndarray, tile_size: int, how: Fit) -> np.ndarray:
    """The image as whole tiles, or an `ImageError` that names it."""
    try:
        return fit(image, tile_size, how)
    except ValueError as error:
        raise ImageError(f"{name} {error}") from error


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
    if not path.parent.is_dir():
        return []
    return [p for p in sorted(path.parent.iterdir()) if p.stem == path.stem]

"""Stems: how an image, or a grid of regions, becomes features for a model's stages."""

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from train.models.layers import ConvNorm

StemName = Literal["imagenet", "cifar", "patch", "spread", "set"]
"""Kinds of stems.

`"imagenet"`, a convolution with stride 2, then max pooling; `"cifar"`, 3 x 3 as it is;
`"patch"`, squares of p x p pixels, each by itself: with p the size of the regions, the
first layer sees whole regions and nothing of their neighbours; `"spread"`, for inputs
that hold a region in each place, see `PixelShuffleStem`; `"set"`, for the same, which
does not rely on an order of its values, see `SetStem`.
"""


class PooledStem(ConvNorm):
    """A convolution with stride 2, then max pooling; arguments as of `ConvNorm`."""

    def __call__(self, x: jax.Array) -> jax.Array:
        """(B, H, W, inputs) -> (B, H / 4, W / 4, outputs)."""
        x = super().__call__(x)
        return nnx.max_pool(x, (3, 3), (2, 2), padding=((1, 1), (1, 1)))


class PixelShuffleStem(nnx.Module):
    """Each place of coarse inputs becomes `factor` x `factor`, by a layer of its own.

    The values of a region are far more than the channels of a first stage; as several
    places of them, none need be lost.

    Arguments as of `ConvNorm`.

    References:
      The rearrangement is sub-pixel convolution (Shi et al., CVPR 2016, arXiv
      1609.05158, section 3.2); its use on sorted regions is ours.
    """

    def __init__(
        self, inputs: int, outputs: int, *, factor: int = 2, **options: Any
    ) -> None:
        self.factor = factor
        self.values = ConvNorm(inputs, factor * factor * outputs, 1, **options)

    def __call__(self, x: jax.Array) -> jax.Array:
        """(B, H, W, inputs) -> (B, factor * H, factor * W, outputs)."""
        batch, height, width, _ = x.shape
        n = self.factor
        x = self.values(x).reshape(batch, height, width, n, n, -1)
        return x.transpose(0, 1, 3, 2, 4, 5).reshape(batch, n * height, n * width, -1)


class SetStem(nnx.Module):
    """Each pixel of a region goes through the same layers; what comes out is averaged.

    A place of the inputs is a region: the values of its first channel, then those of
    the next, as many of each. Beside the mean there is the largest of each feature.

    Arguments as of `ConvNorm`, and `colours`, the number of channels of the images.

    References:
      Zaheer et al., "Deep Sets" (NeurIPS 2017, arXiv 1703.06114), equation 2.
    """

    def __init__(
        self, inputs: int, outputs: int, *, colours: int = 3, **options: Any
    ) -> None:
        self.colours = colours
        self.first = nnx.Linear(colours, outputs, **options)
        self.second = nnx.Linear(outputs, outputs, **options)
        self.mixed = ConvNorm(2 * outputs, outputs, 1, **options)

    def __call__(self, x: jax.Array) -> jax.Array:
        """(B, H, W, inputs) -> (B, H, W, outputs)."""
        pixels = x.reshape(*x.shape[:3], self.colours, -1).swapaxes(-1, -2)
        features = nnx.relu(self.second(nnx.relu(self.first(pixels))))
        return self.mixed(
            jnp.concatenate([features.mean(-2), features.max(-2)], axis=-1)
        )


class Stem(NamedTuple):
    """A kind of stem.

    Attributes:
      make: Makes the layer: `(inputs, outputs, kernel, patch_size, *, dtype, rngs)`,
        where `kernel` is the side that a model has for large images. That which spreads
        places takes `factor` too.
      cell_size: Side of one place of the features in places of the inputs; None for
        that of a patch.
      usual: Side in pixels that a place of small images has behind this stem.
    """

    make: Callable[..., nnx.Module]
    cell_size: float | None
    usual: int = 1


STEMS: dict[StemName, Stem] = {
    "imagenet": Stem(
        lambda i, o, k, p, **xs: PooledStem(i, o, k, stride=2, **xs), 4, 4
    ),
    "cifar": Stem(lambda i, o, k, p, **xs: ConvNorm(i, o, 3, **xs), 1),
    "patch": Stem(
        lambda i, o, k, p, **xs: ConvNorm(i, o, p, stride=p, padding="VALID", **xs),
        None,
    ),
    "spread": Stem(lambda i, o, k, p, **xs: PixelShuffleStem(i, o, **xs), 0.5),
    "set": Stem(lambda i, o, k, p, **xs: SetStem(i, o, colours=_colours(i), **xs), 1),
}
"""Kinds of stems by name."""


def _colours(inputs: int) -> int:
    """Channels of the images whose regions come to so many values in all."""
    return 3 if inputs % 3 == 0 else 1


def _of_small_images(shape: tuple[int, int, int], cell_size: int) -> bool:
    return min(shape[:2]) * cell_size < 96


def stem_options(
    name: StemName | Literal["default"],
    shape: tuple[int, int, int],
    cell_size: int,
    patch_size: int,
) -> dict[str, Any]:
    """Chooses a stem, and how many strides the stages behind it go without.

    They end with features of the usual size: that which the CIFAR stem leads to for
    small images, and the ImageNet stem, a quarter as large, for others.

    Args:
      name: Kind of stem; `"default"` chooses by the size of the images.
      shape: (H, W, C) of the inputs.
      cell_size: Side of one place of the inputs in pixels of the images.
      patch_size: Side of a patch in places of the inputs; an option of the patch stem.
    """
    small = _of_small_images(shape, cell_size)
    if name == "default":
        name = "spread" if cell_size > 1 else "cifar" if small else "imagenet"
    stem = STEMS[name]
    cell = (stem.cell_size or patch_size) * cell_size
    usual = stem.usual if small else 4
    skipped = max(0, int(math.log2(cell / usual)))
    options = {"stem": name, "skipped_strides": skipped}
    return options | ({"patch_size": patch_size} if stem.cell_size is None else {})


def widened_options(
    name: StemName | Literal["default"],
    wide: float,
    shape: tuple[int, int, int],
    cell_size: int,
    patch_size: int,
) -> dict[str, Any]:
    """Chooses stem and width for coarse inputs: fewer places, in a wider network.

    Places that are regions are spread, most of them until there are half as many a side
    as the stages see of an image. All strides are kept, so that twice the width takes
    as many operations.

    Args:
      name: As of `stem_options`.
      wide: Width for places as fine as usual, or finer; coarser ones have more, by as
        much.
      shape: As of `stem_options`.
      cell_size: As of `stem_options`.
      patch_size: As of `stem_options`.

    References:
      Ours: see the notes on training for what else was tried.
    """
    usual = 1 if _of_small_images(shape, cell_size) else 4
    options: dict[str, Any] = {"skipped_strides": 0}
    if name == "default":
        # Regions of more than 2 x 2 pixels have more values than a place has channels.
        factor = max(1 if cell_size < 4 else 2, cell_size // (2 * usual))
        options |= {"stem": "spread" if factor > 1 else "cifar"}
        options |= {"factor": factor} if factor > 1 else {}
        cell = cell_size / factor
    else:
        stem = STEMS[name]
        options |= {"stem": name}
        options |= {"patch_size": patch_size} if stem.cell_size is None else {}
        cell = cell_size * (stem.cell_size or patch_size)
    return options | {"width": max(8, 8 * round(wide * max(1, cell / usual) / 8))}

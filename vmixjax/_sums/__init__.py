"""Sums over tiles, regions and blocks of images, which energies are made of.

Sums of integers are exact: 32 bits wide as long as those suffice, then 64, for which
they are called where those are enabled. How an image is best gone through depends on
the platform; what comes of it does not.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax

from vmixjax._sums import one_pass, rows
from vmixjax._sums.parts import BlockSums, Intensity, Sums, sums_of_pixels
from vmixjax._sums.rows import energies_of_rows
from vmixjax.config import MixConfig

__all__ = [
    "BlockSums",
    "Intensity",
    "Sums",
    "energies_of_rows",
    "image_sums",
    "sums_of_pixels",
    "tile_squares",
]

_Result = TypeVar("_Result")


class Way(NamedTuple):
    """A way to go through an image; both functions are those of this module."""

    tile_squares: Callable[[jax.Array, int, Intensity], jax.Array]
    image_sums: Callable[[jax.Array, Intensity, MixConfig, int], Sums]


WAYS = {
    "cpu": Way(rows.tile_squares, rows.image_sums),
    "tpu": Way(one_pass.tile_squares, one_pass.image_sums),
}
"""By JAX's name of the platform."""

DEFAULT = Way(
    functools.partial(one_pass.tile_squares, in_blocks=True),
    functools.partial(one_pass.image_sums, in_blocks=True),
)
"""Where there is none, so on GPUs."""


def tile_squares(image: jax.Array, tile: int, intensity: Intensity) -> jax.Array:
    """Sums squared differences inside tiles, around which 0 lies.

    Args:
      image: (H, W, C).
      tile: Side T of a tile.
      intensity: What a value is taken for.

    Returns:
      (H // T, W // T, C), like what `intensity` gives.
    """
    return _by_platform(image, lambda way, x: way.tile_squares(x, tile, intensity))


def image_sums(
    image: jax.Array, quantise: Intensity, config: MixConfig, bits: int
) -> Sums:
    """Computes all sums that the energies of an image under a ladder take.

    Args:
      image: (H, W, C).
      quantise: Makes its values int32.
      config: Tile size, ladder and channel mode.
      bits: Of what `quantise` gives.
    """
    return _by_platform(image, lambda way, x: way.image_sums(x, quantise, config, bits))


def _by_platform(
    image: jax.Array, call: Callable[[Way, jax.Array], _Result]
) -> _Result:
    table = {name: functools.partial(call, way) for name, way in WAYS.items()}
    default = functools.partial(call, DEFAULT)
    return jax.lax.platform_dependent(image, default=default, **table)

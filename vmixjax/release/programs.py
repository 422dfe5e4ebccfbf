"""What is compiled for a run: programs over packs, which know no image's size.

See `packing.py` for how packs are laid out. Called where 64 bits are enabled.
"""

import functools
from typing import NamedTuple

import jax

from vmixjax._energy import Energies, Precision, tile_energies
from vmixjax._shuffle import permute_rows
from vmixjax._shuffle.cipher import KEY_WORDS
from vmixjax._shuffle.layout import TileRows
from vmixjax._sums import energies_of_rows
from vmixjax.config import MixConfig
from vmixjax.release.packing import Layout


class Packed(NamedTuple):
    """Tiles of any images, and what it takes to shuffle them.

    Attributes:
      values: uint8 or uint16 (T, pieces * length of a piece).
      key: uint32 (pieces, 8), the words of the key of each piece's image.
      row: uint32 (pieces,), which row of tiles of its image each is of.
      first: uint32 (pieces,), with which tile of that row each begins.
      levels: uint8 (pieces, tiles of a piece); 0 where nothing lies.
    """

    values: jax.Array
    key: jax.Array
    row: jax.Array
    first: jax.Array
    levels: jax.Array


@functools.partial(jax.jit, static_argnames=("layout", "config"))
def mix(
    packed: Packed, *, layout: Layout, config: MixConfig
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Mixes what lies in a pack; gives its energies before and after, too.

    Returns:
      Values like those of the pack, and for each tile two int64 (pieces, tiles of a
      piece), see `energies_of_rows`.
    """
    mixed = _shuffle(packed, layout, config, inverse=False)
    before = _energies(_rows(packed.values, layout), layout)
    return _lines(mixed), before, _energies(mixed, layout)


@functools.partial(jax.jit, static_argnames=("layout", "config"))
def unmix(packed: Packed, *, layout: Layout, config: MixConfig) -> jax.Array:
    """Gives values as they were before `mix`."""
    return _lines(_shuffle(packed, layout, config, inverse=True))


@functools.partial(jax.jit, static_argnames=("layout",))
def measure(values: jax.Array, *, layout: Layout) -> jax.Array:
    """Gives the energy of each tile, int64 (pieces, tiles of a piece)."""
    return _energies(_rows(values, layout), layout)


@functools.partial(jax.jit, static_argnames=("layout", "config", "precision"))
def expect(
    values: jax.Array, *, layout: Layout, config: MixConfig, precision: Precision
) -> tuple[jax.Array, Energies]:
    """Gives the energy of each tile, as `measure`, and what plans are made from.

    Returns:
      For the latter, what `Energies` has of a tile is (..., pieces, tiles of a piece).
    """
    rows = _rows(values, layout)
    picture = rows.reshape(layout.rows * layout.tile_size, -1, layout.channels)
    energies = tile_energies(picture, config, precision)
    levels = energies.levels.reshape(-1, layout.pieces, layout.together)
    inside = energies.inside.reshape(layout.pieces, layout.together)
    return _energies(rows, layout), energies._replace(levels=levels, inside=inside)


def _shuffle(
    packed: Packed, layout: Layout, config: MixConfig, *, inverse: bool
) -> jax.Array:
    """The values of a pack, row after row: (rows, T, values along a row)."""
    shape = (layout.rows, layout.abreast)
    rows = TileRows(
        _rows(packed.values, layout),
        packed.key.reshape(*shape, KEY_WORDS),
        packed.row.reshape(shape),
        packed.first.reshape(shape),
        packed.levels.reshape(layout.rows, -1),
    )
    return permute_rows(rows, config, layout.channels, inverse=inverse)


def _rows(values: jax.Array, layout: Layout) -> jax.Array:
    return values.reshape(layout.tile_size, layout.rows, -1).swapaxes(0, 1)


def _lines(rows: jax.Array) -> jax.Array:
    """The inverse of `_rows`."""
    return rows.swapaxes(0, 1).reshape(rows.shape[1], -1)


def _energies(rows: jax.Array, layout: Layout) -> jax.Array:
    bits = 8 * layout.dtype.itemsize
    energies = energies_of_rows(rows, layout.tile_size, layout.channels, bits)
    return energies.reshape(layout.pieces, layout.together)

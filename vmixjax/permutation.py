"""Keyed bijections: which place each value of an image comes from.

The blocks of a region stand in a grid of m rows and n columns (m = n = region size /
block size; in `"joint"` mode the grids of all channels stand under one another). A
Feistel network walks over the two coordinates, alternately

    row    <- (row    + F_t(column)) mod m
    column <- (column + G_t(row))    mod n

which is a bijection for any m and n, whatever F and G are; the same steps backwards
undo it. F_t and G_t hash a coordinate with a 16-bit round word. The words come from
Threefry-2x32, called on explicit counters (corner of the region, channel, round):
no JAX flag, batch shape, device count or backend can change a bit, since all of it
is integer arithmetic, one value at a time.

How many rounds: two blocks of one column stay a pair at the same distance as long
as G gives both the same step, one time in n. After 2h rounds the chance that they
never parted is n^-h, on top of the 1/(mn - 1) of a uniform permutation; h is the
least, at least 3, for which a test on 2^20 pairs would not see that (n^(h-1) >=
2^10).

Source: the construction is ours; the paper draws one uniform permutation for a
whole batch.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.random import threefry2x32_p

from vmixjax._grid import join
from vmixjax.config import MixConfig

# Sets our Threefry counters apart from those of fold_in, split and bits, so that a
# key that was also used for something else gives unrelated words here.
_DOMAIN = 0x56 << 24
_WORDS_PER_CALL = 4
_LARGEST_CELL = 8


def source_index(
    key: jax.Array,
    levels: jax.Array,
    image_shape: tuple[int, int, int],
    config: MixConfig,
    *,
    inverse: bool = False,
) -> jax.Array:
    """Where each value of the mixed image comes from.

    Args:
      key: one typed Threefry key.
      levels: uint8 (H // T, W // T), the level of each tile, 0 to len(ladder).
      image_shape: (H, W, C).
      config: tile size, ladder and channel mode.
      inverse: gives the index map that undoes the other.

    Returns:
      int32 (H, W, C): positions in the flattened image, each exactly once.
    """
    height, width, channels = image_shape
    tile = config.tile_size
    cell = _cell_size(config)
    grid = _staged(
        functools.partial(_lay_out, shape=image_shape, config=config, cell=cell),
        jax.random.key_data(key),
        levels,
    )
    packed = _staged(
        functools.partial(_walk, shape=image_shape, config=config, inverse=inverse),
        grid,
    )
    x_bits = _bits(tile * channels)
    rows, columns = height // cell, width // cell
    packed = packed.reshape(cell, cell, rows, columns, -1).transpose(2, 0, 3, 1, 4)
    packed = packed.astype(jnp.int32)
    cell_row = np.arange(rows, dtype=np.int32)[:, None, None, None, None]
    cell_column = np.arange(columns, dtype=np.int32)[:, None, None]
    y = cell_row * cell // tile * tile + (packed >> x_bits)
    x = cell_column * cell // tile * (tile * channels) + (packed & (2**x_bits - 1))
    index = y * (width * channels) + x
    if config.channels == "shared":
        index = index + np.arange(channels, dtype=np.int32)
    return join(index)


def rounds(n: int) -> int:
    """Rounds that make a permutation of n x n blocks hard to tell from uniform."""
    pairs = 3
    while n ** (pairs - 1) < 2**10:
        pairs += 1
    return 2 * pairs


def _staged(stage: Callable[..., Any], *args: Any) -> Any:
    """Runs a stage by itself, where fusing it into the next would cost speed.

    On CPU, XLA would compute the index anew, one value at a time, inside the gather
    that reads it: ten times slower than both apart. A branch that the compiler
    cannot see through keeps them apart; accelerators want the fusion.
    """

    def never(*args: Any) -> Any:
        # Of the same types, down to the mesh axes that they vary over.
        return jax.tree.map(jnp.zeros_like, stage(*args))

    def apart(*args: Any) -> Any:
        always = jax.lax.optimization_barrier(jnp.bool_(True))
        return jax.lax.cond(always, stage, never, *args)

    return jax.lax.platform_dependent(*args, cpu=apart, default=stage)


def _cell_size(config: MixConfig) -> int:
    """The side of a cell: squares that lie in one region at every level.

    Everything but the walk itself is computed once per cell; the walk runs over all
    cells at once for each place in a cell, so the longest axis of its arrays is the
    number of cells, which vector units like.
    """
    common = math.gcd(*(region for region, _ in config.ladder))
    return max(d for d in range(1, _LARGEST_CELL + 1) if common % d == 0)


def _bits(count: int) -> int:
    return max(1, (count - 1).bit_length())


def _ladder(config: MixConfig) -> tuple[tuple[int, int], ...]:
    """The ladder with level 0: each pixel a region of its own, where all stays."""
    return ((1, 1), *config.ladder)


def _lay_out(
    key_data: jax.Array,
    levels: jax.Array,
    *,
    shape: tuple[int, int, int],
    config: MixConfig,
    cell: int,
) -> dict[str, jax.Array]:
    """What the walk needs to know of each cell; lanes are (cell, channel) pairs.

    Returns:
      words: uint16 (rounds, lanes).
      row, column: uint16 (cell, lanes), block coordinates of each line of the cell.
      top, left: uint16 (cell, lanes), what a line's own place in its tile is made
        of besides the block coordinate: the region's edge plus the offset in a block.
      block, n: uint16 (lanes,), block size, and blocks per side of a region.
    """
    height, width, channels = shape
    own = channels if config.channels != "shared" else 1
    ladder = _ladder(config)
    tile = config.tile_size
    rows, columns = height // cell, width // cell
    lanes = rows * columns * own

    def per_level(values: list[int]) -> jax.Array:
        return _spread(_look_up(np.asarray(values, np.uint16), levels), tile // cell)

    def along(table: np.ndarray, axis: int) -> jax.Array:
        """(level, place in tile) -> (place in cell, cell row, cell column)."""
        parts = table.astype(np.uint16).reshape(len(ladder), tile // cell, cell)
        chosen = jnp.moveaxis(_look_up(parts, levels), 3, 0)
        if axis == 0:
            chosen = chosen.transpose(0, 1, 3, 2).reshape(cell, rows, -1)
            return jnp.repeat(chosen, tile // cell, axis=2)
        chosen = chosen.reshape(cell, -1, columns)
        return jnp.repeat(chosen, tile // cell, axis=1)

    def to_lanes(values: jax.Array) -> jax.Array:
        values = jnp.broadcast_to(values[..., None], (*values.shape, own))
        return values.reshape(*values.shape[:-3], lanes)

    place = np.arange(tile)
    regions = np.array([s for s, _ in ladder])[:, None]
    blocks = np.array([b for _, b in ladder])[:, None]
    coordinate = place % regions // blocks
    rest = place // regions * regions + place % blocks
    corner = place // regions * regions

    row, column = along(coordinate, 0), along(coordinate, 1)
    top, left = along(rest, 0), along(rest, 1)
    n = per_level([s // b for s, b in ladder])
    block = per_level([b for _, b in ladder])

    # A region is named by its corner in the image, in pixels.
    corner_y = along(corner, 0)[0].astype(jnp.uint32)
    corner_x = along(corner, 1)[0].astype(jnp.uint32)
    corner_y += (np.arange(rows, dtype=np.uint32) * cell // tile * tile)[:, None]
    corner_x += np.arange(columns, dtype=np.uint32) * cell // tile * tile
    channel = np.tile(np.arange(own, dtype=np.uint32), rows * columns)
    joint = config.channels == "joint"
    count = max(rounds(s // b) for s, b in config.ladder)
    words = _round_words(
        key_data,
        to_lanes(corner_y << 16 | corner_x),
        np.zeros_like(channel) if joint else channel,
        count,
    )
    n, block = to_lanes(n), to_lanes(block)
    row, column = to_lanes(row), to_lanes(column)
    if joint:
        row = jnp.where(n == 1, row, row + channel.astype(np.uint16) * n)
    return {
        "words": words,
        "row": row,
        "column": column,
        "top": to_lanes(top),
        "left": to_lanes(left),
        "block": block,
        "n": n,
    }


def _look_up(table: np.ndarray, levels: jax.Array) -> jax.Array:
    """table[levels] by comparisons, which any sharding of the levels can follow."""
    which = levels.reshape(*levels.shape, *[1] * (table.ndim - 1))
    chosen = jnp.broadcast_to(table[0], (*levels.shape, *table.shape[1:]))
    for level, row in enumerate(table[1:], start=1):
        chosen = jnp.where(which == level, row, chosen)
    return chosen


def _spread(per_tile: jax.Array, times: int) -> jax.Array:
    """(tile rows, tile columns) -> (cell rows, cell columns)."""
    return jnp.repeat(jnp.repeat(per_tile, times, axis=0), times, axis=1)


def _round_words(
    key_data: jax.Array, corner: jax.Array, channel: np.ndarray, count: int
) -> jax.Array:
    """16-bit words (count, lanes): four to a call of Threefry-2x32."""
    words: list[jax.Array] = []
    for call in range(-(-count // _WORDS_PER_CALL)):
        counter = jnp.asarray(channel << 8 | np.uint32(_DOMAIN + call))
        for half in threefry2x32_p.bind(key_data[0], key_data[1], corner, counter):
            words += [half.astype(jnp.uint16), (half >> 16).astype(jnp.uint16)]
    return jnp.stack(words[:count])


def _walk(
    grid: dict[str, jax.Array],
    *,
    shape: tuple[int, int, int],
    config: MixConfig,
    inverse: bool,
) -> jax.Array:
    """The rounds, and where they end: packed places (cell, cell, lanes) in the tile.

    A place is row << bits | column * C + channel, in 16 bits where that fits.
    """
    channels = shape[2]
    row, column = grid["row"][:, None], grid["column"][None]
    n = grid["n"]
    m = n
    if config.channels == "joint":
        m = jnp.where(n == 1, n, n * np.uint16(channels))
    words = grid["words"]
    steps = range(words.shape[0])
    for t in reversed(steps) if inverse else steps:
        if t % 2 == 0:
            row = _turn(row, _hash(words[t], column, m), m, inverse)
        else:
            column = _turn(column, _hash(words[t], row, n), n, inverse)

    own = channels if config.channels != "shared" else 1
    mine = np.tile(np.arange(own, dtype=np.uint16), n.size // own)
    channel = jnp.asarray(mine)
    if config.channels == "joint":
        # The rows of blocks tell the channel, but for tiles that stay as they are.
        channel = jnp.where(n == 1, mine, np.uint16(0))
        for _ in range(1, channels):
            beyond = (n > 1) & (row >= n)
            row = jnp.where(beyond, row - n, row)
            channel = channel + beyond.astype(jnp.uint16)
    y = grid["top"][:, None] + row * grid["block"]
    x = grid["left"][None] + column * grid["block"]
    x_bits = _bits(config.tile_size * channels)
    wide = _bits(config.tile_size) + x_bits > 16
    dtype = jnp.uint32 if wide else jnp.uint16
    y, x, channel = y.astype(dtype), x.astype(dtype), channel.astype(dtype)
    return y << dtype(x_bits) | x * dtype(channels) + channel


def _hash(word: jax.Array, coordinate: jax.Array, modulus: jax.Array) -> jax.Array:
    """A number in [0, modulus) for each (word, coordinate), uint16.

    For a fixed coordinate all steps up to the last are bijections of the word, so
    the result is uniform over words as far as the modulus divides 2^16.
    """
    h = word + coordinate * np.uint16(0x9E37)
    h = (h ^ (h >> np.uint16(8))) * np.uint16(0x88B5)
    h = (h ^ (h >> np.uint16(7))) * np.uint16(0xDB2D)
    scaled = h.astype(jnp.uint32) * modulus.astype(jnp.uint32)
    return (scaled >> np.uint32(16)).astype(jnp.uint16)


def _turn(
    coordinate: jax.Array, step: jax.Array, modulus: jax.Array, back: bool
) -> jax.Array:
    """(coordinate + step) mod modulus, or minus, in wrapping uint16."""
    if back:
        moved = coordinate - step
        return jnp.minimum(moved, moved + modulus)
    moved = coordinate + step
    return jnp.minimum(moved, moved - modulus)

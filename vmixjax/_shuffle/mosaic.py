"""A kernel for TPUs: every value is read and written once.

A vector unit has 8 x 128 lanes. Along the 128 lie rows of tiles, of as many images:
where there are that many, that is how a TPU has batches of images in memory, and
nothing is moved to bring them there. Along the 8, and in four vectors at once, lie
columns of pixels, packed in words (`words.py`).
"""

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu

from vmixjax._shuffle.bits import WORD_BYTES, words_of_a_byte
from vmixjax._shuffle.cipher import KEY_WORDS, block
from vmixjax._shuffle.layout import Batch
from vmixjax._shuffle.words import (
    COLUMN,
    EVEN_BYTES,
    Lanes,
    channels_together,
    shuffle_columns,
)
from vmixjax.config import MixConfig

_LANES = 128
_COLUMNS = 32
"""Columns that four vectors hold."""

_BLOCK_BYTES = 2**20
"""What is read at once, where there is a choice: large beside what a start costs."""

_BUFFERS = 4
"""A block comes, another is worked on; so with those that leave."""

_WORK = 12
"""Bytes that stages need for each byte of a chunk: words, and their random bits."""

_LEAST_MEMORY, _MOST_MEMORY = 2**24, 100 * 2**20
"""Bytes of a TPU's vector memory: what all have, and what v5e and v6e have to give."""


def permute_images(
    batch: Batch, config: MixConfig, inverse: bool, *, interpret: bool = False
) -> jax.Array:
    """`permute` for batches of unsigned integers of up to 32 bits."""
    count, height, width, channels = batch.images.shape
    dtype, tile = batch.images.dtype, config.tile_size
    rows = height // tile
    number = jnp.arange(rows, dtype=jnp.uint32)
    values = batch.images.reshape(count, rows, tile, width, channels)
    if dtype.itemsize == 2:
        values = values.astype(jnp.uint32)
    key, levels = batch.key_data.T, batch.levels.transpose(1, 2, 0)
    if count % _LANES == 0:
        # As they lie: nothing moves.
        values = values.transpose(1, 2, 4, 3, 0)
        number = jnp.broadcast_to(number[:, None], (rows, count))
    else:
        values = values.transpose(2, 4, 3, 0, 1).reshape(1, tile, channels, width, -1)
        number = jnp.tile(number, count)[None]
        key = jnp.repeat(key, rows, axis=1)
        levels = levels.transpose(1, 2, 0).reshape(1, width // tile, -1)
    lanes, whole = values.shape[-1], max(tile, _COLUMNS)
    mixed = _permute(
        _filled(_filled(values), axis=-2, to=whole),
        _filled(key),
        _filled(number[:, None]),
        _filled(_filled(levels.astype(jnp.uint32)), axis=-2, to=whole // tile),
        config,
        inverse,
        interpret,
    )[..., :width, :lanes].astype(dtype)
    if count % _LANES == 0:
        mixed = mixed.transpose(4, 0, 1, 3, 2)
    else:
        mixed = mixed.reshape(tile, channels, width, count, rows)
        mixed = mixed.transpose(3, 4, 0, 2, 1)
    return mixed.reshape(batch.images.shape)


def _filled(x: jax.Array, *, axis: int = -1, to: int = _LANES) -> jax.Array:
    """Pads an axis to a multiple."""
    missing = -x.shape[axis] % to
    pad = [(0, missing if n == axis % x.ndim else 0) for n in range(x.ndim)]
    return jnp.pad(x, pad) if missing else x


def _permute(
    values: jax.Array,
    key: jax.Array,
    number: jax.Array,
    levels: jax.Array,
    config: MixConfig,
    inverse: bool,
    interpret: bool,
) -> jax.Array:
    """The kernel, for rows of tiles as they lie along the lanes.

    Args:
      values: (rows, T, C, W, lanes).
      key: uint32 (8, lanes).
      number: uint32 (rows, 1, lanes), which row of tiles of its image.
      levels: uint32 (rows, tiles, lanes).
      config: Tile size, ladder and channel mode.
      inverse: Whether to undo.
      interpret: Whether to run it as plain JAX, for tests.

    Raises:
      NotImplementedError: There is not enough memory on the chip for these tiles.
    """
    rows, _, channels, width, lanes = values.shape
    shape, memory = _block(values, channels_together(config, channels))
    tiles = levels.shape[1]
    wide = pl.BlockSpec(shape, lambda i, c, w, x: (i, 0, c, w, x))
    mixed: jax.Array = pl.pallas_call(
        functools.partial(
            _kernel,
            config=config,
            channels=channels,
            inverse=inverse,
            interpret=interpret,
        ),
        grid=(rows, channels // shape[2], width // shape[3], lanes // _LANES),
        in_specs=[
            wide,
            pl.BlockSpec((KEY_WORDS, _LANES), lambda i, c, w, x: (0, x)),
            pl.BlockSpec((1, 1, _LANES), lambda i, c, w, x: (i, 0, x)),
            pl.BlockSpec((1, tiles, _LANES), lambda i, c, w, x: (i, 0, x)),
        ],
        out_specs=wide,
        out_shape=jax.typeof(values),
        compiler_params=pltpu.CompilerParams(
            dimension_semantics=("parallel",) * 4,
            vmem_limit_bytes=max(_LEAST_MEMORY, memory),
        ),
        interpret=interpret,
        name="shuffle",
    )(values, key, number, levels)
    return mixed


def _block(values: jax.Array, together: int) -> tuple[tuple[int, ...], int]:
    """Tells how much is read at once, and the bytes of memory on the chip it takes.

    It is a part of a row of tiles, since images may be as wide as they like.
    """
    _, tile, _, width, _ = values.shape
    least = 1, tile, together, max(tile, _COLUMNS), _LANES
    size = math.prod(least) * values.dtype.itemsize
    if _WORK * size > _MOST_MEMORY:
        raise NotImplementedError(
            f"tiles of {tile} x {tile} x {together} {values.dtype} are too large"
        )
    parts = width // least[3]
    fits = [n for n in range(1, parts + 1) if n == 1 or n * size <= _BLOCK_BYTES]
    each = max(n for n in fits if parts % n == 0)
    return (*least[:3], each * least[3], _LANES), _WORK * size + _BUFFERS * each * size


def _kernel(
    values: Any,
    key: Any,
    number: Any,
    levels: Any,
    mixed: Any,
    *,
    config: MixConfig,
    channels: int,
    inverse: bool,
    interpret: bool,
) -> None:
    """Rows of tiles of some images: of one channel, or of all together."""
    tile, together = config.tile_size, values.shape[2]
    columns = max(tile, _COLUMNS)
    places = _Places(values.dtype.itemsize == 1, columns // WORD_BYTES)
    within, first = places.column(), pl.program_id(1)
    before = pl.program_id(2) * (values.shape[3] // columns)

    def some(i: jax.Array, nothing: int) -> int:
        level = jnp.zeros(places.shape, jnp.uint32)
        for t in range(columns // tile):
            row = levels[0, pl.ds((before + i) * (columns // tile) + t, 1), :]
            here = within // np.uint32(tile) == np.uint32(t)
            level = jnp.where(here, places.wide(row), level)
        lanes = Lanes(
            key=[places.wide(key[k : k + 1, :]) for k in range(KEY_WORDS)],
            number=places.wide(number[0]),
            tile=(within + ((before + i) * columns).astype(jnp.uint32))
            // np.uint32(tile),
            place=within % np.uint32(tile),
            level=level,
            channels=together if config.crosses_channels else 1,
            ahead=places.ahead,
            behind=places.behind,
            of_channel=lambda x, channel: x[channel : channel + 1],
            stacked=lambda words: jnp.stack(words, 1),
            block=block,
            interpreted=interpret,
        )
        at = pl.ds(pl.multiple_of(i * columns, columns), columns)
        lines = [[values[0, y, c, at, :] for y in range(tile)] for c in range(together)]
        planes = _together([places.packed(x) for x in lines], config)
        moved = shuffle_columns(planes, lanes, config, channels, first, inverse=inverse)
        for c, apart in enumerate(_apart(moved, together, config)):
            for y, line in enumerate(places.unpacked(apart, tile)):
                mixed[0, y, c, at, :] = line
        return nothing

    lax.fori_loop(0, values.shape[3] // columns, some, 0)


def _together(
    channels: Sequence[Sequence[jax.Array]], config: MixConfig
) -> list[jax.Array]:
    """Makes of the planes of each channel those that `shuffle_columns` takes."""
    if config.crosses_channels:
        return [jnp.concatenate(x) for x in zip(*channels, strict=True)]
    return [plane for planes in channels for plane in planes]


def _apart(
    planes: Sequence[jax.Array], channels: int, config: MixConfig
) -> list[list[jax.Array]]:
    """Undoes `_together`: planes (T / 4, ...) of each channel."""
    if config.crosses_channels:
        return [[x[c] for x in planes] for c in range(channels)]
    each = len(planes) // channels
    return [[x[0] for x in planes[c * each :][:each]] for c in range(channels)]


class _Places(NamedTuple):
    """How columns lie in four vectors: (4, k, 128).

    Attributes:
      bytes: whether values are bytes. Then column 4 j + i is at i, j: words of four
        columns are what memory holds. Otherwise column k i + j is there.
      height: k.
    """

    bytes: bool
    height: int

    @property
    def shape(self) -> tuple[int, int, int]:
        return WORD_BYTES, self.height, _LANES

    def wide(self, line: jax.Array) -> jax.Array:
        """What (1, 128) hold, for all columns."""
        return jnp.broadcast_to(line[None], self.shape)

    def column(self) -> jax.Array:
        """Which column is where, uint32."""
        i, j = (lax.broadcasted_iota(jnp.uint32, self.shape, n) for n in range(2))
        if self.bytes:
            return j * np.uint32(WORD_BYTES) + i
        return i * np.uint32(self.height) + j

    def ahead(self, x: jax.Array, axis: int, stride: int) -> jax.Array:
        """Moves words; see `Lanes`."""
        return self._rolled(x, axis, -stride)

    def behind(self, x: jax.Array, axis: int, stride: int) -> jax.Array:
        """Moves words; see `Lanes`."""
        return self._rolled(x, axis, stride)

    def _rolled(self, x: jax.Array, axis: int, shift: int) -> jax.Array:
        if axis != COLUMN:
            return _rolled_over(x, axis, shift)
        unit = WORD_BYTES if self.bytes else self.height  # of the axis of wider strides
        if self.bytes == (abs(shift) < unit):
            by = shift if self.bytes else shift // self.height
            return _rolled_over(x, -3, by)
        by = shift // WORD_BYTES if self.bytes else shift
        flat = x.reshape(-1, self.height, _LANES)
        rolled = [pltpu.roll(y, by % self.height, 0) for y in flat]
        return jnp.stack(rolled).reshape(x.shape)

    def packed(self, lines: Sequence[jax.Array]) -> list[jax.Array]:
        """Words (1, T / 4, 4, k, 128) of the values (4 k, 128) of each row of a tile.

        One array for each byte of a value.
        """
        if not self.bytes:
            planes = _packed([x.reshape(self.shape) for x in lines])
            return [jnp.stack(words)[None] for words in planes]
        columns = _packed([pltpu.bitcast(x, jnp.uint32) for x in lines])
        return [jnp.stack([jnp.stack(x) for x in zip(*columns, strict=True)])[None]]

    def unpacked(self, planes: Sequence[jax.Array], tile: int) -> list[jax.Array]:
        """Gives back the values of what `packed` packed, (T / 4, 4, k, 128)s."""
        if not self.bytes:
            return [x.reshape(-1, _LANES) for x in _unpacked(planes, tile)]
        columns = [planes[0][:, i] for i in range(WORD_BYTES)]
        return [pltpu.bitcast(x, jnp.uint8) for x in _unpacked(columns, tile)]


def _rolled_over(x: jax.Array, axis: int, shift: int) -> jax.Array:
    """Rolls whole vectors, which costs nothing."""
    count = x.shape[axis]
    first = -shift % count
    after = lax.slice_in_dim(x, first, count, axis=axis)
    return jnp.concatenate([after, lax.slice_in_dim(x, 0, first, axis=axis)], axis)


def _packed(lines: Sequence[jax.Array]) -> list[list[jax.Array]]:
    """Of words of four bytes, row by row: for each of these bytes, words of columns."""
    each = words_of_a_byte(len(lines))
    zero = jnp.zeros_like(lines[0])
    fours = [[*lines[w::each], zero, zero, zero][:WORD_BYTES] for w in range(each)]
    whole = [_transposed(four) for four in fours]
    return [[words[i] for words in whole] for i in range(WORD_BYTES)]


def _unpacked(planes: Sequence[jax.Array], tile: int) -> list[jax.Array]:
    """Gives back what `_packed` packed."""
    each = planes[0].shape[0]
    whole = [_transposed([plane[w] for plane in planes]) for w in range(each)]
    return [whole[y % each][y // each] for y in range(tile)]


def _transposed(words: Sequence[jax.Array]) -> list[jax.Array]:
    """Of four words: byte i of word j becomes byte j of word i."""
    a, b, c, d = words
    low = np.uint32(0x0000FFFF)
    ab, cd = (
        (
            (x & EVEN_BYTES) | (y & EVEN_BYTES) << np.uint32(8),
            (x >> np.uint32(8) & EVEN_BYTES) | (y & ~EVEN_BYTES),
        )
        for x, y in ((a, b), (c, d))
    )
    lower = [(x & low) | y << np.uint32(16) for x, y in zip(ab, cd, strict=True)]
    upper = [x >> np.uint32(16) | (y & ~low) for x, y in zip(ab, cd, strict=True)]
    return lower + upper

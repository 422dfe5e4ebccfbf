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

from vmixjax._shuffle.cipher import KEY_WORDS, block
from vmixjax._shuffle.layout import Batch
from vmixjax._shuffle.words import (
    BYTES,
    Lanes,
    Words,
    channels_together,
    pack,
    shuffle_columns,
    unpack,
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
    lanes = values.shape[-1]
    mixed = _permute(
        _filled(_filled(values), axis=-2, to=max(tile, _COLUMNS)),
        _filled(key),
        _filled(number[:, None]),
        _filled(levels.astype(jnp.uint32)),
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
    rows, tile, channels, width, lanes = values.shape
    together, tiles = channels_together(config, channels), levels.shape[1]
    least = (1, tile, together, max(tile, _COLUMNS), _LANES)
    least_bytes = math.prod(least) * values.dtype.itemsize
    if _WORK * least_bytes > _MOST_MEMORY:
        raise NotImplementedError(f"{tile} x {tile} values of {together} channels")
    # A part of a row of tiles, since images may be as wide as they like.
    parts = width // least[3]
    each = max(
        n
        for n in range(1, parts + 1)
        if parts % n == 0 and (n == 1 or n * least_bytes <= _BLOCK_BYTES)
    )
    shape = (*least[:3], each * least[3], _LANES)
    memory = _WORK * least_bytes + _BUFFERS * each * least_bytes
    wide = pl.BlockSpec(shape, lambda i, c, w, x: (i, 0, c, w, x))
    mixed: jax.Array = pl.pallas_call(
        functools.partial(
            _kernel,
            config=config,
            channels=channels,
            inverse=inverse,
            interpret=interpret,
        ),
        grid=(rows, channels // together, parts // each, lanes // _LANES),
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
    tile = config.tile_size
    columns = max(tile, _COLUMNS)
    places = _Places(values.dtype.itemsize == 1, columns // BYTES)
    within = places.column()
    first = pl.program_id(1)

    before = pl.program_id(2) * (values.shape[3] // columns)

    def some(i: jax.Array, nothing: int) -> int:
        place = before + i
        level = jnp.zeros(places.shape, jnp.uint32)
        for t in range(columns // tile):
            row = levels[0, pl.ds(place * (columns // tile) + t, 1), :]
            here = within // np.uint32(tile) == np.uint32(t)
            level = jnp.where(here, places.wide(row), level)
        lanes = Lanes(
            key=[places.wide(key[k : k + 1, :]) for k in range(KEY_WORDS)],
            number=places.wide(number[0]),
            tile=(within + (place * columns).astype(jnp.uint32)) // np.uint32(tile),
            place=within % np.uint32(tile),
            level=level,
            ahead=places.ahead,
            behind=places.behind,
            block=block,
            interpreted=interpret,
        )
        at = pl.ds(pl.multiple_of(i * columns, columns), columns)
        packed = [
            places.packed([values[0, y, c, at, :] for y in range(tile)])
            for c in range(values.shape[2])
        ]
        moved = shuffle_columns(packed, lanes, config, channels, first, inverse=inverse)
        for c, planes in enumerate(moved):
            for y, line in enumerate(places.unpacked(planes, tile)):
                mixed[0, y, c, at, :] = line
        return nothing

    lax.fori_loop(0, values.shape[3] // columns, some, 0)


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
        return BYTES, self.height, _LANES

    def wide(self, line: jax.Array) -> jax.Array:
        """What (1, 128) hold, for all columns."""
        return jnp.broadcast_to(line[None], self.shape)

    def column(self) -> jax.Array:
        """Which column is where, uint32."""
        i, j = (lax.broadcasted_iota(jnp.uint32, self.shape, n) for n in range(2))
        if self.bytes:
            return j * np.uint32(BYTES) + i
        return i * np.uint32(self.height) + j

    def ahead(self, x: jax.Array, stride: int) -> jax.Array:
        """What columns so much further have."""
        return self._rolled(x, -stride)

    def behind(self, x: jax.Array, stride: int) -> jax.Array:
        """What columns so much before have."""
        return self._rolled(x, stride)

    def _rolled(self, x: jax.Array, shift: int) -> jax.Array:
        unit = BYTES if self.bytes else self.height  # of the axis of wider strides
        if self.bytes == (abs(shift) < unit):
            by = shift if self.bytes else shift // self.height
            return jnp.concatenate([x[-by:], x[:-by]], 0)
        by = shift // BYTES if self.bytes else shift
        return jnp.stack([pltpu.roll(y, by % self.height, 0) for y in x])

    def packed(self, lines: Sequence[jax.Array]) -> list[Words]:
        """Words of the values (4 k, 128) of each row of a tile."""
        if not self.bytes:
            return pack([x.reshape(self.shape) for x in lines], BYTES)
        fours = pack([pltpu.bitcast(x, jnp.uint32) for x in lines], BYTES)
        return [[jnp.stack(four) for four in zip(*fours, strict=True)]]

    def unpacked(self, planes: Sequence[Words], tile: int) -> list[jax.Array]:
        """Gives back what `packed` packed."""
        if not self.bytes:
            return [x.reshape(-1, _LANES) for x in unpack(planes, tile)]
        fours = [[x[i] for x in planes[0]] for i in range(BYTES)]
        return [pltpu.bitcast(x, jnp.uint8) for x in unpack(fours, tile)]

"""A kernel for NVIDIA's GPUs: every value is read once and written once.

Each thread has a column of a tile, packed in words (`words.py`), in its registers: it
draws the random bits of that column, and trades words with the threads that have the
tile's other columns.
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

from vmixjax._shuffle.bits import WORD_BYTES, words_of_a_byte
from vmixjax._shuffle.cipher import KEY_WORDS, chacha8
from vmixjax._shuffle.layout import Batch, TileRows
from vmixjax._shuffle.words import (
    CHANNEL,
    Lanes,
    channels_together,
    shuffle_columns,
)
from vmixjax.config import MixConfig

_LANES = 128
_WARP = 32
_LEAST_CAPABILITY = 8.0  # Ampere


def permute_images(
    batch: Batch, config: MixConfig, inverse: bool, *, interpret: bool = False
) -> jax.Array:
    """`permute` for batches of unsigned integers of up to 32 bits."""
    count, height, width, channels = batch.images.shape
    number = np.arange(height // config.tile_size, dtype=np.uint32)
    each = (count, number.size)
    key = jnp.broadcast_to(batch.key_data[:, None], (*each, KEY_WORDS))
    rows = TileRows(
        batch.images.reshape(-1, config.tile_size, width * channels),
        key.reshape(-1, 1, KEY_WORDS),
        jnp.broadcast_to(number, each).reshape(-1, 1),
        jnp.zeros((number.size * count, 1), jnp.uint32),
        batch.levels.reshape(number.size * count, -1),
    )
    mixed = permute_rows(rows, config, channels, inverse, interpret=interpret)
    return mixed.reshape(batch.images.shape)


def permute_rows(
    rows: TileRows,
    config: MixConfig,
    channels: int,
    inverse: bool,
    *,
    interpret: bool = False,
) -> jax.Array:
    """As `permute_images`, of rows of tiles.

    Raises:
      NotImplementedError: There are GPUs here that Triton is not made for.
    """
    _check_devices()
    lanes = max(_LANES, config.tile_size)
    programs = -(-rows.levels.size * config.tile_size // lanes)
    whole = pl.BlockSpec(memory_space=pl.ANY)
    mixed: jax.Array = pl.pallas_call(
        functools.partial(
            _kernel,
            config=config,
            channels=channels,
            inverse=inverse,
            lanes=lanes,
            interpret=interpret,
        ),
        grid=(programs,),
        in_specs=[whole] * len(rows),
        out_specs=whole,
        out_shape=jax.typeof(rows.values),
        compiler_params=triton.CompilerParams(num_warps=lanes // _WARP, num_stages=1),
        interpret=interpret,
        name="shuffle",
    )(rows.values, rows.key.transpose(2, 0, 1), *rows[2:])
    return mixed


def _check_devices() -> None:
    """Refuses GPUs that Triton is not made for; XLA would, after all is lowered."""
    try:
        devices = jax.local_devices(backend="cuda")
    except RuntimeError:
        return  # none is here: made for one elsewhere, or to be interpreted
    for device in devices:
        capability = getattr(device, "compute_capability", "")
        if capability and float(capability) < _LEAST_CAPABILITY:
            raise NotImplementedError(
                f"{device.device_kind} has compute capability {capability}, and Triton "
                f"wants {_LEAST_CAPABILITY}"
            )


def _kernel(
    values: Any,
    key: Any,
    number: Any,
    first: Any,
    levels: Any,
    mixed: Any,
    *,
    config: MixConfig,
    channels: int,
    inverse: bool,
    lanes: int,
    interpret: bool,
) -> None:
    """Some tiles, side by side or one row after the other; see `TileRows`."""
    tile, (count, in_row) = config.tile_size, levels.shape
    lane = lax.broadcasted_iota(jnp.int32, (lanes,), 0)
    here, place = pl.program_id(0) * (lanes // tile) + lane // tile, lane % tile
    row, across = here // in_row, here % in_row
    together = channels_together(config, channels)
    columns = _Columns(
        row,
        (across * tile + place) * channels,
        here < count * in_row,
        tile,
        together if config.crosses_channels else 1,
    )
    in_piece = in_row // number.shape[1]
    piece, within = across // in_piece, across % in_piece
    eight = lax.broadcasted_iota(jnp.int32, (KEY_WORDS, 1), 0)
    keys = columns.look_up(key, eight, row[None], piece[None])
    known = Lanes(
        key=[_one_of(keys, i, 0).reshape(lanes) for i in range(KEY_WORDS)],
        number=columns.look_up(number, row, piece),
        tile=columns.look_up(first, row, piece) + within.astype(jnp.uint32),
        place=place.astype(jnp.uint32),
        level=columns.look_up(levels, row, across),
        channels=columns.padded,
        ahead=_partner,
        behind=_partner,
        of_channel=lambda x, channel: _one_of(x, channel, CHANNEL),
        stacked=_stacked,
        # Its rounds in a loop: there is less to compile.
        block=lambda *words: chacha8(words[:KEY_WORDS], words[KEY_WORDS:]),
        interpreted=interpret,
    )

    def some(number: jax.Array, nothing: int) -> int:
        first = number * together
        apart = [first + c for c in range(0, together, columns.channels)]
        planes = [plane for c in apart for plane in columns.read(values, c)]
        moved = shuffle_columns(planes, known, config, channels, first, inverse=inverse)
        each = len(moved) // len(apart)
        for i, c in enumerate(apart):
            columns.write(mixed, c, moved[i * each : (i + 1) * each])
        return nothing

    # In a loop, since what has to be compiled is a third then.
    lax.fori_loop(0, channels // together, some, 0)


class _Columns(NamedTuple):
    """Columns of tiles, one for each lane, in memory.

    Their values are read as lines (n, lanes), T for each channel, which stay in the
    same thread. There are as many channels as a power of two, and four lines at least:
    the last are copies, which are written to where that is which they copy.

    Attributes:
      row: int32, in which row of tiles.
      along: int32, where along that row, for the first channel.
      there_is: whether there is such a column.
      tile: T.
      channels: How many channels of a column are read at once.
    """

    row: jax.Array
    along: jax.Array
    there_is: jax.Array
    tile: int
    channels: int

    @property
    def padded(self) -> int:
        """Channels with their copies."""
        return 1 << (self.channels - 1).bit_length()

    @property
    def _shape(self) -> tuple[int, int, int, int]:
        """Lines, parted: channels, bytes of a word, words, lanes."""
        each = words_of_a_byte(self.tile)
        return self.padded, WORD_BYTES, each, self.row.shape[0]

    def look_up(self, of: Any, *index: jax.Array) -> jax.Array:
        """What there is of each column, as uint32."""
        shape = jnp.broadcast_shapes(*(x.shape for x in index))
        mask = jnp.broadcast_to(self.there_is, shape)
        return triton.load(of.at[index], mask=mask, other=0).astype(jnp.uint32)

    def _at(self, channel: jax.typing.ArrayLike) -> tuple[jax.Array, ...]:
        """Where the lines of a channel, and of those that follow it, are."""
        channels, _, each, _ = self._shape
        line = lax.broadcasted_iota(jnp.int32, (channels * WORD_BYTES * each, 1), 0)
        ahead = jnp.minimum(line // (WORD_BYTES * each), self.channels - 1)
        down = jnp.minimum(line % (WORD_BYTES * each), self.tile - 1)
        return self.row[None], down, self.along[None] + channel + ahead

    def _shift(self, most: int) -> jax.Array:
        """How far up in a word each of its bytes is, in bits; the last ones as one."""
        byte = lax.broadcasted_iota(jnp.uint32, (1, WORD_BYTES, 1, 1), 1)
        return jnp.minimum(byte, np.uint32(most - 1)) * np.uint32(8)

    def read(self, values: Any, channel: jax.typing.ArrayLike) -> list[jax.Array]:
        """Words of columns, for each byte of a value."""
        # One operation for all: the compiler takes long over each.
        found = self.look_up(values, *self._at(channel))
        shift, byte = self._shift(WORD_BYTES), np.uint32(255)
        planes = [
            (found >> np.uint32(8 * i) & byte).reshape(self._shape) << shift
            for i in range(values.dtype.itemsize)
        ]
        return [jnp.sum(plane, 1, dtype=jnp.uint32) for plane in planes]

    def write(
        self, mixed: Any, channel: jax.typing.ArrayLike, planes: Sequence[jax.Array]
    ) -> None:
        """Puts words of columns back."""
        channels, _, each, lanes = self._shape
        found = jnp.zeros((channels * WORD_BYTES * each, lanes), jnp.uint32)
        shift, byte = self._shift(self.tile), np.uint32(255)
        number = lax.broadcasted_iota(jnp.int32, (channels, 1, 1), 0)
        for i, words in enumerate(planes):
            last = _one_of(words, self.channels - 1, CHANNEL)
            whole = jnp.where(number < self.channels, words, last)
            parted = jnp.broadcast_to(whole[:, None], self._shape) >> shift & byte
            found = found | parted.reshape(found.shape) << np.uint32(8 * i)
        triton.store(
            mixed.at[self._at(channel)],
            found.astype(mixed.dtype),
            mask=jnp.broadcast_to(self.there_is, found.shape),
        )


def _one_of(x: jax.Array, which: int, axis: int) -> jax.Array:
    """What has a number along an axis, in the same thread: that axis is 1 then."""
    count = x.shape[axis]
    if count == 1:
        return x
    shape = tuple(count if i == axis else 1 for i in range(x.ndim))
    here = lax.broadcasted_iota(jnp.int32, shape, axis) == which
    nothing = jnp.zeros((), x.dtype)
    found = jnp.sum(jnp.where(here, x, nothing), axis, dtype=x.dtype)
    return jnp.expand_dims(found, axis)


def _stacked(words: Sequence[jax.Array]) -> jax.Array:
    """Words (C, lanes) as (C, words, lanes)."""
    shape = (words[0].shape[0], len(words), words[0].shape[1])
    number = lax.broadcasted_iota(jnp.int32, (1, len(words), 1), 1)
    stacked = jnp.broadcast_to(words[0][:, None], shape)
    for i, word in enumerate(words[1:], start=1):
        stacked = jnp.where(number == i, word[:, None], stacked)
    return stacked


def _partner(x: jax.Array, axis: int, stride: int) -> jax.Array:
    """What has another digit of that stride along an axis, and all else the same."""
    outer, inner = x.shape[:axis], x.shape[axis + 1 :]
    pairs = x.reshape(*outer, -1, 2, stride, *inner)
    both = jnp.expand_dims(jnp.sum(pairs, axis + 1, dtype=x.dtype), axis + 1)
    return jnp.broadcast_to(both, pairs.shape).reshape(x.shape) - x

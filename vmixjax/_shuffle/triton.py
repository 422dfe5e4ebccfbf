"""A kernel for NVIDIA's GPUs: every value is read once and written once.

Each thread has a column of a tile, packed in words (`words.py`), in its registers: it
draws the random bits of that column, and trades words with the threads that have the
tile's other columns.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

from vmixjax._shuffle.bits import words_of_a_byte
from vmixjax._shuffle.cipher import KEY_WORDS, chacha8
from vmixjax._shuffle.layout import Batch, TileRows
from vmixjax._shuffle.words import (
    Lanes,
    Words,
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
    tile, abreast = config.tile_size, number.shape[1]
    in_row = levels.shape[1]
    lane = lax.broadcasted_iota(jnp.int32, (lanes,), 0)
    here = pl.program_id(0) * (lanes // tile) + lane // tile
    there_is = here < levels.shape[0] * in_row
    row, across = here // in_row, here % in_row
    piece, within = across // (in_row // abreast), across % (in_row // abreast)
    place = lane % tile

    def look_up(of: Any, *index: jax.Array) -> jax.Array:
        found = triton.load(of.at[index], mask=there_is, other=0)
        return found.astype(jnp.uint32)

    words = _count(KEY_WORDS)
    keys = triton.load(
        key.at[words, row[None], piece[None]], mask=there_is[None], other=0
    )
    columns = Lanes(
        key=[_of(keys, words == i) for i in range(KEY_WORDS)],
        number=look_up(number, row, piece),
        tile=look_up(first, row, piece) + within.astype(jnp.uint32),
        place=place.astype(jnp.uint32),
        level=look_up(levels, row, across),
        ahead=_partner,
        behind=_partner,
        # Its rounds in a loop: there is less to compile.
        block=lambda *words: chacha8(words[:KEY_WORDS], words[KEY_WORDS:]),
        interpreted=interpret,
    )
    values_of = _Values(tile, channels_together(config, channels))

    def some(number: jax.Array, nothing: int) -> int:
        first = number * values_of.channels
        # One operation for all: the compiler takes long over each.
        along = (across * tile + place) * channels + first
        at = row[None], values_of.row, along[None] + values_of.channel
        mask = there_is[None]
        before = triton.load(values.at[at], mask=mask, other=0)
        moved = shuffle_columns(
            values_of.packed(before), columns, config, channels, first, inverse=inverse
        )
        after = values_of.unpacked(moved)
        triton.store(mixed.at[at], after.astype(mixed.dtype), mask=mask)
        return nothing

    # In a loop, since what has to be compiled is a third then.
    lax.fori_loop(0, channels // values_of.channels, some, 0)


def _count(to: int) -> jax.Array:
    """0, 1, ... one below the other: int32 (to, 1)."""
    return lax.broadcasted_iota(jnp.int32, (to, 1), 0)


def _of(lines: jax.Array, which: jax.Array) -> jax.Array:
    """The one of lines one below the other, each in the same thread, or the sum."""
    nothing = jnp.zeros((), lines.dtype)
    return jnp.sum(jnp.where(which, lines, nothing), 0, dtype=lines.dtype)


class _Values(NamedTuple):
    """The values of a column, one below the other: first all of the first channel.

    Attributes:
      tile: Values of each channel.
      channels: How many of them.
    """

    tile: int
    channels: int

    @property
    def number(self) -> jax.Array:
        """Numbers values. There are as many as a power of two: the last are copies."""
        return _count(self.tile << (self.channels - 1).bit_length())

    @property
    def row(self) -> jax.Array:
        """In which row each value is."""
        return self.number % self.tile

    @property
    def channel(self) -> jax.Array:
        """Of which channel each value is."""
        return jnp.minimum(self.number // self.tile, self.channels - 1)

    def _word(self, channel: int, word: int) -> jax.Array:
        """Which values are in a word."""
        here = self.row % words_of_a_byte(self.tile) == word
        return here & (self.channel == channel)

    @property
    def _shift(self) -> jax.Array:
        """How far up in its word each value is, in bits."""
        return (8 * (self.row // words_of_a_byte(self.tile))).astype(jnp.uint32)

    def packed(self, values: jax.Array) -> list[list[Words]]:
        """Words for each channel and each byte of a value."""
        is_copy = self.number >= self.tile * self.channels
        wide = jnp.where(is_copy, np.uint32(0), values.astype(jnp.uint32))
        planes = [
            (wide >> np.uint32(8 * i) & np.uint32(255)) << self._shift
            for i in range(values.dtype.itemsize)
        ]
        words = range(words_of_a_byte(self.tile))
        return [
            [[_of(plane, self._word(c, w)) for w in words] for plane in planes]
            for c in range(self.channels)
        ]

    def unpacked(self, words: list[list[Words]]) -> jax.Array:
        """Gives back what `packed` packed, as uint32."""
        none = jnp.zeros((self.number.shape[0], words[0][0][0].shape[0]), jnp.uint32)
        values = none
        for i in range(len(words[0])):
            plane = none
            for c, planes in enumerate(words):
                for w, word in enumerate(planes[i]):
                    plane = jnp.where(self._word(c, w), word[None], plane)
            byte = plane >> self._shift & np.uint32(255)
            values = values | byte << np.uint32(8 * i)
        return values


def _partner(x: jax.Array, stride: int) -> jax.Array:
    """What the other of two lanes has that differ in the digit of that stride."""
    pairs = x.reshape(-1, 2, stride)
    both = lax.broadcast_in_dim(jnp.sum(pairs, 1, dtype=x.dtype), pairs.shape, (0, 2))
    return both.reshape(x.shape) - x

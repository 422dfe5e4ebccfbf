"""Stages over columns of tiles whose values lie packed in words, for kernels.

A column of a tile, T values of one channel, is T / 4 words: word w holds, lowest byte
first, the rows w, w + T/4, w + 2 T/4 and w + 3 T/4. So lie the random bytes that are
drawn for it, too. Stages down trade bytes within a word or between two words of a
column; stages across trade words between columns. A kernel keeps a column in each lane
of its vectors, all its words in registers, from the first stage to the last.

Arrays are (C, T / 4, *lanes): the words of columns, of channels whose values trade
places. What is done to them is few operations on such arrays, not many on words, since
some compilers take long over many. It is written in operations that every kernel
language has, but for those that `Lanes` has of each.
"""

import dataclasses
from collections.abc import Callable, Sequence

import jax
import numpy as np
from jax import lax

from vmixjax._shuffle.bits import tiles_per_block, total_bytes, words_of_a_byte
from vmixjax._shuffle.cipher import BLOCK_WORDS, in_one_pass
from vmixjax._shuffle.prng import Purpose
from vmixjax._shuffle.stages import Stage, stages, steps
from vmixjax.config import MixConfig

CHANNEL, WORD, COLUMN = 0, 1, 2
"""Along what something moves: the first axis, the second, or the lanes."""

_LOW_BITS = np.uint32(0x01010101)
EVEN_BYTES = np.uint32(0x00FF00FF)
"""The first and third of a word."""

_LARGEST_TILE = 128
_MOST_CHANNELS = 4

Move = Callable[[jax.Array, int, int], jax.Array]
"""(words, along what, how far) -> what is so far ahead, or behind. Where that is in
another column, tile or channel than any that differs in one digit, it may be anything.
"""


@dataclasses.dataclass(frozen=True)
class Lanes:
    """Columns of tiles, one for each lane: what is known of them.

    Attributes:
      key: eight words, uint32, of the key of the column's image.
      number: uint32, which row of tiles of its image it is in.
      tile: uint32, which tile of that row.
      place: uint32, which column of the tile.
      level: uint32, the level of the tile.
      channels: C, or more: what is in the others is not looked at.
      ahead, behind: move words.
      of_channel: gives the words (1, T / 4, *lanes) of one channel.
      stacked: makes words, each (C, *lanes), words of columns.
      block: computes a block of the cipher, see `cipher.block`.
      interpreted: whether XLA on CPU is to run this as plain JAX, for tests: it has to
        be made to compute once what is read several times.
    """

    key: Sequence[jax.Array]
    number: jax.Array
    tile: jax.Array
    place: jax.Array
    level: jax.Array
    channels: int
    ahead: Move
    behind: Move
    of_channel: Callable[[jax.Array, int], jax.Array]
    stacked: Callable[[Sequence[jax.Array]], jax.Array]
    block: Callable[..., tuple[jax.Array, ...]]
    interpreted: bool

    def along(self, axis: int, count: int) -> jax.Array:
        """Numbers channels, or words: uint32, of a shape that broadcasts."""
        ones = (1,) * (2 + self.place.ndim)
        shape = (*ones[:axis], count, *ones[axis + 1 :])
        return lax.broadcasted_iota(np.uint32, shape, axis)


def can_pack(config: MixConfig, channels: int) -> bool:
    """Tells whether these stages are written for a config."""
    tile = config.tile_size
    if tile & (tile - 1) or tile > _LARGEST_TILE:
        return False
    return not config.crosses_channels or channels <= _MOST_CHANNELS


def channels_together(config: MixConfig, channels: int) -> int:
    """Tells how many channels can only be shuffled together; the others are alike."""
    alone = not (config.crosses_channels or config.shares_permutation)
    return 1 if alone else channels


def shuffle_columns(
    planes: Sequence[jax.Array],
    lanes: Lanes,
    config: MixConfig,
    channels: int,
    first: jax.typing.ArrayLike,
    *,
    inverse: bool,
) -> list[jax.Array]:
    """Applies all stages, or takes them back.

    Args:
      planes: uint32 (C, T / 4, *lanes), for each byte of a value. Where all channels
        share a permutation, bytes of all of them, and C is 1.
      lanes: Which columns.
      config: Tile size, ladder and channel mode.
      channels: Channels of the images.
      first: The first of these channels.
      inverse: Whether to undo.

    Returns:
      Words, as they were laid out.
    """
    random = _draw(lanes, config, channels, first)
    moved = list(planes)
    in_order = stages(config, channels)
    mixed = channels if config.crosses_channels else 1
    for stage in reversed(in_order) if inverse else in_order:
        takes_part = _bits_of(_any_of(lanes.level, stage.levels))
        bits = random[stage.byte]
        each, stride = planes[0].shape[WORD], stage.digit.stride
        if stage.digit.down and stride >= each:
            moved = _turn_bytes(moved, bits, stage, takes_part)
        elif stage.digit.base > 2:
            moved = _turn_channels(moved, bits, stage, takes_part, lanes, inverse)
        else:
            if stage.digit.down:
                axis, far, place = WORD, stride, lanes.along(WORD, each)
            elif stride < mixed:
                axis, far = CHANNEL, stride
                place = lanes.along(CHANNEL, lanes.channels)
            else:
                axis, far, place = COLUMN, stride // channels, lanes.place
            lower = takes_part & _bits_of(lax.eq(place & np.uint32(far), np.uint32(0)))
            moved = _turn(moved, bits, stage, axis, far, lower, lanes)
        if lanes.interpreted:
            moved = lax.optimization_barrier(moved)
    return moved


def _draw(
    lanes: Lanes, config: MixConfig, channels: int, first: jax.typing.ArrayLike
) -> list[jax.Array]:
    """Random bytes of columns: words, for each byte that stages ask for.

    See `bits.py`, whose words these are, place by place.
    """
    in_order = stages(config, channels)
    total, each = total_bytes(in_order), words_of_a_byte(config.tile_size)
    sharing = tiles_per_block(in_order, config)
    own = 1 if config.shares_permutation else channels
    in_blocks = {
        size: _any_of(
            lanes.level,
            [n for n, (_, b) in enumerate(config.ladder, start=1) if b == size],
        )
        for size in sorted({b for _, b in config.ladder if b > 1})
    }
    place = lanes.place
    for size, here in in_blocks.items():
        start = lax.bitwise_and(lanes.place, np.uint32(-size & 0xFFFFFFFF))
        place = lax.select(here, start, place)
    group = lanes.tile // np.uint32(sharing)
    column = (group * np.uint32(config.tile_size) + place) * np.uint32(own)
    shape = (lanes.channels, *place.shape)
    channel = lax.broadcasted_iota(np.uint32, shape, 0)
    channel = channel + lax.convert_element_type(first, np.uint32)

    def all_channels(x: jax.Array) -> jax.Array:
        return lax.broadcast_in_dim(x, shape, range(1, len(shape)))

    key = [all_channels(word) for word in lanes.key]
    drawn: list[jax.Array] = []
    for i in range(-(-total * each * sharing // BLOCK_WORDS)):
        number, purpose = (lax.full_like(channel, x) for x in (i, Purpose.SHUFFLE.word))
        counter = all_channels(column) + channel, number, all_channels(lanes.number)
        compute = in_one_pass if lanes.interpreted else lanes.block
        drawn += compute(*key, *counter, purpose)
    words = drawn[: total * each]
    which = all_channels(lanes.tile - group * np.uint32(sharing))
    for i in range(1, sharing):
        here = lax.eq(which, np.uint32(i))
        others = drawn[i * total * each : (i + 1) * total * each]
        words = [lax.select(here, b, a) for a, b in zip(words, others, strict=True)]
    by_byte = [words[i * each : (i + 1) * each] for i in range(total)]
    for size, here in in_blocks.items():
        by_byte = [_same_in_blocks(x, size, all_channels(here)) for x in by_byte]
    random = [lanes.stacked(words) for words in by_byte]
    return lax.optimization_barrier(random) if lanes.interpreted else random


def _same_in_blocks(
    words: list[jax.Array], size: int, here: jax.Array
) -> list[jax.Array]:
    """Gives all rows of a block what its first row has."""
    each = len(words)
    if size <= each:
        same = [words[w // size * size] for w in range(each)]
    else:
        # A block is no more than half a column: two of the four rows of a word.
        firsts = lax.bitwise_and(words[0], EVEN_BYTES)
        same = [lax.bitwise_or(firsts, _up(firsts, 8))] * each
    return [lax.select(here, a, b) for a, b in zip(same, words, strict=True)]


def _any_of(level: jax.Array, levels: Sequence[int]) -> jax.Array:
    here = lax.eq(level, np.uint32(levels[0]))
    for number in levels[1:]:
        here = lax.bitwise_or(here, lax.eq(level, np.uint32(number)))
    return here


def _bits_of(here: jax.Array) -> jax.Array:
    """The lowest bit of each byte, where it is so."""
    return lax.convert_element_type(here, np.uint32) * _LOW_BITS


def _up(word: jax.Array, bits: int) -> jax.Array:
    return lax.shift_left(word, np.uint32(bits)) if bits else word


def _down(word: jax.Array, bits: int) -> jax.Array:
    return lax.shift_right_logical(word, np.uint32(bits)) if bits else word


def _asked(random: jax.Array, bit: int, where: jax.Array) -> jax.Array:
    """All bits of each byte whose random bit is set, where the lowest bit is."""
    return (_down(random, bit) & where) * np.uint32(255)


def _turn(
    planes: list[jax.Array],
    bits: jax.Array,
    stage: Stage,
    axis: int,
    far: int,
    lower: jax.Array,
    lanes: Lanes,
) -> list[jax.Array]:
    """Words where `lower` says so, whose digit is 0, trade places with those ahead."""
    if stage.slot:
        bits = lanes.ahead(bits, axis, far)
    asked = _asked(bits, stage.bit, lower)
    moved = []
    for words in planes:
        swapped = (words ^ lanes.ahead(words, axis, far)) & asked
        moved.append(words ^ swapped ^ lanes.behind(swapped, axis, far))
    return moved


def _turn_bytes(
    planes: list[jax.Array], bits: jax.Array, stage: Stage, takes_part: jax.Array
) -> list[jax.Array]:
    """Rows trade places within words."""
    apart = 8 * (stage.digit.stride // planes[0].shape[WORD])
    lower = np.uint32(0x00010001 if apart == 8 else 0x00000101)
    asked = _asked(_down(bits, apart * stage.slot), stage.bit, takes_part & lower)
    moved = []
    for words in planes:
        swapped = (words ^ _down(words, apart)) & asked
        moved.append(words ^ swapped ^ _up(swapped, apart))
    return moved


def _turn_channels(
    planes: list[jax.Array],
    bits: jax.Array,
    stage: Stage,
    takes_part: jax.Array,
    lanes: Lanes,
    inverse: bool,
) -> list[jax.Array]:
    """All channels turn, value by value."""
    base = stage.digit.base
    channel = lanes.along(CHANNEL, lanes.channels)
    random = _scaled(lanes.of_channel(bits, stage.slot), base)
    for step, bit in steps(stage, inverse):
        asked = _asked(random, bit.bit_length() - 1, takes_part)
        moved = []
        for words in planes:
            there = words
            for c in range(base):
                here = lax.eq(channel, np.uint32((c - step) % base))
                there = _where(here, lanes.of_channel(words, c), there)
            moved.append(words ^ ((words ^ there) & asked))
        planes = moved
    return planes


def _where(here: jax.Array, words: jax.Array, others: jax.Array) -> jax.Array:
    """`words` where it is so, of shapes that broadcast to the others'."""
    here, words = (
        lax.broadcast_in_dim(x, others.shape, range(x.ndim)) for x in (here, words)
    )
    return lax.select(here, words, others)


def _scaled(word: jax.Array, base: int) -> jax.Array:
    """Random bytes, scaled below a base."""
    even = lax.mul(word & EVEN_BYTES, np.uint32(base))
    odd = lax.mul(_down(word, 8) & EVEN_BYTES, np.uint32(base))
    return (_down(even, 8) & EVEN_BYTES) | (odd & ~EVEN_BYTES)

"""Stages over columns of tiles whose values lie packed in words, for kernels.

A column of a tile, T values of one channel, is T / 4 words: word w holds, lowest byte
first, the rows w, w + T/4, w + 2 T/4 and w + 3 T/4. So lie the random bytes that are
drawn for it, too. Stages down trade bytes within a word or between two words of a
column; stages across trade words between columns. A kernel keeps a column in each lane
of its vectors, all its words in registers, from the first stage to the last.

Nothing here knows what a lane is, but for `Lanes.ahead` and `Lanes.behind`. All is
written in `jax.lax`, in operations that every kernel language has.
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

BYTES = 4
"""Rows that a word holds."""

Words = list[jax.Array]
"""uint32, of the shape of the lanes: one byte of a column, see above."""

_LOW_BITS = np.uint32(0x01010101)
_EVEN_BYTES = np.uint32(0x00FF00FF)
_LARGEST_TILE = 128
_MOST_CHANNELS = 4


@dataclasses.dataclass(frozen=True)
class Lanes:
    """Columns of tiles, one for each lane: what is known of them.

    Attributes:
      key: eight words, uint32, of the key of the column's image.
      number: uint32, which row of tiles of its image it is in.
      tile: uint32, which tile of that row.
      place: uint32, which column of the tile.
      level: uint32, the level of the tile.
      ahead: gives each lane what the one so many columns after it has. Where that is in
        another tile, it may be anything.
      behind: likewise, what the one so many columns before it has.
      block: computes a block of the cipher, see `cipher.block`.
      interpreted: whether XLA on CPU is to run this as plain JAX, for tests: it has to
        be made to compute once what is read several times.
    """

    key: Sequence[jax.Array]
    number: jax.Array
    tile: jax.Array
    place: jax.Array
    level: jax.Array
    ahead: Callable[[jax.Array, int], jax.Array]
    behind: Callable[[jax.Array, int], jax.Array]
    block: Callable[..., tuple[jax.Array, ...]]
    interpreted: bool


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


def pack(lines: Sequence[jax.Array], planes: int) -> list[Words]:
    """Packs the values of columns, row by row, of so many bytes: words for each byte.

    Args:
      lines: uint32, for each row of the tile.
      planes: Bytes of a value, the lowest first.
    """
    each = words_of_a_byte(len(lines))
    fours = [lines[w::each] for w in range(each)]
    if planes == 1:
        return [[_joined(four) for four in fours]]
    zero = lax.full_like(lines[0], 0)
    whole = [_transposed([*four, *[zero] * (BYTES - len(four))]) for four in fours]
    return [[words[plane] for words in whole] for plane in range(planes)]


def unpack(planes: Sequence[Words], tile: int) -> list[jax.Array]:
    """Gives back what `pack` packed."""
    lines: list[jax.Array] = [planes[0][0]] * tile
    for w, words in enumerate(zip(*planes, strict=True)):
        if len(planes) == 1:
            four = [_down(words[0], 8 * i) & np.uint32(255) for i in range(BYTES)]
        else:
            zero = lax.full_like(words[0], 0)
            four = _transposed([*words, *[zero] * (BYTES - len(words))])
        rows = range(w, tile, len(planes[0]))
        for row, line in zip(rows, four, strict=False):
            lines[row] = line
    return lines


def _joined(values: Sequence[jax.Array]) -> jax.Array:
    word = values[0]
    for i, value in enumerate(values[1:], start=1):
        word = word | _up(value, 8 * i)
    return word


def _transposed(words: Sequence[jax.Array]) -> list[jax.Array]:
    """Of four words: byte i of word j becomes byte j of word i."""
    a, b, c, d = words
    low = np.uint32(0x0000FFFF)
    ab, cd = (
        (
            (x & _EVEN_BYTES) | _up(y & _EVEN_BYTES, 8),
            (_down(x, 8) & _EVEN_BYTES) | (y & ~_EVEN_BYTES),
        )
        for x, y in ((a, b), (c, d))
    )
    lower = [(x & low) | _up(y, 16) for x, y in zip(ab, cd, strict=True)]
    upper = [_down(x, 16) | (y & ~low) for x, y in zip(ab, cd, strict=True)]
    return lower + upper


def shuffle_columns(
    values: Sequence[Sequence[Words]],
    lanes: Lanes,
    config: MixConfig,
    channels: int,
    first: jax.typing.ArrayLike,
    *,
    inverse: bool,
) -> list[list[Words]]:
    """Applies all stages, or takes them back.

    Args:
      values: Words of columns, for each of the `channels_together` and for each byte
        of a value.
      lanes: Which columns.
      config: Tile size, ladder and channel mode.
      channels: Channels of the images.
      first: The first of these channels.
      inverse: Whether to undo.

    Returns:
      Words, as they were laid out.
    """
    if config.shares_permutation:
        # All bytes of a place go the same way, as bytes of one value.
        count = len(values[0])
        flat = [[words for planes in values for words in planes]]
        (moved,) = _shuffle(flat, lanes, config, channels, first, inverse)
        return [moved[i : i + count] for i in range(0, len(moved), count)]
    return _shuffle(values, lanes, config, channels, first, inverse)


def _shuffle(
    values: Sequence[Sequence[Words]],
    lanes: Lanes,
    config: MixConfig,
    channels: int,
    first: jax.typing.ArrayLike,
    inverse: bool,
) -> list[list[Words]]:
    """As `shuffle_columns`, of channels with random bits of their own."""
    random = [
        _draw(
            lanes,
            config,
            channels,
            lax.convert_element_type(first, np.uint32) + np.uint32(c),
        )
        for c in range(len(values))
    ]
    moved = [[list(words) for words in planes] for planes in values]
    in_order = stages(config, channels)
    for stage in reversed(in_order) if inverse else in_order:
        takes_part = _any_of(lanes.level, stage.levels)
        if stage.digit.down:
            for planes, bits in zip(moved, random, strict=True):
                _turn_down(planes, bits, stage, takes_part)
        elif stage.digit.stride < len(values):
            _turn_channels(moved, random, stage, takes_part, inverse)
        else:
            for planes, bits in zip(moved, random, strict=True):
                _turn_across(planes, bits, stage, takes_part, lanes, channels)
        if lanes.interpreted:
            moved = lax.optimization_barrier(moved)
    return moved


def _draw(
    lanes: Lanes,
    config: MixConfig,
    channels: int,
    channel: jax.Array,
) -> list[Words]:
    """Random bytes of columns: for each byte that stages ask for, its words.

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
    column = (group * np.uint32(config.tile_size) + place) * np.uint32(own) + channel
    drawn: Words = []
    for i in range(-(-total * each * sharing // BLOCK_WORDS)):
        number, purpose = (lax.full_like(column, x) for x in (i, Purpose.SHUFFLE.word))
        compute = in_one_pass if lanes.interpreted else lanes.block
        drawn += compute(*lanes.key, column, number, lanes.number, purpose)
    words = drawn[: total * each]
    which = lanes.tile - group * np.uint32(sharing)
    for i in range(1, sharing):
        here = lax.eq(which, np.uint32(i))
        others = drawn[i * total * each : (i + 1) * total * each]
        words = [lax.select(here, b, a) for a, b in zip(words, others, strict=True)]
    by_byte = [words[i * each : (i + 1) * each] for i in range(total)]
    for size, here in in_blocks.items():
        by_byte = [_same_in_blocks(words, size, here) for words in by_byte]
    return lax.optimization_barrier(by_byte) if lanes.interpreted else by_byte


def _same_in_blocks(words: Words, size: int, here: jax.Array) -> Words:
    """Gives all rows of a block what its first row has."""
    each = len(words)
    if size <= each:
        same = [words[w // size * size] for w in range(each)]
    else:
        # A block is no more than half a column: two of the four rows of a word.
        firsts = lax.bitwise_and(words[0], _EVEN_BYTES)
        same = [lax.bitwise_or(firsts, _up(firsts, 8))] * each
    return [lax.select(here, a, b) for a, b in zip(same, words, strict=True)]


def _any_of(level: jax.Array, levels: Sequence[int]) -> jax.Array:
    here = lax.eq(level, np.uint32(levels[0]))
    for number in levels[1:]:
        here = lax.bitwise_or(here, lax.eq(level, np.uint32(number)))
    return here


def _up(word: jax.Array, bits: int) -> jax.Array:
    return lax.shift_left(word, np.uint32(bits)) if bits else word


def _down(word: jax.Array, bits: int) -> jax.Array:
    return lax.shift_right_logical(word, np.uint32(bits)) if bits else word


def _asked(random: jax.Array, bit: int, where: jax.Array) -> jax.Array:
    """All bits of each byte whose random bit is set, where lanes take part."""
    set_ = lax.bitwise_and(_down(random, bit), _LOW_BITS)
    whole = lax.mul(set_, np.uint32(255))
    return lax.select(where, whole, lax.full_like(whole, np.uint32(0)))


def _turn_down(
    planes: list[Words], bits: list[Words], stage: Stage, takes_part: jax.Array
) -> None:
    """Rows trade places: words of a column, or bytes within its words."""
    each, stride = len(planes[0]), stage.digit.stride
    random = bits[stage.byte]
    if stride < each:
        for low in (w for w in range(each) if not w & stride):
            drawn = random[low + stage.slot * stride]
            asked = _asked(drawn, stage.bit, takes_part)
            for words in planes:
                a, b = words[low], words[low + stride]
                swapped = (a ^ b) & asked
                words[low], words[low + stride] = a ^ swapped, b ^ swapped
        return
    apart = 8 * (stride // each)
    lower = np.uint32(0x00FF00FF if apart == 8 else 0x0000FFFF)
    for w in range(each):
        drawn = _down(random[w], apart * stage.slot)
        asked = _asked(drawn, stage.bit, takes_part) & lower
        for words in planes:
            swapped = (words[w] ^ _down(words[w], apart)) & asked
            words[w] = words[w] ^ swapped ^ _up(swapped, apart)


def _turn_across(
    planes: list[Words],
    bits: list[Words],
    stage: Stage,
    takes_part: jax.Array,
    lanes: Lanes,
    channels: int,
) -> None:
    """Columns trade places, row by row."""
    stride = stage.digit.stride // channels
    lower = lax.eq(lanes.place & np.uint32(stride), np.uint32(0))
    here = lax.bitwise_and(takes_part, lower)
    for w, drawn in enumerate(bits[stage.byte]):
        asked = _asked(drawn, stage.bit, here)
        for words in planes:
            swapped = (words[w] ^ lanes.ahead(words[w], stride)) & asked
            words[w] = words[w] ^ swapped ^ lanes.behind(swapped, stride)


def _turn_channels(
    values: list[list[Words]],
    bits: list[list[Words]],
    stage: Stage,
    takes_part: jax.Array,
    inverse: bool,
) -> None:
    """Channels trade places, value by value."""
    base, stride = stage.digit.base, stage.digit.stride
    for w in range(len(values[0][0])):
        asked = {}
        for c in range(len(values)):
            drawn = bits[_turned(c, stage.slot, stage)][stage.byte][w]
            if base > 2:
                drawn = _scaled(drawn, base)
            asked[c] = drawn
        for step, bit in steps(stage, inverse):
            before = [[words[w] for words in planes] for planes in values]
            for c, planes in enumerate(values):
                mask = _asked(asked[c], bit.bit_length() - 1, takes_part)
                there = before[_turned(c, c // stride % base + step, stage)]
                for words, own, other in zip(planes, before[c], there, strict=True):
                    words[w] = own ^ ((own ^ other) & mask)


def _turned(channel: int, digit: int, stage: Stage) -> int:
    """The channel that differs from another in that it has this digit."""
    base, stride = stage.digit.base, stage.digit.stride
    return channel + (digit % base - channel // stride % base) * stride


def _scaled(word: jax.Array, base: int) -> jax.Array:
    """Random bytes, scaled below a base."""
    even = lax.mul(word & _EVEN_BYTES, np.uint32(base))
    odd = lax.mul(_down(word, 8) & _EVEN_BYTES, np.uint32(base))
    return (_down(even, 8) & _EVEN_BYTES) | (odd & ~_EVEN_BYTES)

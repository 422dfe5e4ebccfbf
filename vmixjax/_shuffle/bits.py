"""The random bits that stages ask for, place by place."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vmixjax._shuffle.cipher import threefry2x32
from vmixjax._shuffle.layout import Materialize, TileRows, zero_rows
from vmixjax._shuffle.stages import Stage, by_rolls, random_bytes
from vmixjax.config import MixConfig

# Sets our Threefry counters apart from those of fold_in, split and bits, so that a
# key that was also used for something else gives unrelated bytes here.
_DOMAIN = 0x56 << 24
_BITS_PER_CALL = 64


class Bits(NamedTuple):
    """Bytes of which each stage tests some bits; see `Stage`.

    A bit is set only where the level of the tile takes part in the stage, and is the
    same for all pixels of a block.

    Attributes:
      down: for stages down, by byte: uint8 (N, T, W * C).
      across: for stages across, by byte and slot: uint8, rows of (N, T, W * C) end to
        end, with rows of zeros before and after. Set only at the places of the slot.
      rolls: for stages by rolls, by byte and slot: uint8 (N, T, W * C), the same for
        the whole of a group.
    """

    down: dict[int, jax.Array]
    across: dict[tuple[int, int], jax.Array]
    rolls: dict[tuple[int, int], jax.Array]


class _Source(NamedTuple):
    """What bits are drawn from: stages, and the counters of Threefry at each place.

    Attributes:
      stages: that ask for them.
      tile: side of a tile.
      key: uint32 (N, 1, 1) twice, or (N, 1, width) for images side by side.
      number: as key, which row of tiles of its image.
      column: uint32, the block's place along the row, (x of its first pixel, channel)
        as one number; broadcasts to (N, 1, width).
      level: uint8 (N, 1, width), the level of the tile.
      in_blocks: where tiles are shuffled in blocks of a size, by that size; single
        pixels left out.
      materialize: for what is read several times.
    """

    stages: tuple[Stage, ...]
    tile: int
    key: tuple[jax.Array, jax.Array]
    number: jax.Array
    column: jax.Array
    level: jax.Array
    in_blocks: dict[int, jax.Array]
    materialize: Materialize


def draw(
    rows: TileRows,
    stages: tuple[Stage, ...],
    config: MixConfig,
    channels: int,
    *,
    margin: int,
    materialize: Materialize,
) -> Bits:
    """All random bits of some rows of tiles, whose values are not looked at.

    Bits across lie between `margin` rows of zeros before, and as many after.
    """
    source = _source(rows, stages, config, channels, materialize)
    zeros = zero_rows(rows.key, margin, source.level.shape[2], jnp.uint8)
    bits = Bits({}, {}, {})
    for byte in sorted({s.byte for s in stages}):
        readers = [s for s in stages if s.byte == byte]
        digit = readers[0].digit
        numbers = _numbers(byte, digit.base, source)
        if by_rolls(digit.base):
            for stage in readers:
                bits.rolls[byte, stage.slot] = _spread(
                    jnp.concatenate(numbers, 1), stage, materialize
                )
        elif digit.down:
            bits.down[byte] = jnp.concatenate(numbers, 1)
        else:
            lines = _across(numbers, readers, zeros)
            bits.across.update({(byte, slot): line for slot, line in lines.items()})
    return bits


def _source(
    rows: TileRows,
    stages: tuple[Stage, ...],
    config: MixConfig,
    channels: int,
    materialize: Materialize,
) -> _Source:
    level = jnp.repeat(rows.levels, config.tile_size * channels, axis=1)[:, None]
    in_blocks: dict[int, jax.Array] = {}
    for number, (_, block) in enumerate(config.ladder, start=1):
        if block > 1:
            here = level == number
            in_blocks[block] = in_blocks[block] | here if block in in_blocks else here
    in_blocks = {block: materialize(here) for block, here in in_blocks.items()}
    abreast, width = rows.number.shape[1], level.shape[2]
    if abreast == 1:
        words = materialize(jnp.concatenate([rows.key[:, 0], rows.number], 1))
        counters = [words[:, i, None, None] for i in range(3)]
    else:
        each = width // abreast
        counters = [
            materialize(jnp.repeat(x, each, axis=1)[:, None])
            for x in (rows.key[..., 0], rows.key[..., 1], rows.number)
        ]
    along = np.arange(width, dtype=np.uint32) % np.uint32(width // abreast)
    pixel, channel, distinct = along // channels, along % channels, channels
    if config.shares_permutation:
        channel, distinct = np.zeros_like(channel), 1
    column = jnp.asarray(pixel * distinct + channel)
    for block, here in in_blocks.items():
        first = pixel // block * block
        column = jnp.where(here, first * distinct + channel, column)
    return _Source(
        stages=stages,
        tile=config.tile_size,
        key=(counters[0], counters[1]),
        number=counters[2],
        column=materialize(column) if in_blocks else column,
        level=level,
        in_blocks=in_blocks,
        materialize=materialize,
    )


def _numbers(byte: int, base: int, source: _Source) -> list[jax.Array]:
    """The random numbers below a base in a byte, or its bits where the base is 2.

    Returns:
      uint8, or uint16 for bases above 256; rows one below the other: (N, some, W * C)s.
    """
    numbers = _bytes(byte, source)
    if base > 2:
        low = _bytes(byte + 1, source) if random_bytes(base) == 2 else None
        numbers = _scaled(numbers, low, base)
    for block, here in source.in_blocks.items():
        numbers = [_same_in_blocks(jnp.concatenate(numbers, 1), block, here)]
    return numbers


def _bytes(byte: int, source: _Source) -> list[jax.Array]:
    """One random byte, or half of one, for each place: uint8 (N, some rows, W * C)s.

    A call of Threefry makes the bytes of eight rows, or the halves of sixteen.
    """
    stages, tile = source.stages, source.tile
    binary = [s for s in stages if s.byte == byte and s.digit.base == 2]
    size = 4 if binary and max(s.bit for s in binary) < 4 else 8
    calls = -(-tile * size // _BITS_PER_CALL)
    total = max(s.byte + random_bytes(s.digit.base) for s in stages)
    first = (source.number * np.uint32(total) + np.uint32(byte)) * np.uint32(calls)
    call = first + np.arange(calls, dtype=np.uint32)[:, None] + np.uint32(_DOMAIN)
    words = threefry2x32(source.key, (call, source.column))
    mask = source.materialize(_mask(byte, size, source))
    word_rows = jnp.concatenate([word & mask for word in words], 1)
    count = word_rows.shape[1]
    return [
        (word_rows >> np.uint32(size * i)).astype(jnp.uint8)[:, : tile - count * i]
        for i in range(-(-tile // count))
    ]


def _mask(byte: int, size: int, source: _Source) -> jax.Array:
    """uint32 (N, 1, W * C): the bits that the stages of each tile's level read."""
    width = source.level.shape[2]
    mask = jnp.zeros(source.level.shape, jnp.uint32)
    for number in sorted({n for s in source.stages for n in s.levels}):
        read = np.zeros(width, np.uint8)
        for stage in source.stages:
            last = stage.byte + random_bytes(stage.digit.base)
            if number not in stage.levels or not stage.byte <= byte < last:
                continue
            if stage.digit.base > 2:
                read |= np.uint8(255)
            else:
                here = stage.digit.down | (digits(stage, width) == 0)
                read |= here.astype(np.uint8) << stage.bit
        pattern = np.uint32(sum(1 << i for i in range(0, 32, size)))
        mask = jnp.where(source.level == number, read * pattern, mask)
    return mask


def digits(stage: Stage, length: int) -> np.ndarray:
    """What the digit of a stage is, row by row or place by place along one."""
    return np.arange(length) // stage.digit.stride % stage.digit.base


def _scaled(
    rows: Sequence[jax.Array], low: Sequence[jax.Array] | None, base: int
) -> list[jax.Array]:
    """Random bytes, or high and low bytes of random numbers, scaled below a base."""
    dtype = jnp.uint8 if base <= 256 else jnp.uint16
    scaled = []
    for i, part in enumerate(rows):
        number, bits = part.astype(jnp.uint32), 8
        if low is not None:
            number, bits = number << np.uint32(8) | low[i], 16
        scaled.append((number * np.uint32(base) >> np.uint32(bits)).astype(dtype))
    return scaled


def _same_in_blocks(rows: jax.Array, block: int, here: jax.Array) -> jax.Array:
    """Gives all rows of a block the bits of its first row."""
    count, tile, width = rows.shape
    grid = rows.reshape(count, tile // block, block, width)
    lines = [jnp.where(here, grid[:, :, 0], grid[:, :, i]) for i in range(block)]
    return jnp.stack(lines, 2).reshape(count, tile, width)


def _across(
    numbers: list[jax.Array], readers: list[Stage], zeros: jax.Array
) -> dict[int, jax.Array]:
    """Rows end to end, between zeros, by slot: only the numbers at its places."""
    slots = {s.slot: s for s in readers}
    if len(slots) > 1:
        numbers = [jnp.concatenate(numbers, 1)]
    lines = {}
    for slot, stage in slots.items():
        of_slot = numbers
        if stage.digit.base > 2:
            here = digits(stage, zeros.shape[2]) == slot
            of_slot = [part * here.astype(np.uint8) for part in numbers]
        line = jnp.concatenate([zeros, *of_slot, zeros], 1)
        lines[slot] = line.reshape(line.shape[0], -1)
    return lines


def _spread(rows: jax.Array, stage: Stage, materialize: Materialize) -> jax.Array:
    """Gives whole groups what is drawn at the places of the stage's slot."""
    axis, stride = 1 if stage.digit.down else 2, stage.digit.stride
    digit = digits(stage, rows.shape[axis])
    digit = digit[:, None] if stage.digit.down else digit
    nothing = np.zeros((), rows.dtype)
    known = jnp.where(digit == stage.slot, rows, nothing)
    far = 1
    while far < stage.digit.base:
        up = jnp.roll(known, far * stride, axis)
        down = jnp.roll(known, -far * stride, axis)
        up = jnp.where(digit >= far, up, nothing)
        down = jnp.where(digit < stage.digit.base - far, down, nothing)
        known = materialize(known | up | down)
        far *= 2
    return known

"""The random bits that stages ask for, place by place."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vmixjax._shuffle.cipher import BLOCK_WORDS, KEY_WORDS, unrolled
from vmixjax._shuffle.layout import Materialize, TileRows
from vmixjax._shuffle.prng import Purpose
from vmixjax._shuffle.stages import Stage, by_rolls, random_bytes
from vmixjax.config import MixConfig

WORD_BYTES = 4
"""Rows of a column that a word holds."""

DIGIT_BITS = 3
"""What holds a digit of a base that is not turned by rolls, or how far it turns."""


class Bits(NamedTuple):
    """Bytes of which each stage tests some bits; see `Stage`.

    A bit is set only where the level of the tile takes part in the stage, and is the
    same for all pixels of a block.

    Attributes:
      down: for stages down, by byte: uint8 (N, T, W * C).
      across: for stages across, by byte: uint8, rows of (N, T, W * C) end to end, with
        rows of zeros before and after. For binary digits set only where the digit is
        zero; for others, all places of a group hold numbers, of which each stage reads
        those of its slot, and above these `DIGIT_BITS` their digits.
      rolls: for stages by rolls, by byte and slot: uint8 (N, T, W * C), the same for
        the whole of a group.
    """

    down: dict[int, jax.Array]
    across: dict[int, jax.Array]
    rolls: dict[tuple[int, int], jax.Array]


class _Source(NamedTuple):
    """What bits are drawn from, and for whom.

    Attributes:
      stages: that ask for them.
      bytes: random ones of all places, by byte, each as rows one below the other:
        uint8 (N, some rows, W * C)s.
      level: uint8 (N, 1, W * C), the level of the tile.
      in_blocks: where tiles are shuffled in blocks of a size, by that size; single
        pixels left out.
      materialize: for what is read several times.
    """

    stages: tuple[Stage, ...]
    bytes: list[list[jax.Array]]
    level: jax.Array
    in_blocks: dict[int, jax.Array]
    materialize: Materialize


def draw(
    rows: TileRows,
    stages: tuple[Stage, ...],
    config: MixConfig,
    channels: int,
    *,
    zeros: jax.Array,
    materialize: Materialize,
) -> Bits:
    """All random bits of some rows of tiles, whose values are not looked at.

    Bits across lie between `zeros`, uint8 (N, some rows, W * C).
    """
    source = _source(rows, stages, config, channels, materialize)
    bits = Bits({}, {}, {})
    for byte in sorted({s.byte for s in stages}):
        readers = [s for s in stages if s.byte == byte]
        base = readers[0].digit.base
        numbers = _numbers(byte, base, source)
        if by_rolls(base):
            for stage in readers:
                slots = jnp.concatenate(numbers, 1)
                bits.rolls[byte, stage.slot] = _of_slot(slots, stage, materialize)
            continue
        if any(s.digit.down for s in readers):
            bits.down[byte] = jnp.concatenate(numbers, 1)
        across = [s for s in readers if not s.digit.down]
        if across:
            bits.across[byte] = _across(numbers, across[0], zeros)
    return bits


def tiles_per_block(stages: Sequence[Stage], config: MixConfig) -> int:
    """Tells how many tiles, side by side, one block of the cipher serves a column of.

    Such tiles cannot be drawn for apart. Where blocks are larger than a place, tiles
    share none: which column stands for a block is a matter of their levels.
    """
    if any(block > 1 for _, block in config.ladder):
        return 1
    words = total_bytes(stages) * words_of_a_byte(config.tile_size)
    return max(1, BLOCK_WORDS // words)


def total_bytes(stages: Sequence[Stage]) -> int:
    """How many random bytes each place has."""
    return max(s.byte + random_bytes(s.digit.base) for s in stages)


def words_of_a_byte(tile: int) -> int:
    """How many words one byte of a column of places takes."""
    return -(-tile // WORD_BYTES)


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
    return _Source(
        stages=stages,
        bytes=_random_bytes(rows, stages, config, channels, in_blocks, materialize),
        level=level,
        in_blocks=in_blocks,
        materialize=materialize,
    )


def _random_bytes(
    rows: TileRows,
    stages: tuple[Stage, ...],
    config: MixConfig,
    channels: int,
    in_blocks: dict[int, jax.Array],
    materialize: Materialize,
) -> list[list[jax.Array]]:
    """Bytes of all places, the same along each row of a block; see `_Source`.

    One block of the cipher serves the places of one column of one tile, or of the same
    column of as many tiles, side by side, as it has words for: byte after byte, each in
    words whose lowest bytes belong to the first rows, their next ones to the next.
    """
    tile, tiles = config.tile_size, rows.levels.shape[1] // rows.number.shape[1]
    total, each = total_bytes(stages), words_of_a_byte(tile)
    sharing = tiles_per_block(stages, config)
    own = 1 if config.shares_permutation else channels  # with bits of their own
    column = np.arange(-(-tiles // sharing) * tile * own, dtype=np.uint32)
    before = rows.first // np.uint32(sharing) * np.uint32(tile * own)
    words = _words(
        rows,
        _first_columns(column, own, rows, in_blocks, channels)
        + before[:, None, :, None],
        blocks=-(-total * each * sharing // BLOCK_WORDS),
    )

    def lines(byte: int) -> jax.Array:
        starts = [(i * total + byte) * each for i in range(sharing)]
        parts = [jnp.stack(words[i : i + each], 1) for i in starts]
        drawn = _in_turns(parts, tile * own)[..., : tiles * tile * own]
        if own < channels:
            drawn = materialize(jnp.repeat(drawn, channels, axis=3))
        return drawn.reshape(*drawn.shape[:2], -1)

    def rows_of(lines: jax.Array) -> list[jax.Array]:
        return [
            (lines >> np.uint32(8 * i)).astype(jnp.uint8)[:, : tile - first]
            for i, first in enumerate(range(0, tile, each))
        ]

    return [rows_of(lines(byte)) for byte in range(total)]


def _first_columns(
    column: np.ndarray,
    own: int,
    rows: TileRows,
    in_blocks: dict[int, jax.Array],
    channels: int,
) -> jax.Array:
    """For each column that of the first place of its block: (N, 1, k, columns)."""
    count, abreast = rows.number.shape
    column = column[None, None, None]
    first = jnp.asarray(column)
    for block, here in in_blocks.items():
        # All channels of a place have the level of its tile.
        of_own = here.reshape(count, 1, abreast, -1)[..., :: channels // own]
        in_place = column // own // block * block * own + column % own
        first = jnp.where(of_own, in_place, first)
    return first


def _words(rows: TileRows, column: jax.Array, *, blocks: int) -> list[jax.Array]:
    """Words of so many blocks of each column, uint32 (N, k, columns)s in order."""
    block = np.arange(blocks, dtype=np.uint32)[:, None, None]
    number = rows.number[:, None, :, None]
    counter = (column, jnp.asarray(block), number, jnp.asarray(Purpose.SHUFFLE.word))
    key = [rows.key[:, None, :, i, None] for i in range(KEY_WORDS)]
    words = unrolled(key, counter)
    return [word[:, i] for i in range(blocks) for word in words]


def _in_turns(parts: list[jax.Array], length: int) -> jax.Array:
    """Lines of words (N, some, k, columns), of which tiles take so many in turns."""
    if len(parts) == 1:
        return parts[0]
    # One axis at a time: under explicit sharding JAX follows only such reshapes.
    *outer, columns = parts[0].shape
    grid = [x.reshape(*outer, columns // length, length) for x in parts]
    return jnp.stack(grid, 4).reshape(*outer, -1)


def _numbers(byte: int, base: int, source: _Source) -> list[jax.Array]:
    """The random numbers below a base in a byte, or its bits where the base is 2.

    Returns:
      uint8, or uint16 for bases above 256; rows one below the other: (N, some, W * C)s.
    """
    mask = source.materialize(_mask(byte, source))
    numbers = [part & mask for part in source.bytes[byte]]
    if base > 2:
        low = None
        if random_bytes(base) == 2:
            low = [part & mask for part in source.bytes[byte + 1]]
        numbers = _scaled(numbers, low, base)
    for block, here in source.in_blocks.items():
        numbers = [_same_in_blocks(jnp.concatenate(numbers, 1), block, here)]
    return numbers


def _mask(byte: int, source: _Source) -> jax.Array:
    """uint8 (N, 1, W * C): the bits that the stages of each tile's level read."""
    width = source.level.shape[2]
    mask = jnp.zeros_like(source.level)
    for number in sorted({n for s in source.stages for n in s.levels}):
        read = np.zeros(width, np.uint8)
        for stage in source.stages:
            if number not in stage.levels or stage.byte != byte:
                continue
            if stage.digit.base > 2:
                read |= np.uint8(255)
            else:
                here = stage.digit.down | (digits(stage, width) == 0)
                read |= here.astype(np.uint8) << stage.bit
        mask = jnp.where(source.level == number, read, mask)
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


def _first_of_each(lines: jax.Array, block: int, channels: int) -> jax.Array:
    """Gives all places along a row (N, some, W * C) of a block what its first has."""
    place = np.arange(lines.shape[2]) // channels % block
    spread = lines
    for i in range(1, block):
        spread = jnp.where(place == i, jnp.roll(lines, i * channels, 2), spread)
    return spread


def _same_in_blocks(rows: jax.Array, block: int, here: jax.Array) -> jax.Array:
    """Gives all rows of a block the bits of its first row."""
    count, tile, width = rows.shape
    grid = rows.reshape(count, tile // block, block, width)
    lines = [jnp.where(here, grid[:, :, 0], grid[:, :, i]) for i in range(block)]
    return jnp.stack(lines, 2).reshape(count, tile, width)


def _across(numbers: list[jax.Array], reader: Stage, zeros: jax.Array) -> jax.Array:
    """Rows end to end, between zeros; see `Bits`."""
    if reader.digit.base > 2:
        high = (digits(reader, zeros.shape[2]) << DIGIT_BITS).astype(np.uint8)
        numbers = [part | high for part in numbers]
    line = jnp.concatenate([zeros, *numbers, zeros], 1)
    return line.reshape(line.shape[0], -1)


def _of_slot(rows: jax.Array, stage: Stage, materialize: Materialize) -> jax.Array:
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

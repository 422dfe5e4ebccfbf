"""The random bits that a network's stages ask for, place by place."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vmixjax._shuffle.cipher import threefry2x32
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


class _Place(NamedTuple):
    """Where bits are drawn: what the counters of Threefry are made of.

    Attributes:
      key: uint32 (N, 1, 1) twice, or (N, 1, width) for images side by side.
      strip: as key, which strip of its image.
      column: uint32, the block's place along the row; broadcasts to (N, 1, width).
      level: uint8 (N, 1, width), the level of the tile.
    """

    key: tuple[jax.Array, jax.Array]
    strip: jax.Array
    column: jax.Array
    level: jax.Array


def draw(
    strips: tuple[jax.Array, jax.Array, jax.Array],
    network: tuple[Stage, ...],
    config: MixConfig,
    channels: int,
    *,
    margin: int,
    apart: bool,
) -> Bits:
    """All random bits of some strips.

    Args:
      strips: key, number and levels of `Strips`.
      network: the stages to draw for.
      config: tile size, ladder and channel mode.
      channels: C.
      margin: rows of zeros before and after bits across.
      apart: as for `turn_strips`.
    """
    key, number, levels = strips
    settle = in_memory if apart else (lambda x: x)
    level = jnp.repeat(levels, config.tile_size * channels, axis=1)[:, None]
    in_blocks = {b: settle(here) for b, here in _in_blocks(level, config).items()}
    side_by_side, width = number.shape[1], level.shape[2]
    if side_by_side == 1:
        who = settle(jnp.concatenate([key[:, 0], number], 1))
        parts = [who[:, i, None, None] for i in range(3)]
    else:
        each = width // side_by_side
        parts = [key[..., 0], key[..., 1], number]
        parts = [settle(jnp.repeat(part, each, axis=1)[:, None]) for part in parts]
    column = _columns(width, side_by_side, in_blocks, config, channels, settle)
    place = _Place((parts[0], parts[1]), parts[2], column, level)
    zeros = zero_rows(key, margin, level.shape[2], jnp.uint8)
    bits = Bits({}, {}, {})
    for byte in sorted({s.byte for s in network}):
        readers = [s for s in network if s.byte == byte]
        rows = _rows_of_byte(byte, place, network, config.tile_size, settle)
        base = readers[0].digit.base
        if base > 2:
            low = None
            if random_bytes(base) == 2:
                low = _rows_of_byte(byte + 1, place, network, config.tile_size, settle)
            rows = _scaled(rows, low, base)
        for block, here in in_blocks.items():
            rows = [_same_in_blocks(jnp.concatenate(rows, 1), block, here)]
        if by_rolls(base):
            for stage in readers:
                bits.rolls[byte, stage.slot] = _spread(
                    jnp.concatenate(rows, 1), stage, settle
                )
            continue
        if readers[0].digit.down:
            bits.down[byte] = jnp.concatenate(rows, 1)
            continue
        slots = {s.slot: s for s in readers}
        if len(slots) > 1:
            rows = [jnp.concatenate(rows, 1)]
        for slot, stage in slots.items():
            mine = rows
            if base > 2:
                here = digits(stage, level.shape[2]) == slot
                mine = [part * here.astype(np.uint8) for part in rows]
            lines = jnp.concatenate([zeros, *mine, zeros], 1)
            bits.across[byte, slot] = lines.reshape(lines.shape[0], -1)
    return bits


def in_memory(x: jax.Array) -> jax.Array:
    """Integers x, computed once for all readers: on CPU, XLA joins parts in memory.

    The parts are or-ed with a zero that the compiler does not know, or it would see
    through the joining.
    """
    half = x.shape[-1] // 2
    zero = jax.lax.optimization_barrier(np.zeros((), x.dtype))
    return jnp.concatenate([x[..., :half] | zero, x[..., half:] | zero], -1)


def zero_rows(key: jax.Array, rows: int, width: int, dtype: jnp.dtype) -> jax.Array:
    """Zeros (N, rows, width) that the compiler does not know to be zeros.

    Known ones would make it pad, and test each value anew for being in the padding.
    They come from the key so that they are batched, and sharded, as it is.
    """
    zero = key[:, :1, :1] & jax.lax.optimization_barrier(np.uint32(0))
    return jnp.broadcast_to(zero.astype(dtype), (key.shape[0], rows, width))


def _in_blocks(level: jax.Array, config: MixConfig) -> dict[int, jax.Array]:
    """Block size -> where tiles are shuffled in such blocks; single pixels left out."""
    found: dict[int, jax.Array] = {}
    for number, (_, block) in enumerate(config.ladder, start=1):
        if block > 1:
            here = level == number
            found[block] = found[block] | here if block in found else here
    return found


def _columns(
    width: int,
    side_by_side: int,
    in_blocks: dict[int, jax.Array],
    config: MixConfig,
    channels: int,
    settle: Callable[[jax.Array], jax.Array],
) -> jax.Array:
    """Counter along the row: (x of the block's first pixel, channel) as one number."""
    along = np.arange(width, dtype=np.uint32) % np.uint32(width // side_by_side)
    pixel, channel = along // channels, along % channels
    own = channels
    if config.channels == "shared":
        own, channel = 1, np.zeros_like(channel)
    column = jnp.asarray(pixel * own + channel)
    for block, here in in_blocks.items():
        column = jnp.where(here, pixel // block * block * own + channel, column)
    return settle(column) if in_blocks else column


def _rows_of_byte(
    byte: int,
    place: _Place,
    network: tuple[Stage, ...],
    tile: int,
    settle: Callable[[jax.Array], jax.Array],
) -> list[jax.Array]:
    """One random byte, or half of one, for each place: uint8 (N, some rows, W * C)s.

    A call of Threefry makes the bytes of eight rows, or the halves of sixteen.
    """
    binary = [s for s in network if s.byte == byte and s.digit.base == 2]
    size = 4 if binary and max(s.bit for s in binary) < 4 else 8
    calls = -(-tile * size // _BITS_PER_CALL)
    total = max(s.byte + random_bytes(s.digit.base) for s in network)
    first = (place.strip * np.uint32(total) + np.uint32(byte)) * np.uint32(calls)
    call = first + np.arange(calls, dtype=np.uint32)[:, None] + np.uint32(_DOMAIN)
    words = threefry2x32(place.key, (call, place.column))
    mask = settle(_mask(byte, size, place.level, network))
    word_rows = jnp.concatenate([word & mask for word in words], 1)
    count = word_rows.shape[1]
    return [
        (word_rows >> np.uint32(size * i)).astype(jnp.uint8)[:, : tile - count * i]
        for i in range(-(-tile // count))
    ]


def _mask(
    byte: int, size: int, level: jax.Array, network: tuple[Stage, ...]
) -> jax.Array:
    """uint32 (N, 1, W * C): the bits that the stages of each tile's level read."""
    width = level.shape[2]
    mask = jnp.zeros(level.shape, jnp.uint32)
    for number in sorted({n for s in network for n in s.levels}):
        read = np.zeros(width, np.uint8)
        for stage in network:
            last = stage.byte + random_bytes(stage.digit.base)
            if number not in stage.levels or not stage.byte <= byte < last:
                continue
            if stage.digit.base > 2:
                read |= np.uint8(255)
            else:
                here = stage.digit.down | (digits(stage, width) == 0)
                read |= here.astype(np.uint8) << stage.bit
        pattern = np.uint32(sum(1 << i for i in range(0, 32, size)))
        mask = jnp.where(level == number, read * pattern, mask)
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


def _spread(
    rows: jax.Array, stage: Stage, settle: Callable[[jax.Array], jax.Array]
) -> jax.Array:
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
        known = settle(known | up | down)
        far *= 2
    return known

"""The random bits that a network's stages ask for, place by place."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vmixjax._network import Stage, random_bytes
from vmixjax._threefry import threefry2x32
from vmixjax.config import MixConfig

# Sets our Threefry counters apart from those of fold_in, split and bits, so that a
# key that was also used for something else gives unrelated bytes here.
_DOMAIN = 0x56 << 24
_ROWS_PER_CALL = 8


class Bits(NamedTuple):
    """Bytes of which each stage tests some bits.

    A bit is set only where the tile's level takes part in the stage, and the same
    for all pixels of a block.

    Attributes:
      down: by number of the byte; uint8 (N, T, W * C).
      across: by number of the byte and whether the stage reads the bits of upper
        blocks; only the bits of lower, or upper, blocks are set. uint8, rows end to
        end with rows of zeros before and after.
    """

    down: dict[int, jax.Array]
    across: dict[tuple[int, bool], jax.Array]


def draw(
    key: jax.Array,
    number: jax.Array,
    levels: jax.Array,
    network: tuple[Stage, ...],
    config: MixConfig,
    channels: int,
    margin: int,
    apart: bool,
) -> Bits:
    """All random bits of some strips.

    Args:
      key: uint32 (N, 2), words of the key of each strip's image.
      number: uint32 (N,), which strip of its image each is.
      levels: uint8 (N, W // T).
      network: the stages to draw for.
      config: tile size, ladder and channel mode.
      channels: C.
      margin: rows of zeros before and after, where reading goes beyond a strip.
      apart: as for `turn_strips`.
    """
    settle = in_memory if apart else (lambda x: x)
    tile = config.tile_size
    level = jnp.repeat(levels, tile * channels, axis=1)[:, None]
    who = settle(jnp.concatenate([key, number[:, None]], 1))
    column = _columns(level, config, channels, settle)
    in_block = _by_block(level, config)
    bits = Bits({}, {})
    zeros = margin_of(key, np.zeros((1, 1, level.shape[2]), np.uint8), margin)
    count = max(s.byte + random_bytes(s.digit.base) for s in network)

    def parts(byte: int) -> list[jax.Array]:
        mask = settle(_mask(level, byte, network))
        return _byte_rows(who, column, mask, byte, count, tile)

    for byte in sorted({s.byte for s in network}):
        readers = [s for s in network if s.byte == byte]
        rows = parts(byte)
        base = readers[0].digit.base
        if base > 2:
            more = parts(byte + 1) if random_bytes(base) == 2 else None
            rows = _scaled(rows, more, base)
        for block, here in in_block.items():
            rows = [_same_in_blocks(jnp.concatenate(rows, 1), block, here)]
        if readers[0].digit.down:
            bits.down[byte] = jnp.concatenate(rows, 1)
            continue
        sides = {s.upper for s in readers}
        for upper in sides:
            side = rows
            if len(sides) == 2:
                kept = _lower_bits(readers, level.shape[2])
                kept = ~kept if upper else kept
                side = [part & kept for part in rows]
            lines = jnp.concatenate([zeros, *side, zeros], 1)
            bits.across[byte, upper] = lines.reshape(lines.shape[0], -1)
    return bits


def in_memory(x: jax.Array) -> jax.Array:
    """x, computed once for all its readers: XLA on CPU joins parts in memory.

    The parts are or-ed with a zero that the compiler cannot know, or it would see
    through the joining.
    """
    half = x.shape[-1] // 2
    zero = jax.lax.optimization_barrier(np.zeros((), x.dtype))
    return jnp.concatenate([x[..., :half] | zero, x[..., half:] | zero], -1)


def margin_of(key: jax.Array, like: jax.Array | np.ndarray, rows: int) -> jax.Array:
    """Rows of zeros, (N, rows, width), made from the key: batched as it is."""
    zero = key[:, :1, None] & jax.lax.optimization_barrier(np.uint32(0))
    return jnp.broadcast_to(
        zero.astype(like.dtype), (key.shape[0], rows, like.shape[2])
    )


def _columns(level, config, channels, settle):
    """Counters along the row: of the first pixel of the block, and the channel."""
    place = np.arange(level.shape[2], dtype=np.uint32)
    pixel, channel = place // channels, place % channels
    if config.channels == "shared":
        own, channel = 1, np.zeros_like(channel)
    else:
        own = channels
    column = jnp.asarray(pixel * own + channel)
    for block, here in _by_block(level, config).items():
        column = jnp.where(here, pixel // block * block * own + channel, column)
    return settle(column) if column.ndim == 3 else column


def _by_block(level, config):
    """Block size -> where tiles are shuffled in such blocks; single pixels left out."""
    found = {}
    for number, (_, block) in enumerate(config.ladder, start=1):
        if block > 1:
            here = level == number
            found[block] = found[block] | here if block in found else here
    return found


def _mask(level, byte, network):
    """uint32 (N, 1, W * C): the bits that stages of each tile's level may read."""
    width = level.shape[2]
    mask = jnp.zeros(level.shape, jnp.uint32)
    for number in sorted({n for s in network for n in s.levels}):
        own = np.zeros(width, np.uint8)
        for stage in network:
            if number not in stage.levels:
                continue
            if stage.digit.base == 2:
                if stage.byte == byte:
                    first = _first_in_digit(stage, width)
                    chosen = ~first if stage.upper else first
                    chosen = chosen | stage.digit.down
                    own |= chosen.astype(np.uint8) << stage.bit
            elif stage.byte <= byte < stage.byte + random_bytes(stage.digit.base):
                own |= np.where(_first_in_digit(stage, width), 255, 0).astype(np.uint8)
        mask = jnp.where(level == number, own * np.uint32(0x01010101), mask)
    return mask


def _first_in_digit(stage, width):
    """Where along a row a stage's digit is 0; everywhere if it counts rows."""
    if stage.digit.down:
        return np.ones(width, bool)
    return np.arange(width) // stage.digit.stride % stage.digit.base == 0


def _lower_bits(readers, width):
    """uint8 (width,): of each bit, whether the place is in the lower block of a pair."""
    kept = np.zeros(width, np.uint8)
    for stage in readers:
        kept |= _first_in_digit(stage, width).astype(np.uint8) << stage.bit
    return kept


def _byte_rows(who, column, mask, byte, count, tile):
    """Rows of one random byte for each place, in parts: uint8 (N, some rows, W * C)."""
    calls = -(-tile // _ROWS_PER_CALL)
    strip = (who[:, 2] * np.uint32(count) + np.uint32(byte)) * np.uint32(calls)
    row = strip[:, None] + np.arange(calls, dtype=np.uint32) + np.uint32(_DOMAIN)
    words = threefry2x32(
        (who[:, 0, None, None], who[:, 1, None, None]), (row[:, :, None], column)
    )
    words = jnp.concatenate([word & mask for word in words], 1)
    rows = words.shape[1]
    return [
        (words >> np.uint32(8 * i)).astype(jnp.uint8)[:, : tile - rows * i]
        for i in range(-(-tile // rows))
    ]


def _scaled(rows, more, base):
    """Random bytes, or pairs of them, to numbers below a base."""
    scaled = []
    for i, part in enumerate(rows):
        number, bits = part.astype(jnp.uint32), 8
        if more is not None:
            number, bits = number << np.uint32(8) | more[i], 16
        scaled.append((number * np.uint32(base) >> np.uint32(bits)).astype(jnp.uint8))
    return scaled


def _same_in_blocks(rows, block, here):
    """Gives all rows of a block the bits of its first row."""
    count, tile, width = rows.shape
    grid = rows.reshape(count, tile // block, block, width)
    first = grid[:, :, 0]
    lines = [jnp.where(here, first, grid[:, :, i]) for i in range(block)]
    return jnp.stack(lines, 2).reshape(count, tile, width)

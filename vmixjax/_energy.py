"""Gradient energies in exact integers, before and after shuffling.

A plan must not depend on batch, device or compiler, and float sums do: their last
bits follow the order of summation. So images are quantised, and everything that a
plan is decided by is summed and compared as 64-bit integers. 8-bit images lose
nothing by that up to a tile of 1024; 16-bit and floating ones keep as many bits as
their tiles leave room for, 16 up to a tile of 64.

All functions here are called inside `jax.enable_x64(True)`, which widens their own
arithmetic and leaves the caller's settings alone.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple, ParamSpec, TypeAlias, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from vmixjax._sums import BlockSums, Intensity, image_sums, sums_of_pixels
from vmixjax.config import MixConfig

_Args = ParamSpec("_Args")
_Result = TypeVar("_Result")

Array: TypeAlias = Any
"""A `jax.Array`, or a `numpy.ndarray` where it was computed already."""

_SUM_BITS = 62
_MOST_BITS = 16
_LEAST_BITS = 4
_MOST_FRACTION = 12


def in_64_bits(function: Callable[_Args, _Result]) -> Callable[_Args, _Result]:
    """Lets a function use int64, whatever the caller's JAX settings are."""

    @functools.wraps(function)
    def wrapped(*args: _Args.args, **kwargs: _Args.kwargs) -> _Result:
        with jax.enable_x64(True):
            return function(*args, **kwargs)

    return wrapped


def rounded_by_itself(product: Array) -> Array:
    """The same float32, rounded by itself, whatever it is added to.

    Some compilers round a product and a sum at once, others one after the other; but
    none where the product is compared in between.
    """
    if not isinstance(product, jax.Array):
        return product
    return jnp.maximum(product, -jnp.finfo(jnp.float32).max)


class Energies(NamedTuple):
    """Energies of all tiles of an image, summed over channels, as integers.

    Attributes:
      levels: int64 (1 + len(ladder), H // T, W // T); entry 0 is the energy as the
        image is, entry k its expectation after shuffling at level k.
      inside: int64 (H // T, W // T), the energy as it is, less the tile's border.
      unit: float32 scalar, a power of two; in units of scale * unit^2 of squared
        intensity are all of them.
      scale: see `unit`.
    """

    levels: Array
    inside: Array
    unit: Array
    scale: float

    def to_vfe(self, energy: Array, count: int) -> Array:
        """Energies as float32 VFE, each divided by a static count.

        All is exact but for roundings that no compiler can move (products with
        powers of two may be fused into a sum without changing it), so the same
        integer is the same float everywhere, and order is kept.
        """
        limb = 2**24 - 1
        low = (energy & limb).astype(np.float32)
        middle = (energy >> 24 & limb).astype(np.float32)
        high = (energy >> 48).astype(np.float32)
        whole = high * np.float32(2**48) + (middle * np.float32(2**24) + low)
        return rounded_by_itself(
            whole * np.float32(self.scale / count) * self.unit * self.unit
        )


class Precision(NamedTuple):
    """With how many bits energies of an image are computed.

    Attributes:
      bits: Of a value.
      fraction: Of an energy, beyond whole squares of values.
    """

    bits: int
    fraction: int


def precision(
    shape: tuple[int, ...], dtype: np.dtype[Any], config: MixConfig
) -> Precision:
    """Tells how precise energies of an image (H, W, C) can be.

    Raises:
      ValueError: Its tiles are too large.
    """
    room = _room(shape, config.tile_size)
    bits = min(int(room / 2), 8 if dtype == jnp.uint8 else 16)
    if bits < _LEAST_BITS:
        raise ValueError(
            f"tile_size of {config.tile_size} is too large to plan for an image of "
            f"shape {shape}; choose one of up to 2048"
        )
    return Precision(bits, min(int(room) - 2 * bits, _MOST_FRACTION))


def tile_energies(
    image: jax.Array, config: MixConfig, precision: Precision
) -> Energies:
    """The energies of an image (H, W, C) under every level of a ladder.

    The image may consist of tiles of several, where all have the same precision.
    """
    bits, fraction = precision
    quantise, unit, exponent = _quantiser(image, bits)
    sums = image_sums(image, quantise, config, bits)
    levels = [sums.inside + sums.border << fraction]
    pixels = sums_of_pixels(sums.pixels, config, bits)
    for region, block in config.ladder:
        shuffled = functools.partial(
            _shuffled,
            region=region,
            block=block,
            config=config,
            channels=image.shape[2],
            fraction=fraction,
        )
        # The vertical direction is the horizontal one of the transposed image.
        if block == 1:
            across = pixels[region]
            down = BlockSums(*(x.swapaxes(0, -2) for x in across))
            inside, beyond = shuffled(across)
            levels.append(2 * inside + beyond + shuffled(down)[1].T)
        else:
            across, down = sums.blocks[region, block]
            (inside, beyond), turned = shuffled(across), shuffled(down)
            levels.append(inside + beyond + (turned[0] + turned[1]).T)
    return Energies(
        levels=jnp.stack(levels),
        inside=sums.inside,
        unit=_power_of_two(exponent),
        scale=unit**2 / 2**fraction,
    )


def _room(shape: tuple[int, ...], tile: int) -> float:
    """Bits that a squared value may have: no sum of pairs or tiles overflows then.

    The sum over all pairs of blocks of a region is below 4 * area^2 * channels^2
    squared values, the energy of an image below 8 for each of its values.
    """
    pairs = 2 + 2 * math.log2(tile**2 * shape[2])
    image = 3 + math.log2(math.prod(shape))
    return _SUM_BITS - max(pairs, image)


def _quantiser(image: jax.Array, bits: int) -> tuple[Intensity, float, jax.Array]:
    """What makes values int32 of so many bits, and their unit: unit * 2^exponent."""
    nought = jnp.int32(0)
    if jnp.issubdtype(image.dtype, jnp.unsignedinteger):
        depth = 8 * image.dtype.itemsize
        shift = max(depth - bits, 0)

        def rounded(values: jax.Array) -> jax.Array:
            return values.astype(jnp.int32) + ((1 << shift) >> 1) >> shift

        return rounded, 2**shift / (2**depth - 1), nought

    def finite(values: jax.Array) -> jax.Array:
        values = values.astype(jnp.float32)
        return jnp.where(jnp.isfinite(values), values, jnp.float32(0))

    _, exponent = jnp.frexp(jnp.max(jnp.abs(finite(image))))
    exponent = jnp.clip(exponent.astype(jnp.int32), -100, 127)

    def scaled(values: jax.Array) -> jax.Array:
        # Two exact products: 2^-exponent alone could be beyond float32.
        values = (
            finite(values) * _power_of_two(-exponent) * jnp.float32(2 ** (bits - 1))
        )
        return jnp.round(values).astype(jnp.int32)

    return scaled, 2.0 ** (1 - bits), exponent


def _power_of_two(exponent: jax.Array) -> jax.Array:
    """Exactly 2^exponent, which float power functions do not promise."""
    biased = jnp.clip(exponent + 127, 1, 254).astype(jnp.uint32)
    return jax.lax.bitcast_convert_type(biased << np.uint32(23), jnp.float32)


def _shuffled(
    sums: BlockSums,
    *,
    region: int,
    block: int,
    config: MixConfig,
    channels: int,
    fraction: int,
) -> tuple[jax.Array, jax.Array]:
    """Expected energy across (left to right) of each tile, int64, with fraction.

    What is inside of regions, and what is beyond. Of the N blocks that trade places, R
    and L are the last and first columns:

        inside blocks     unchanged
        inside a region   (n-1) / (n (N-1)) * sum over p != q of |R_p - L_q|^2
        between regions   1 / (n N) * sum over all p, q of |R_p - L_q|^2
        tile's edge       1 / n * sum of |R_p|^2 of its last regions

    where N = n^2 for each channel, or n^2 C where blocks cross the C channels.
    """
    n = region // block
    per_tile = config.tile_size // region
    count = n * n * (channels if config.crosses_channels else 1)
    # The regions of a tile get an axis of their own: (..., tiles, per_tile, channels).
    grids = [x.reshape(*x.shape[:-2], -1, per_tile, x.shape[-1]) for x in sums]
    sums = BlockSums(*(x.astype(jnp.int64) for x in grids))

    def tiles(x: jax.Array) -> jax.Array:
        rows = x.shape[0] // per_tile
        return x.reshape(rows, per_tile, *x.shape[1:]).sum((1, 3, 4))

    right, left = sums.right_total, sums.left_total
    pairs = count * (sums.left + sums.right) - sums.paired
    pairs -= 2 * jnp.sum(right * left, axis=1)
    inside = sums.within << fraction
    inside += _times(pairs << fraction, n - 1, n * (count - 1))
    between = count * (sums.right[:, :, :-1] + sums.left[:, :, 1:])
    between -= 2 * jnp.sum(right[..., :-1, :] * left[..., 1:, :], axis=1)
    beyond, _ = _divided(tiles(between << fraction), n * count)
    beyond += _divided(tiles(sums.right[:, :, -1:] << fraction), n)[0]
    return tiles(inside), beyond


def _times(value: jax.Array, numerator: int, denominator: int) -> jax.Array:
    """Rounded down value * numerator / denominator, where the product might not fit."""
    common = math.gcd(numerator, denominator)
    numerator, denominator = numerator // common, denominator // common
    whole, rest = _divided(value, denominator)
    if numerator == 1:
        return whole
    return whole * numerator + _divided(rest * numerator, denominator)[0]


def _divided(value: jax.Array, divisor: int) -> tuple[jax.Array, jax.Array]:
    """Quotient and remainder of int64 of at least 0.

    In digits that 32 bits have room for: accelerators have no 64-bit division, and what
    their compilers make of one is hundreds of kernels, which take a minute to compile.
    """
    zeros = (divisor & -divisor).bit_length() - 1
    dividend, odd = value >> zeros, divisor >> zeros
    if odd == 1:
        return dividend, value & (divisor - 1)
    bits = 32 - odd.bit_length()
    quotient, rest = jnp.zeros_like(value), jnp.zeros(value.shape, jnp.uint32)
    for shift in reversed(range(0, 63 - zeros, bits)):
        digit = dividend >> shift & (1 << bits) - 1
        part = rest << np.uint32(bits) | digit.astype(jnp.uint32)
        digit = part // np.uint32(odd)
        rest = part - digit * np.uint32(odd)
        quotient = quotient << bits | digit.astype(jnp.int64)
    return quotient, value - quotient * divisor

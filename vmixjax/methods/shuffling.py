"""Other ways to shuffle: everywhere, finer where variance is high, by the paper's rule.

The last two are plans, for `vmixjax.mix`.

>>> import numpy as np
>>> image = np.zeros((16, 16, 3), np.uint8)
>>> image[8:] = np.random.default_rng(0).integers(0, 256, (8, 16, 3))
>>> plan = csvar_plan(image)
>>> plan.config.ladder
((4, 2), (4, 1))
>>> plan.levels.tolist()
[[1, 1, 1, 1], [1, 1, 1, 1], [2, 2, 2, 2], [2, 2, 2, 2]]
"""

import functools
import math

import jax
import jax.numpy as jnp

from vmixjax import _validate
from vmixjax._energy import in_64_bits
from vmixjax._grid import cut
from vmixjax.config import MixConfig
from vmixjax.entropy import expected_vfe_map, vfe
from vmixjax.methods import _checks
from vmixjax.methods._blocks import from_blocks, to_blocks
from vmixjax.planning import Plan

PUBLISHED_GRID = 14
"""Regions along a side in the published code, and pixels of its tiles for VFE."""


def permute_blocks(
    key: jax.Array, image: jax.typing.ArrayLike, *, block: int = 1
) -> jax.Array:
    """Blocks trade places all over the image, whole, with their colours.

    With single pixels only the histogram of colours is left: the end of the scale of
    what shuffling can hide, and of what it leaves to learn from.

    Args:
      key: one typed Threefry key, of its own for each image.
      image: (H, W, C) uint8, H and W multiples of `block`.
      block: the strength, lower is stronger: side of a block in pixels.

    Returns:
      uint8 (H, W, C).

    Raises:
      TypeError: an image that is not uint8, a key that is not typed Threefry.
      ValueError: a batch instead of one image, sides that the block does not divide.

    Source: folklore.
    """
    _validate.key(key)
    return _permute_blocks(key, _checks.image(image, block), int(block))


def csvar_plan(image: jax.typing.ArrayLike, *, finest: int = 1) -> Plan:
    """CSVAR as a plan: the more a region varies, the smaller its blocks.

    Regions have a side of 2^ceil(log2(sqrt(max(H, W)))) pixels: 8 at 32, 16 at 224. A
    region is cut into 2 x 2, 4 x 4, ... blocks, down to a side of `finest`. Regions in
    order of their variance (the mean over channels) get these in equal shares, those
    that vary most the finest; regions that vary alike get the same, the coarser one.
    Channels are shuffled independently.

    Args:
      image: (H, W, C) uint8, H and W multiples of that side.
      finest: the strength, lower is stronger: side of the smallest blocks, in pixels;
        a power of 2 below the side of a region.

    Returns:
      The plan, for `vmixjax.mix` with a key for each image. Variances are compared as
      integers, so that it depends on nothing but the image.

    Raises:
      TypeError: an image that is not uint8.
      ValueError: a batch, sides that are not whole regions, an impossible `finest`.

    Source: Chen et al., "CSVAR: Enhancing Visual Privacy in Federated Learning via
    Adaptive Shuffling Against Overfitting" (arXiv 2506.01425) for the side of a
    region, the variance and what is shuffled. Public sources that we could read do
    not give the law from variance to number of blocks: equal shares are our reading.
    """
    image = _checks.image(image)
    side = csvar_region(image.shape)
    _validate.size("finest", finest)
    if finest >= side or finest & (finest - 1):
        raise ValueError(
            f"finest must be a power of 2 below {side}, the side of a region in images "
            f"of {image.shape[0]} x {image.shape[1]}; got {finest}"
        )
    sizes = [side >> k for k in range(1, side.bit_length()) if side >> k >= finest]
    config = MixConfig(side, tuple((side, block) for block in sizes))
    return _csvar_plan(image, config)


def csvar_region(image_shape: tuple[int, ...]) -> int:
    """Side of CSVAR's regions in images of a shape (H, W, C), in pixels.

    Raises:
      ValueError: a shape that is not made of whole regions of that side.
    """
    height, width, _ = image_shape
    side = 2 ** max(1, math.ceil(math.log2(max(height, width)) / 2))
    if height % side or width % side:
        raise ValueError(
            f"image of {height} x {width} is not made of whole regions of {side}, the "
            f"side that CSVAR gives such images: pad or crop it to "
            f"{-(-height // side) * side} x {-(-width // side) * side}"
        )
    return side


def published_plan(
    image: jax.typing.ArrayLike, sensitivity: jax.typing.ArrayLike
) -> Plan:
    """The rule of the paper's reference code, as a plan.

    The image is a grid of 14 x 14 regions, each of n x n blocks. With the image's VFE
    on tiles of 14 pixels, n is, for a sensitivity

        up to       .1   .5   .9    1
        VFE >= 1     8    8    8    8
        VFE >= .5    4    8    8    8
        below        2    4    8    8

    Ordinary photographs have a VFE well over 1, hence n = 8 everywhere: single pixels
    in an image of 112 pixels, blocks of 2 in one of 224.

    There, sensitivity is the product of channel and spatial attention of a network, by
    channel, averaged over a batch and scaled to 0 to 1; here it is given, and the same
    for all channels. There, one permutation serves a whole batch: use one key for all
    images to audit what was published.

    Args:
      image: (H, W, C) uint8, H = W a multiple of 112.
      sensitivity: (14, 14) numbers from 0 to 1; above 1 counts as 1.

    Returns:
      The plan, for `vmixjax.mix`; channels independent. A VFE within float32's last
      bits of 0.5 or 1 may fall on either side on another device.

    Raises:
      TypeError: an image that is not uint8.
      ValueError: a batch, another side, a sensitivity of another shape, NaN or below 0.

    Source: reference code of Li et al. (NDSS 2024). Its own permutation is uniform;
    ours is `vmixjax._shuffle.permute`.
    """
    image = _checks.image(image)
    published_region(image.shape)
    scores = _validate.sensitivity(sensitivity, (PUBLISHED_GRID, PUBLISHED_GRID))
    return _published_plan(image, scores)


def published_region(image_shape: tuple[int, ...]) -> int:
    """Side of the published rule's regions in images of a shape (H, W, C), in pixels.

    Raises:
      ValueError: a shape that it cannot cut.
    """
    height, width, _ = image_shape
    if height != width or height % (8 * PUBLISHED_GRID):
        raise ValueError(
            f"image is {height} x {width}, but the published rule cuts a square into "
            f"14 x 14 regions with up to 8 x 8 blocks each: resize it to 112 x 112 or "
            f"224 x 224, as the paper does"
        )
    return height // PUBLISHED_GRID


@functools.partial(jax.jit, static_argnums=2)
def _permute_blocks(key: jax.Array, image: jax.Array, block: int) -> jax.Array:
    moved = jax.random.permutation(key, to_blocks(image, block))
    return from_blocks(moved, image.shape)


@functools.partial(jax.jit, static_argnums=1)
def _csvar_plan(image: jax.Array, config: MixConfig) -> Plan:
    rank = _variance_ranks(image, config.tile_size)
    levels = 1 + rank * len(config.ladder) // rank.size
    return _with_levels(image, levels, config)


@in_64_bits
def _variance_ranks(image: jax.Array, side: int) -> jax.Array:
    """int32 (rows, columns): of each region, how many regions vary less."""
    values = cut(image.astype(jnp.int64), side)
    squares = jnp.square(values).sum((1, 3)) * side**2
    variances = (squares - jnp.square(values.sum((1, 3)))).sum(-1)
    return jnp.searchsorted(jnp.sort(variances, axis=None), variances).astype(jnp.int32)


@jax.jit
def _published_plan(image: jax.Array, scores: jax.Array) -> Plan:
    side = published_region(image.shape)
    config = MixConfig(side, tuple((side, side // n) for n in (2, 4, 8)))
    low = 1 + (scores > 0.1) + (scores > 0.5)
    middle = 2 + (scores > 0.1)
    measured = vfe(image, PUBLISHED_GRID)
    levels = jnp.where(measured >= 1, 3, jnp.where(measured >= 0.5, middle, low))
    return _with_levels(image, levels, config)


def _with_levels(image: jax.Array, levels: jax.Array, config: MixConfig) -> Plan:
    expected = jnp.take_along_axis(
        expected_vfe_map(image, config), levels[None].astype(jnp.int32), axis=0
    )
    return Plan(levels.astype(jnp.uint8), expected.mean(), jnp.bool_(True), config)

"""VisualMixer as its reference code has it: the published rule for block sizes."""

import jax
import jax.numpy as jnp

from vmixjax import _validate
from vmixjax.config import MixConfig
from vmixjax.entropy import vfe, vfe_map
from vmixjax.methods import _checks
from vmixjax.methods._plans import with_levels
from vmixjax.methods.method import Method, Protection, Strength
from vmixjax.mixing import mix
from vmixjax.planning import Plan

_GRID = 14
"""Regions along a side, and pixels of the tiles that VFE is taken on."""


def published_plan(
    image: jax.typing.ArrayLike, sensitivity: jax.typing.ArrayLike
) -> Plan:
    """Plans by the rule of the paper's reference code.

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
      TypeError: An image that is not uint8.
      ValueError: A batch, another side, a sensitivity of another shape, NaN or below 0.

    References:
      Reference code of Li et al. (NDSS 2024, arXiv 2404.04098). Its own permutation is
      uniform; ours is `vmixjax._shuffle.permute`.
    """
    image = _checks.image(image)
    _region(image.shape)
    return _published_plan(image, _validate.sensitivity(sensitivity, (_GRID, _GRID)))


def _region(image_shape: tuple[int, ...]) -> int:
    """Side of the regions in images of a shape; refuses what the rule cannot cut."""
    height, width, _ = image_shape
    if height != width or height % (8 * _GRID):
        raise ValueError(
            f"image is {height} x {width}, but the published rule cuts a square into "
            f"14 x 14 regions with up to 8 x 8 blocks each: resize it to 112 x 112 or "
            f"224 x 224, as the paper does"
        )
    return height // _GRID


@jax.jit
def _published_plan(image: jax.Array, scores: jax.Array) -> Plan:
    side = _region(image.shape)
    config = MixConfig(side, tuple((side, side // n) for n in (2, 4, 8)))
    some, much = ((scores > least).astype(jnp.int32) for least in (0.1, 0.5))
    low, middle = 1 + some + much, 2 + some
    measured = vfe(image, _GRID)
    levels = jnp.where(measured >= 1, 3, jnp.where(measured >= 0.5, middle, low))
    return with_levels(image, levels, config)


def _build(shape: tuple[int, ...], strength: Strength | None) -> Protection:
    if strength is not None:
        raise ValueError(f"published_vmix has no strength to choose; got {strength}")
    region = _region(shape)

    def protect(key: jax.Array, image: jax.Array) -> jax.Array:
        # In place of attention: each region's VFE, scaled to 1 at the highest.
        features = vfe_map(image, region).mean(-1)
        highest = jnp.maximum(features.max(), jnp.finfo(jnp.float32).tiny)
        return mix(key, image, published_plan(image, features / highest))

    return Protection(protect, "one", None, region, region // 8, "independent")


METHOD = Method(
    name="published_vmix",
    title="VisualMixer's published rule",
    build=_build,
    remark="See vmixjax.methods.",
)

"""CSVAR: shuffling that is finer where variance is high.

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
from vmixjax.methods import _checks
from vmixjax.methods._plans import with_levels
from vmixjax.methods.method import Method, Protection, Strength, whole_number
from vmixjax.mixing import mix
from vmixjax.planning import Plan


def csvar_plan(image: jax.typing.ArrayLike, *, finest: int = 1) -> Plan:
    """Plans as CSVAR does: the more a region varies, the smaller its blocks.

    Regions have a side of 2^ceil(log2(sqrt(max(H, W)))) pixels: 8 at 32, 16 at 224. A
    region is cut into 2 x 2, 4 x 4, ... blocks, down to a side of `finest`. Regions in
    order of their variance (the mean over channels) get these in equal shares, those
    that vary most the finest; regions that vary alike get the same, the coarser one.
    Channels are shuffled independently.

    Args:
      image: (H, W, C) uint8, H and W multiples of that side.
      finest: The strength, lower is stronger: side of the smallest blocks, in pixels;
        a power of 2 below the side of a region.

    Returns:
      The plan, for `vmixjax.mix` with a key for each image. Variances are compared as
      integers, so that it depends on nothing but the image.

    Raises:
      TypeError: An image that is not uint8.
      ValueError: A batch, sides that are not whole regions, an impossible `finest`.

    References:
      Chen et al., "CSVAR: Enhancing Visual Privacy in Federated Learning via Adaptive
      Shuffling Against Overfitting" (arXiv 2506.01425) for the side of a region, the
      variance and what is shuffled. Public sources that we could read do not give the
      law from variance to number of blocks: equal shares are our reading.
    """
    image = _checks.image(image)
    side = _region(image.shape)
    _validate.size("finest", finest)
    if finest >= side or finest & (finest - 1):
        raise ValueError(
            f"finest must be a power of 2 below {side}, the side of a region in images "
            f"of {image.shape[0]} x {image.shape[1]}; got {finest}"
        )
    sizes = [side >> k for k in range(1, side.bit_length()) if side >> k >= finest]
    config = MixConfig(side, tuple((side, block) for block in sizes))
    return _csvar_plan(image, config)


def _region(image_shape: tuple[int, ...]) -> int:
    """Side of the regions in images of a shape; refuses what is not made of them."""
    height, width, _ = image_shape
    side = 2 ** max(1, math.ceil(math.log2(max(height, width)) / 2))
    if height % side or width % side:
        raise ValueError(
            f"image of {height} x {width} is not made of whole regions of {side}, the "
            f"side that CSVAR gives such images: pad or crop it to "
            f"{-(-height // side) * side} x {-(-width // side) * side}"
        )
    return side


@functools.partial(jax.jit, static_argnums=1)
def _csvar_plan(image: jax.Array, config: MixConfig) -> Plan:
    rank = _variance_ranks(image, config.tile_size)
    levels = 1 + rank * len(config.ladder) // rank.size
    return with_levels(image, levels, config)


@in_64_bits
def _variance_ranks(image: jax.Array, side: int) -> jax.Array:
    """int32 (rows, columns): of each region, how many regions vary less."""
    values = cut(image.astype(jnp.int64), side)
    squares = jnp.square(values).sum((1, 3)) * side**2
    variances = (squares - jnp.square(values.sum((1, 3)))).sum(-1)
    return jnp.searchsorted(jnp.sort(variances, axis=None), variances).astype(jnp.int32)


def _build(shape: tuple[int, ...], strength: Strength | None) -> Protection:
    finest = whole_number(strength, 1)

    def protect(key: jax.Array, image: jax.Array) -> jax.Array:
        return mix(key, image, csvar_plan(image, finest=finest))

    region = _region(shape)
    return Protection(protect, "each", finest, region, finest, "independent")


METHOD = Method(
    name="csvar",
    title="CSVAR",
    build=_build,
    unit="blocks down to {:g}",
    strengths=(8, 4, 2, 1),
    remark="See vmixjax.methods.",
)

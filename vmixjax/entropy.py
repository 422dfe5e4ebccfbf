"""Visual Feature Entropy: how little of an image's visual features is left.

With intensities x scaled to [0, 1], a tile of one channel has

    VFE = sum over its pixels of (x[i, j+1] - x[i, j])^2 + (x[i+1, j] - x[i, j])^2

where a neighbour beyond the tile's right or bottom edge counts as 0. The VFE of an
image is the mean over tiles and channels. Shuffling raises it; what it can be
expected to become needs no trial shuffle.

>>> import numpy as np
>>> image = np.zeros((4, 4, 1), np.uint8)
>>> image[1, 1] = 255
>>> float(vfe(image, 4))
4.0
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from vmixjax import _validate
from vmixjax._energy import in_64_bits, precision, tile_energies
from vmixjax._sums import tile_squares
from vmixjax.config import MixConfig


def vfe(image: jax.typing.ArrayLike, tile_size: int) -> jax.Array:
    """Measures the Visual Feature Entropy of an image, the mean of `vfe_map`.

    Args:
      image: (H, W, C) uint8 (scaled by 1/255), uint16 (by 1/65535) or floating (as
        it is).
      tile_size: Side of a tile in pixels; divides H and W.

    Returns:
      float32 scalar of at least 0. It grows with the area of a tile, so compare
      only values of one tile size.

    Raises:
      TypeError: Another dtype of image.
      ValueError: A batch instead of one image, sides that are not whole tiles.

    References:
      Li et al., NDSS 2024 (arXiv 2404.04098), "Visual Feature Entropy", as their
      published reference code computes it.
    """
    # Apart, or the compiler makes one sum of both, over short strided axes.
    return jnp.mean(jax.lax.optimization_barrier(vfe_map(image, tile_size)))


def vfe_map(image: jax.typing.ArrayLike, tile_size: int) -> jax.Array:
    """Measures the Visual Feature Entropy of each tile and channel.

    Args:
      image: (H, W, C) uint8, uint16 or floating, as for `vfe`.
      tile_size: Side T of a tile in pixels; divides H and W.

    Returns:
      float32 (H // T, W // T, C), each at least 0. Differentiable in a floating
      image.

    Raises:
      TypeError: Another dtype of image.
      ValueError: A batch instead of one image, sides that are not whole tiles.

    References:
      As `vfe`.
    """
    _validate.size("tile_size", tile_size)
    return _vfe_map(_validate.image(image, tile_size), int(tile_size))


def expected_vfe_map(image: jax.typing.ArrayLike, config: MixConfig) -> jax.Array:
    """Computes the VFE that each tile can be expected to have at each level.

    The result is exact for uniformly random permutations and needs no trial shuffle:
    the expected squared difference of two neighbours follows from sums over a
    region's blocks. It is computed in integers; for that, floating and 16-bit images
    are quantised to 16 bits of their own range (fewer for tiles above 64), and values
    that are not finite count as 0.

    Args:
      image: (H, W, C) uint8, uint16 or floating.
      config: Tile size T, ladder and channel mode.

    Returns:
      float32 (1 + len(ladder), H // T, W // T), the mean over channels. Entry 0 is
      the VFE as it is, entry k its expectation at level k.

    Raises:
      TypeError: Another dtype of image, a config that is no MixConfig.
      ValueError: A batch instead of one image, sides that are not whole tiles.

    References:
      Ours. The paper shuffles and measures again.

    >>> import numpy as np
    >>> image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    >>> expected_vfe_map(image, MixConfig(tile_size=8, ladder=((4, 1), (8, 1)))).shape
    (3, 2, 2)
    """
    _validate.config(config)
    return _expected_vfe_map(_validate.image(image, config.tile_size), config)


@functools.partial(jax.jit, static_argnums=1)
def _vfe_map(image: jax.Array, tile: int) -> jax.Array:
    import chex  # and with it test frameworks: not before it is used

    height, width, channels = image.shape
    result = tile_squares(image, tile, _intensity)
    chex.assert_shape(result, (height // tile, width // tile, channels))
    chex.assert_type(result, jnp.float32)
    return result


def _intensity(image: jax.Array) -> jax.Array:
    """Float32 intensities, in [0, 1] for integer images."""
    values = image.astype(jnp.float32)
    if jnp.issubdtype(image.dtype, jnp.unsignedinteger):
        values = values / np.float32(np.iinfo(image.dtype).max)
    return values


@functools.partial(jax.jit, static_argnums=1)
@in_64_bits
def _expected_vfe_map(image: jax.Array, config: MixConfig) -> jax.Array:
    import chex  # and with it test frameworks: not before it is used

    exact = precision(image.shape, image.dtype, config)
    energies = tile_energies(image, config, exact)
    result = energies.to_vfe(energies.levels, count=image.shape[2])
    chex.assert_type(result, jnp.float32)
    return result

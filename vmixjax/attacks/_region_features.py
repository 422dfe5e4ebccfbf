"""What a network that reconstructs images is told of their regions."""

import dataclasses

import jax
import jax.numpy as jnp

from vmixjax._grid import cut, enlarge, fold

MOST_VALUES = 64
"""Sorted blocks of a region that the network is told of, at most, evenly chosen."""


@dataclasses.dataclass(frozen=True)
class RegionFeatures:
    """How protected images become channels of a network, and what it only corrects.

    Attributes:
      region: side of the regions that no value leaves, in pixels; None where there are
        none.
      block: side of the blocks that stay whole, in pixels; divides the region.
      patch: side of the squares that become channels, in pixels; divides the region.
    """

    region: int | None
    block: int
    patch: int

    def inputs(self, protected: jax.Array) -> jax.Array:
        """Computes (B, H/patch, W/patch, features) of images (B, H, W, C), 0 to 1."""
        features = [fold(protected, self.patch) - 0.5]
        if self.region is not None:
            mean = self.base(protected)
            features.append(fold(protected - mean, self.patch))
            values = sorted_blocks(protected - mean, self.region, self.block)
            features.append(self._spread(values, protected.shape))
        return jnp.concatenate(features, -1)

    def base(self, protected: jax.Array) -> jax.Array:
        """Gives what the network only corrects: means of regions, or what was given."""
        if self.region is None:
            return protected
        return enlarge(cut(protected, self.region).mean((2, 4)), self.region)

    def _spread(self, values: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        """Tells each patch of a region the region's values, and which patch it is."""
        assert self.region is not None
        side = self.region // self.patch
        values = enlarge(values, side)
        if side == 1:
            return values
        rows, columns = shape[1] // self.patch, shape[2] // self.patch
        places = jax.nn.one_hot(jnp.indices((rows, columns)) % side, side)
        places = jnp.concatenate([*places], -1)
        places = jnp.broadcast_to(places, (shape[0], *places.shape))
        return jnp.concatenate([values, places], -1)


def sorted_blocks(images: jax.Array, region: int, block: int) -> jax.Array:
    """Sorts the blocks of each region by their means, channel apart: no key shows.

    With blocks of one pixel it holds the values of `vmixjax.canonical`.

    Args:
      images: (B, H, W, C) floating.
      region: side of the regions, divides H and W.
      block: side of the blocks, divides the region.

    Returns:
      (B, H / region, W / region, blocks * block^2 * C): ascending, at most
      `MOST_VALUES` of the blocks, evenly chosen.
    """
    channels = images.shape[-1]
    side = region // block
    squares = fold(fold(images, block), side)
    squares = squares.reshape(*squares.shape[:3], side**2, block**2, channels)
    order = jnp.argsort(squares.mean(-2, keepdims=True), axis=-3)
    squares = jnp.take_along_axis(squares, order, axis=-3)
    if side**2 > MOST_VALUES:
        chosen = jnp.round(jnp.linspace(0, side**2 - 1, MOST_VALUES)).astype(jnp.int32)
        squares = squares[..., chosen, :, :]
    return squares.reshape(*squares.shape[:3], -1)

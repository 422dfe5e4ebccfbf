"""Thumbnail: the mean colour of each region, which no shuffle inside regions hides.

>>> import jax
>>> from vmixjax.attacks.threat_model import ThreatModel
>>> knowledge = ThreatModel(lambda key, image: image, public=None, region=4)
>>> image = jax.numpy.full((1, 8, 8, 3), 7, jax.numpy.uint8).at[:, :, 4:].set(70)
>>> thumbnail(jax.random.key(0), image, knowledge)[0, 0, :, 0].tolist()
[0, 4, 12, 29, 48, 65, 73, 77]
"""

import functools

import chex
import jax
import jax.numpy as jnp

from vmixjax.attacks import _checks
from vmixjax.attacks._pieces import cut_regions
from vmixjax.attacks.threat_model import ThreatModel


def thumbnail(
    key: jax.Array, protected: jax.typing.ArrayLike, knowledge: ThreatModel
) -> jax.Array:
    """Means of regions, channel by channel, drawn as a smooth picture.

    It is what a person sees who steps back from the screen, and what no key can
    change. Where blocks move between channels as well (`"joint"`), a region's mean
    colour is no longer its own, and what is left is its mean grey.

    Args:
      key: of no use here; every attack has one.
      protected: uint8 (B, H, W, C).
      knowledge: `region` says over what to take means. None knows of no regions: then
        there is nothing to average over, and the images come back as they are.

    Returns:
      uint8 (B, H, W, C).

    Raises:
      TypeError: images that are not uint8.
      ValueError: no batch, or a region that does not divide its images.

    Source: ours; the paper does not consider it.
    """
    del key
    protected = _checks.images("protected", protected)
    region = _checks.region(knowledge, protected.shape)
    return protected if knowledge.region is None else _thumbnail(protected, region)


@functools.partial(jax.jit, static_argnums=1)
def _thumbnail(protected: jax.Array, region: tuple[int, int]) -> jax.Array:
    means = cut_regions(protected, region).astype(jnp.float32).mean((3, 4))
    smooth = jax.image.resize(means, protected.shape, "cubic")
    drawn = jnp.round(jnp.clip(smooth, 0, 255)).astype(jnp.uint8)
    chex.assert_equal_shape([drawn, protected])
    return drawn

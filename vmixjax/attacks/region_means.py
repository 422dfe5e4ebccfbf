"""Region means: the mean colour of each region, which no shuffle inside it hides.

>>> import jax
>>> from vmixjax.attacks.threat_model import ThreatModel
>>> threat_model = ThreatModel(lambda key, image: image, public=None, region=4)
>>> image = jax.numpy.full((1, 8, 8, 3), 7, jax.numpy.uint8).at[:, :, 4:].set(70)
>>> region_means(jax.random.key(0), image, threat_model)[0, 0, :, 0].tolist()
[0, 4, 12, 29, 48, 65, 73, 77]
"""

import functools

import jax
import jax.numpy as jnp

from vmixjax import _grid, _validate
from vmixjax.attacks import _checks
from vmixjax.attacks.attack import Attack
from vmixjax.attacks.threat_model import ThreatModel
from vmixjax.methods._checks import rounded


def region_means(
    key: jax.Array, protected: jax.typing.ArrayLike, threat_model: ThreatModel
) -> jax.Array:
    """Draws the means of regions, channel by channel, as a smooth picture.

    It is what a person sees who steps back from the screen, and what no key can
    change. Where blocks move between channels as well (`"joint"`), a region's mean
    colour is no longer its own, and what is left is its mean grey.

    Args:
      key: Of no use here; every attack has one.
      protected: Images, uint8 (B, H, W, C).
      threat_model: Its `region` is what means are taken over. None knows of no regions:
        then there is nothing to average over, and the images come back as they are.

    Returns:
      The reconstruction, uint8 (B, H, W, C).

    Raises:
      TypeError: Images that are not uint8.
      ValueError: No batch, or a region that does not divide its images.

    References:
      Ours; the paper does not consider it.
    """
    del key
    protected = _validate.images("protected", protected)
    region = _checks.region(threat_model, protected.shape)
    return protected if threat_model.region is None else _drawn(protected, region)


@functools.partial(jax.jit, static_argnums=1)
def _drawn(protected: jax.Array, region: tuple[int, int]) -> jax.Array:
    means = _grid.cut_regions(protected, region).astype(jnp.float32).mean((3, 4))
    smooth = jax.image.resize(means, protected.shape, "cubic")
    return rounded(smooth)


ATTACK = Attack(
    name="thumbnail",
    about="the mean colour of each region, enlarged",
    recover=lambda key, protected, threat_model, budget: region_means(
        key, protected, threat_model
    ),
    applies=lambda protection, side: (
        protection.region is not None and protection.region < side
    ),
)

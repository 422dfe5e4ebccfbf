"""Averaging: many mixes of the same images, which show more than one of them does.

A trainer who is handed a fresh mix in every epoch has them, and so has whoever gets a
release that was made twice.
"""

import functools

import jax
import jax.numpy as jnp

from vmixjax import _validate
from vmixjax._grid import cut_regions, join_regions
from vmixjax.attacks import _checks
from vmixjax.attacks.attack import Attack, Budget
from vmixjax.attacks.threat_model import ThreatModel
from vmixjax.methods._checks import rounded

TOGETHER = 64
"""Images that an audit averages at once: their floats must fit into memory."""


def averaging(
    key: jax.Array,
    protected: jax.typing.ArrayLike,
    threat_model: ThreatModel,
    *,
    repeats: jax.typing.ArrayLike,
) -> jax.Array:
    """Averages away what changes from mix to mix, and gives what stays.

    With regions, every pixel becomes its mean over the mixes, moved towards the mean
    of its region by as much as the mixes say that only chance tells the two apart:
    with s^2 the variance of a value over the mixes and v that of the means over a
    region's pixels, by a share of min(1, s^2 / (n v)) for n mixes (shrinkage, as
    James and Stein's). So full mixing gives region means from a few mixes; weaker
    levels, which move values less far than the threat model's region, give what they
    keep: smaller regions' means, or the mean block of each region.

    Without regions values stay where they are and are changed: every pixel is its
    mean, or its median where values were cut off at 0 or 255, since that pulls a mean
    away from the ends of the range but not a median.

    Args:
      key: Of no use here; every attack has one.
      protected: Images, uint8 (B, H, W, C).
      threat_model: Its `region` is used as above; None where values do not move.
      repeats: Other mixes of the same images, uint8 (M, B, H, W, C), each by keys of
        its own. `protected` is counted too, so n is M + 1.

    Returns:
      The reconstruction, uint8 (B, H, W, C).

    Raises:
      TypeError: Images that are not uint8.
      ValueError: Repeats of another shape, a region that does not divide its images.

    References:
      Ours; the paper does not consider it. Shrinkage: James and Stein, "Estimation
      with Quadratic Loss" (Berkeley Symposium, 1961).
    """
    del key
    protected = _validate.images("protected", protected)
    repeats = _checks.mixes("repeats", "other mixes", repeats, protected.shape)
    region = _checks.region(threat_model, protected.shape)
    if threat_model.region is None:
        return _still(protected, repeats)
    return _moving(protected, repeats, region)


@jax.jit
def _still(protected: jax.Array, repeats: jax.Array) -> jax.Array:
    values = jnp.concatenate([protected[None], repeats])
    cut_off = jnp.any((values == 0) | (values == 255), axis=0)
    median = jnp.median(values.astype(jnp.float32), axis=0)
    return rounded(jnp.where(cut_off, median, values.astype(jnp.float32).mean(0)))


@functools.partial(jax.jit, static_argnums=2)
def _moving(
    protected: jax.Array, repeats: jax.Array, region: tuple[int, int]
) -> jax.Array:
    values = jnp.concatenate([protected[None], repeats]).astype(jnp.float32)
    count = values.shape[0]
    means = cut_regions(values.mean(0), region)
    chance = cut_regions(values.var(0, ddof=1), region).mean((3, 4), keepdims=True)
    middle = means.mean((3, 4), keepdims=True)
    spread = means.var((3, 4), keepdims=True)
    share = jnp.minimum(chance / count, spread) / jnp.where(spread > 0, spread, 1)
    return rounded(join_regions(means + share * (middle - means)))


def _recover(
    key: jax.Array, protected: jax.Array, threat_model: ThreatModel, budget: Budget
) -> jax.Array:
    repeats = threat_model.repeats(budget["repeats"])
    parts = [slice(i, i + TOGETHER) for i in range(0, len(protected), TOGETHER)]
    return jnp.concatenate(
        [
            averaging(key, protected[part], threat_model, repeats=repeats[:, part])
            for part in parts
        ]
    )


ATTACK = Attack(
    name="average",
    about="the mean over many protections of the same image, as in a training that "
    "mixes anew in every epoch, or two releases",
    recover=_recover,
    applies=lambda protection, side: protection.keys == "each",
    budgets={
        "quick": {"repeats": 15},
        "hour": {"repeats": 31},
        "full": {"repeats": 63},
    },
)

"""Desired VFE -> plan: which level each tile of an image is shuffled at.

Nothing private is ever left in the clear: every private tile starts at level 1.
From there all climb the ladder together, those with more visual features first, so
that levels differ by at most one. The plan is the first step of that climb whose
expected VFE reaches the target. It is found without a trial shuffle, in exact
integers, so it is the same alone or in a batch, jitted or not, on any device.

>>> import numpy as np
>>> config = MixConfig(tile_size=8, ladder=((4, 1), (8, 1)))
>>> image = np.tile(np.arange(0, 256, 16, np.uint8)[:, None, None], (1, 16, 3))
>>> lowest, highest = vfe_range(image, config)
>>> halfway = plan(image, (lowest + highest) / 2, config)
>>> halfway.levels.tolist(), bool(halfway.reachable)
([[2, 2], [1, 1]], True)
"""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vmixjax import _validate
from vmixjax._energy import (
    Array,
    Energies,
    in_64_bits,
    precision,
    rounded_by_itself,
    tile_energies,
)
from vmixjax.config import MixConfig


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["levels", "expected_vfe", "reachable"],
    meta_fields=["config"],
)
@dataclasses.dataclass(frozen=True)
class Plan:
    """All that is needed, with a key, to mix one image or to unmix it.

    A pytree whose config is static, so plans of many images stack under `jax.vmap`.
    Levels reveal where an image has its features; store them with the key.

    Attributes:
      levels: uint8 (H // T, W // T). Level k >= 1 means `config.ladder[k - 1]`; 0,
        left as it is, is given only to tiles that the caller calls not private.
      expected_vfe: float32 scalar, the VFE that the mixed image can be expected to
        have; infinity in a `full_plan`, which was made without looking at an image.
      reachable: bool scalar, whether that is at least the target.
      config: MixConfig that says what the levels mean.
    """

    levels: jax.Array
    expected_vfe: jax.Array
    reachable: jax.Array
    config: MixConfig


def plan(
    image: jax.typing.ArrayLike,
    target_vfe: jax.typing.ArrayLike,
    config: MixConfig,
    *,
    sensitivity: jax.typing.ArrayLike | None = None,
) -> Plan:
    """Finds the weakest plan, in the order of the climb, expected to reach a VFE.

    Args:
      image: (H, W, C) uint8, uint16 or floating.
      target_vfe: Desired VFE, in the units of `vfe`; at least 0. Below the reachable
        range it gives level 1 everywhere; above it, or infinite, the strongest plan,
        with `reachable` False. A traced NaN does so, too.
      config: Tile size T, ladder and channel mode.
      sensitivity: (H // T, W // T) numbers of at least 0 that say which tiles climb
        first: a face mask, a saliency map. A tile of 0 is not private and stays as
        it is. By default the gradient energy inside each tile, and all are private.

    Returns:
      The plan. Equal for equal arguments, whatever the batch, device or compiler.

    Raises:
      TypeError: Another dtype of image, a config that is no MixConfig.
      ValueError: Sides that are not whole tiles, a target that is NaN or negative,
        a sensitivity of another shape, NaN or negative.

    References:
      Li et al., NDSS 2024 (arXiv 2404.04098), for "desired VFE". The climb is ours.
    """
    image, sensitivity = _checked(image, config, sensitivity)
    _validate.target_vfe(target_vfe)
    return _plan(image, jnp.asarray(target_vfe, jnp.float32), sensitivity, config)


def vfe_range(
    image: jax.typing.ArrayLike,
    config: MixConfig,
    *,
    sensitivity: jax.typing.ArrayLike | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Computes the lowest and the highest expected VFE that plans can reach.

    Args:
      image: (H, W, C) uint8, uint16 or floating.
      config: Tile size, ladder and channel mode.
      sensitivity: Map as for `plan`; tiles of 0 stay as they are at both ends.

    Returns:
      Two float32 scalars: with all private tiles at level 1, and at the strongest.

    Raises:
      TypeError, ValueError: Causes as `plan` has them.

    References:
      Ours.
    """
    image, sensitivity = _checked(image, config, sensitivity)
    return _range(image, sensitivity, config)


def target_vfe(
    image: jax.typing.ArrayLike,
    strength: jax.typing.ArrayLike,
    config: MixConfig,
    *,
    sensitivity: jax.typing.ArrayLike | None = None,
) -> jax.Array:
    """Places a strength in the range of VFE that an image can reach.

    That is lowest + strength * (highest - lowest), with the ends of `vfe_range`.

    Args:
      image: (H, W, C) uint8, uint16 or floating.
      strength: Place from 0 to 1. Every private tile is mixed at 0, too.
      config: Tile size, ladder and channel mode.
      sensitivity: Map as for `plan`.

    Returns:
      The target, float32; infinity at strength 1. The top of the range is reached
      before the last step where a stronger level adds no VFE to a tile, and the
      strongest plan shuffles those tiles as well. Equal for equal arguments, as plans
      are.

    Raises:
      TypeError, ValueError: Causes as `plan` has them.

    References:
      Ours.
    """
    lowest, highest = vfe_range(image, config, sensitivity=sensitivity)
    target = between(lowest, highest, jnp.float32(strength))
    return jnp.where(jnp.float32(strength) == 1, jnp.inf, target)


def plan_at(
    image: jax.typing.ArrayLike,
    strength: jax.typing.ArrayLike,
    config: MixConfig,
    *,
    sensitivity: jax.typing.ArrayLike | None = None,
) -> Plan:
    """Plans an image at a strength: a place in the range of VFE that it can reach.

    The same as `plan` with `target_vfe`, but for strength 1, which every image reaches:
    a plain number 1 gives the strongest plan without a look at the image.

    Arguments and errors are those of `target_vfe`; the plan's `expected_vfe` is
    infinity where it is a `full_plan`.
    """
    if isinstance(strength, int | float) and strength == 1:
        image, sensitivity = _checked(image, config, sensitivity)
        strongest = full_plan(image.shape, config)
        if sensitivity is None:
            return strongest
        levels = jnp.where(sensitivity > 0, strongest.levels, 0)
        return dataclasses.replace(strongest, levels=levels)
    target = target_vfe(image, strength, config, sensitivity=sensitivity)
    planned = plan(image, target, config, sensitivity=sensitivity)
    reachable = planned.reachable | (jnp.float32(strength) == 1)
    return dataclasses.replace(planned, reachable=reachable)


def full_plan(image_shape: tuple[int, ...], config: MixConfig) -> Plan:
    """Gives every tile the strongest level, without looking at an image.

    Args:
      image_shape: (H, W, C), H and W multiples of the tile size.
      config: Tile size, ladder and channel mode.

    Returns:
      A plan whose `expected_vfe` is infinity, the target that it is made for: there
      is no image to expect anything of.

    Raises:
      TypeError: Something else than a MixConfig as config.
      ValueError: A shape that is not (H, W, C), or not made of whole tiles.

    References:
      Ours.

    >>> full_plan((64, 32, 3), MixConfig()).levels.tolist()
    [[3], [3]]
    """
    _validate.config(config)
    _validate.image_shape(tuple(image_shape), config.tile_size)
    grid = (image_shape[0] // config.tile_size, image_shape[1] // config.tile_size)
    return Plan(
        levels=jnp.full(grid, len(config.ladder), jnp.uint8),
        expected_vfe=jnp.float32(jnp.inf),
        reachable=jnp.bool_(True),
        config=config,
    )


def _checked(
    image: jax.typing.ArrayLike,
    config: MixConfig,
    sensitivity: jax.typing.ArrayLike | None,
) -> tuple[jax.Array, jax.Array | None]:
    _validate.config(config)
    image = _validate.image(image, config.tile_size)
    if sensitivity is not None:
        grid = image.shape[0] // config.tile_size, image.shape[1] // config.tile_size
        sensitivity = _validate.sensitivity(sensitivity, grid)
    return image, sensitivity


def between(lowest: Array, highest: Array, strength: Array) -> Array:
    """Places a strength in a range; all are float32."""
    return lowest + rounded_by_itself(strength * (highest - lowest))


class Climb(NamedTuple):
    """All steps by which the tiles of an image can climb the ladder.

    Attributes:
      expected: float32 (1 + tiles * (len(ladder) - 1),), the VFE that is expected after
        no step, one step...
      order: (tiles,), flat tile indices in the order in which they climb.
      private: bool (H // T, W // T).
    """

    expected: Array
    order: Array
    private: Array

    def reach(self, target: Array) -> tuple[Array, Array, Array]:
        """Climbs until a VFE is expected; all the way where it never is.

        Returns:
          uint8 levels (H // T, W // T), the VFE expected of them, and whether that is
          the target at least.
        """
        np_or_jnp = self.expected.__array_namespace__()
        reached = self.expected >= target
        steps = np_or_jnp.arange(self.expected.size, dtype=np.int32)
        step = np_or_jnp.where(reached, steps, steps[-1]).min()
        rank = _argsort(self.order).reshape(self.private.shape)
        further = (rank < step % rank.size).astype(np.int32)
        levels = 1 + step // rank.size + further
        levels = np_or_jnp.where(self.private, levels, 0).astype(np.uint8)
        return levels, self.expected[step], reached.any()


def climb(energies: Energies, sensitivity: Array | None, channels: int) -> Climb:
    """Computes what to expect of each step, of an image of so many channels.

    In NumPy's integers where energies are those, in JAX's otherwise: alike.
    """
    np_or_jnp = energies.levels.__array_namespace__()
    features = energies.inside if sensitivity is None else sensitivity
    private = (
        np_or_jnp.ones(features.shape, bool) if sensitivity is None else features > 0
    )
    order = _argsort(-features.reshape(-1))

    # A tile that is not private climbs nothing, so its steps come last and add 0.
    gains = np_or_jnp.where(private, np_or_jnp.diff(energies.levels[1:], axis=0), 0)
    gains = gains.reshape(gains.shape[0], private.size)[:, order].reshape(-1)
    start = np_or_jnp.where(private, energies.levels[1], energies.levels[0]).sum()
    totals = np_or_jnp.cumsum(np_or_jnp.concatenate([start[None], gains]))
    return Climb(energies.to_vfe(totals, private.size * channels), order, private)


def _argsort(values: Array) -> Array:
    """The order of values, equal ones as they come, as int32: JAX's own is int64."""
    if isinstance(values, np.ndarray):
        return np.argsort(values, kind="stable").astype(np.int32)
    place = jnp.arange(values.size, dtype=jnp.int32)
    return jax.lax.sort((values, place), num_keys=1)[1]


@functools.partial(jax.jit, static_argnums=3)
@in_64_bits
def _plan(
    image: jax.Array,
    target: jax.Array,
    sensitivity: jax.Array | None,
    config: MixConfig,
) -> Plan:
    import chex  # and with it test frameworks: not before it is used

    levels, expected, reachable = _climb(image, sensitivity, config).reach(target)
    chex.assert_type([expected, reachable], [jnp.float32, jnp.bool_])
    return Plan(levels, expected, reachable, config)


@functools.partial(jax.jit, static_argnums=2)
@in_64_bits
def _range(
    image: jax.Array, sensitivity: jax.Array | None, config: MixConfig
) -> tuple[jax.Array, jax.Array]:
    expected = _climb(image, sensitivity, config).expected
    return expected[0], expected[-1]


def _climb(image: jax.Array, sensitivity: jax.Array | None, config: MixConfig) -> Climb:
    exact = precision(image.shape, image.dtype, config)
    energies = tile_energies(image, config, exact)
    return climb(energies, sensitivity, image.shape[2])

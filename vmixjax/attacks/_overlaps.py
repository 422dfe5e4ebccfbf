"""Images of one scene that overlap: put together by how they lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from vmixjax import _validate
from vmixjax.attacks import _checks
from vmixjax.attacks._scene import Placed, parts_of, seen_from, solve_scene
from vmixjax.attacks.region_means import region_means
from vmixjax.attacks.threat_model import ThreatModel
from vmixjax.config import CHANNEL_MODES
from vmixjax.methods._checks import rounded

if TYPE_CHECKING:
    from vmixjax.scenes import Scene

_LONGEST = 1024
"""Pixels of a scene's side, at most: what lies beyond is left to the means."""

_GRAIN = 64
"""Sides of scenes are made of so many pixels, so that few programs are compiled."""


def solve_overlaps(
    protected: jax.typing.ArrayLike,
    threat_model: ThreatModel,
    *,
    scenes: tuple[Scene, ...],
    rounds: int = 12,
) -> jax.Array:
    """Solves for scenes that several of the protected images show.

    Args:
      protected: Mixed images, uint8 (B, H, W, C).
      threat_model: As for `shifted_grids`.
      scenes: How images that show the same scene lie to each other, as
        `vmixjax.scenes.find_scenes` finds it; indices are those of the batch.
      rounds: As for `shifted_grids`.

    Returns:
      The reconstruction, uint8 (B, H, W, C): of images that are in no scene, the means
      of their regions.

    Raises:
      TypeError: Images that are not uint8.
      ValueError: No batch; no region, or one that does not divide the images.

    References:
      Ours; the paper does not consider it.
    """
    protected = _validate.images("protected", protected)
    region, joint = region_of(threat_model, protected.shape), is_joint(threat_model)
    images = np.array(region_means(jax.random.key(0), protected, threat_model))
    for scene in scenes:
        indices, placed = _placed(scene, np.asarray(protected), region)
        solved = solve_scene((placed,), joint=joint, rounds=rounds)
        views = rounded(seen_from(solved, placed))
        images[indices] = np.asarray(views)[: len(indices)]
    return jnp.asarray(images)


def _placed(
    scene: Scene, protected: np.ndarray, region: int
) -> tuple[np.ndarray, Placed]:
    """Numbers of the images of a scene, and these with their places; filled up."""
    height, width = protected.shape[1:3]
    indices, scales, tops, lefts = (
        np.asarray(one) for one in zip(*scene.views, strict=True)
    )
    finest = scales.min()
    scales, tops, lefts = (one / finest for one in (scales, tops, lefts))
    tops, lefts = (start - (start - scales / 2).min() - 0.5 for start in (tops, lefts))
    inside = np.maximum(tops + scales * height, lefts + scales * width) <= _LONGEST
    indices, scales = indices[inside], scales[inside]
    tops, lefts = tops[inside], lefts[inside]
    # Views that count for nothing, so that few programs are compiled.
    spare = (1 << (len(indices) - 1).bit_length()) - len(indices)

    def parts(starts: np.ndarray, side: int) -> jax.Array:
        length = int(np.ceil((starts + scales * side).max() / _GRAIN)) * _GRAIN
        found = parts_of(starts, scales, side, length)
        return jnp.asarray(np.pad(found, ((0, spare), (0, 0), (0, 0))))

    images = np.pad(protected[indices], ((0, spare), (0, 0), (0, 0), (0, 0)))
    rows, columns = parts(tops, height), parts(lefts, width)
    return indices, Placed(jnp.asarray(images), rows, columns, region)


def region_of(threat_model: ThreatModel, shape: tuple[int, ...]) -> int:
    """Side of the regions of images of a shape, or an error that asks for it."""
    if threat_model.region is None:
        raise ValueError(
            "threat_model.region is None, but only sums of regions tell of shifted "
            "grids: name the region that the images were protected with"
        )
    return _checks.region(threat_model, shape)[0]


def is_joint(threat_model: ThreatModel) -> bool:
    """Whether values changed channels too."""
    mode = threat_model.channels
    return mode is not None and CHANNEL_MODES[mode].crosses_channels

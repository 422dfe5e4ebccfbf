"""A scene out of many mixed views of it, by what mixing keeps of each of their regions.

The mean of a region is known exactly, and is linear in the scene. Views whose grids lie
at other phases give other means, and enough of them leave one scene only.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vmixjax._grid import cut_regions, join_regions

_SMOOTHNESS = (4e-2, 1e-3, 1e-6)
"""Weight of the prior, relative to that of the means: at first, once the scene has its
shape, and at the end, when the values of regions have taken over."""

_VALUES = (1e-4, 1e-5)
"""Relative weight of the values of regions, at first and at the end. It must be small:
the means are exact, and what they say must come first."""

_ROUNDS, _FIRST, _LATER = 5, 30, 100
"""Rounds without the values of regions; steps of conjugate gradients in each of these,
and in each of those with the values."""

_BEYOND = 2.0
"""How far to go towards the values of regions, as a multiple of the way there: they are
not convex, and who stops at them stops at the nearest that fit (over-relaxation)."""

_STEP = 1.0
"""Differences of neighbours up to this, in grey values, are not smoothed away."""


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=("images", "rows", "columns"),
    meta_fields=("region",),
)
@dataclasses.dataclass(frozen=True)
class Placed:
    """Mixed views of one scene, of one size and with regions of one size.

    Attributes:
      images: The views, uint8 (V, h, w, C).
      rows: What part each row of the scene has in each row of a view, float32
        (V, h, H), adding up to 1; all 0 for views that are not to count.
      columns: The same of columns, float32 (V, w, W).
      region: Side of the regions that were mixed.
    """

    images: jax.Array
    rows: jax.Array
    columns: jax.Array
    region: int


class _Means(NamedTuple):
    """Means of regions (V, I, J, C), and parts of rows (V, I, H), columns (V, J, W)."""

    means: jax.Array
    rows: jax.Array
    columns: jax.Array

    def of(self, scene: jax.Array) -> jax.Array:
        """What they would be if this were the scene."""
        return _seen(_mixed_channels(scene, self.means), self.rows, self.columns)

    def back(self, means: jax.Array, scene: jax.Array) -> jax.Array:
        """The transpose of `of`."""
        spread = _laid(means, self.rows, self.columns)
        share = means.shape[-1] / scene.shape[-1]
        return jnp.broadcast_to(spread * share, scene.shape)


def parts_of(
    starts: np.ndarray, scales: np.ndarray, side: int, length: int
) -> np.ndarray:
    """Computes what part each pixel of a scene's side has in each of a view's.

    Args:
      starts: Where the middle of the first pixel of each view lies, float (V,).
      scales: How many pixels of the scene are one of the view, float (V,).
      side: Pixels along the view.
      length: Pixels along the scene.

    Returns:
      float32 (V, side, length); rows add up to 1, or are 0 outside of the scene.
    """
    middles = starts[:, None] + scales[:, None] * np.arange(side)
    half = scales[:, None] / 2
    low, high = (middles - half)[..., None], (middles + half)[..., None]
    pixels = np.arange(length)
    part = np.minimum(high, pixels + 0.5) - np.maximum(low, pixels - 0.5)
    part = np.clip(part, 0, None)
    total = part.sum(-1, keepdims=True)
    return (part / np.where(total > 0, total, 1)).astype(np.float32)


def reflected_parts(shifts: np.ndarray, side: int) -> np.ndarray:
    """The same for a shift of the image itself, whose edges are reflected.

    Args:
      shifts: By how many pixels, int (V,), each less than a side.
      side: Pixels along the image and its views.

    Returns:
      float32 (V, side, side), ones and zeros.
    """
    places = np.abs(shifts[:, None] + np.arange(side))
    places = np.minimum(places, 2 * (side - 1) - places)
    return np.eye(side, dtype=np.float32)[places]


@functools.partial(jax.jit, static_argnames=("joint", "rounds"))
def solve_scene(
    views: tuple[Placed, ...],
    *,
    joint: bool = False,
    rounds: int = 12,
    smoothness: jax.typing.ArrayLike = _SMOOTHNESS[1],
) -> jax.Array:
    """Solves for the scene that explains the means and the values of all regions.

    Least squares of the means by conjugate gradients, with total variation as a prior
    that gives way; then each region's values are put in the order of the scene so far,
    and the scene is moved towards them, in turns.

    Args:
      views: Mixed views with their places, in groups of one size and region.
      joint: Whether values changed channels too: then only the mean over channels is
        known, and a grey scene comes back.
      rounds: How often the values of regions are put in order. 0 leaves them out.
      smoothness: Weight of the prior before that, relative to that of the means.

    Returns:
      The scene, float32 (H, W, C), 0 to 255.

    References:
      Ours. Total variation by reweighted least squares: Wohlberg and Rodriguez, "An
      iteratively reweighted norm algorithm for minimization of total variation
      functionals" (IEEE Signal Processing Letters, 2007).
    """
    known = [_means(group, joint) for group in views]
    height, width = views[0].rows.shape[-1], views[0].columns.shape[-1]
    first = jnp.zeros((height, width, views[0].images.shape[-1]), jnp.float32)
    goal = sum(one.back(one.means, first) for one in known)
    weight = sum(one.back(jnp.ones_like(one.means), first) for one in known)
    shown = jnp.sum(weight > 0, dtype=jnp.float32)
    scale = jnp.sum(weight) / jnp.maximum(shown, 1)
    mean = jnp.sum(goal, (0, 1)) / jnp.sum(weight, (0, 1))

    def data(x: jax.Array) -> jax.Array:
        return sum((one.back(one.of(x), first) for one in known), first) / scale

    closer = functools.partial(_closer, data=data, goal=goal / scale)

    def smoothed(scene: jax.Array, smooth: jax.Array) -> tuple[jax.Array, None]:
        return closer(scene, smooth, jnp.float32(0), first, steps=_FIRST), None

    def ordered(
        scene: jax.Array, weights: tuple[jax.Array, jax.Array]
    ) -> tuple[jax.Array, None]:
        to = scene + _BEYOND * (_with_values(scene, views, sorted_values) - scene)
        return closer(scene, *weights, to, steps=_LATER), None

    scene = jnp.broadcast_to(mean, first.shape)
    early, _, end = _SMOOTHNESS
    spaced = functools.partial(jnp.geomspace, dtype=jnp.float32)
    scene, _ = jax.lax.scan(smoothed, scene, spaced(early, smoothness, _ROUNDS))
    if joint or not rounds:
        return scene
    sorted_values = [jnp.sort(_regions(one.images, one.region), -1) for one in views]
    weights = spaced(smoothness, end, rounds), spaced(*_VALUES, rounds)
    return jax.lax.scan(ordered, scene, weights)[0]


def _closer(
    scene: jax.Array,
    smooth: jax.Array,
    pull: jax.Array,
    to: jax.Array,
    *,
    data: Callable[[jax.Array], jax.Array],
    goal: jax.Array,
    steps: int,
) -> jax.Array:
    """A scene nearer to the least squares of data, roughness and a pull to another."""
    edges = _edges(scene)

    def normal(x: jax.Array) -> jax.Array:
        return data(x) + smooth * _roughness(x, edges) + pull * x

    solved, _ = jax.scipy.sparse.linalg.cg(
        normal, goal + pull * to, x0=scene, maxiter=steps, tol=1e-7
    )
    return jnp.clip(solved, 0, 255)


def seen_from(scene: jax.Array, view: Placed) -> jax.Array:
    """Gives what views show of a scene (H, W, C), float32 (V, h, w, C)."""
    return _seen(scene, view.rows, view.columns)


def _means(group: Placed, joint: bool) -> _Means:
    means = _regions(group.images, group.region).mean(-1)
    if joint:
        means = means.mean(-1, keepdims=True)

    def by_region(parts: jax.Array) -> jax.Array:
        count, _, length = parts.shape
        return parts.reshape(count, -1, group.region, length).mean(2)

    return _Means(means, by_region(group.rows), by_region(group.columns))


def _regions(images: jax.Array, region: int) -> jax.Array:
    """(V, h, w, C) -> float32 (V, I, J, C, values of a region)."""
    cut = cut_regions(images, region).astype(jnp.float32)
    return jnp.moveaxis(cut, -1, 3).reshape(*cut.shape[:3], cut.shape[-1], -1)


def _with_values(
    scene: jax.Array, views: tuple[Placed, ...], sorted_values: list[jax.Array]
) -> jax.Array:
    """The scene, each region with its own values in the order that they have there.

    Where views overlap, it is the mean of what they say; where there is none, as it is.
    """
    total, weight = jnp.zeros_like(scene), jnp.zeros_like(scene[..., :1])
    for one, values in zip(views, sorted_values, strict=True):
        seen = _regions(_seen(scene, one.rows, one.columns), one.region)
        place = jax.lax.broadcasted_iota(jnp.int32, seen.shape, seen.ndim - 1)
        _, order = jax.lax.sort((seen, place), num_keys=1)
        # Sorted back by place, each value stands where one of its rank was.
        _, put = jax.lax.sort((order, values), num_keys=1)
        put = put.reshape(*put.shape[:-1], one.region, one.region)
        images = join_regions(jnp.moveaxis(put, 3, -1))
        total += _laid(images, one.rows, one.columns)
        weight += _laid(jnp.ones_like(images[..., :1]), one.rows, one.columns)
    return jnp.where(weight > 0, total / jnp.where(weight > 0, weight, 1), scene)


def _mixed_channels(scene: jax.Array, means: jax.Array) -> jax.Array:
    if means.shape[-1] == scene.shape[-1]:
        return scene
    return scene.mean(-1, keepdims=True)


def _seen(scene: jax.Array, rows: jax.Array, columns: jax.Array) -> jax.Array:
    """(H, W, C) -> (V, I, J, C), by parts of rows (V, I, H) and columns (V, J, W)."""
    lines = jnp.einsum("vih,hwc->viwc", rows, scene)
    return jnp.einsum("vjw,viwc->vijc", columns, lines)


def _laid(views: jax.Array, rows: jax.Array, columns: jax.Array) -> jax.Array:
    """The transpose of `_seen`."""
    lines = jnp.einsum("vjw,vijc->viwc", columns, views)
    return jnp.einsum("vih,viwc->hwc", rows, lines)


def _differences(scene: jax.Array) -> tuple[jax.Array, jax.Array]:
    return (
        jnp.diff(scene, axis=0, append=scene[-1:]),
        jnp.diff(scene, axis=1, append=scene[:, -1:]),
    )


def _edges(scene: jax.Array) -> jax.Array:
    """How little to smooth at each pixel, (H, W, 1), from what channels share."""
    down, across = _differences(scene)
    square = (down**2 + across**2).mean(-1, keepdims=True)
    return jax.lax.rsqrt(square + _STEP**2)


def _roughness(scene: jax.Array, edges: jax.Array) -> jax.Array:
    """The gradient of the sum of weighted squared differences, halved."""

    def half_sum(scene: jax.Array) -> jax.Array:
        down, across = _differences(scene)
        return jnp.sum(edges * (down**2 + across**2)) / 2

    return jax.grad(half_sum)(scene)

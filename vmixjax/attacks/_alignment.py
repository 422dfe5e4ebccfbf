"""How mixed views of one scene lie to each other, by the means of their regions."""

import functools

import jax
import jax.numpy as jnp

from vmixjax._grid import cut
from vmixjax.attacks._scene import Placed, solve_scene

_BEYOND = 1.7
"""How far to move views, as a multiple of the way to where they fit best: a scene of
views that lie a little wrong fits these too well and holds them back."""

_SMOOTHNESS = 1e-2
"""Weight of the prior, relative to that of the means: views lie wrong at first."""

_LEAST = 0.4
"""Part of a view's regions that must lie on what is known of the scene, at a place that
is to be considered."""


@functools.partial(jax.jit, static_argnames=("region", "reach", "joint", "rounds"))
def align(
    key: jax.Array,
    views: jax.Array,
    *,
    region: int,
    reach: int,
    joint: bool,
    rounds: int,
) -> jax.Array:
    """Finds the shifts of views against the first of them.

    At first each view is laid where its means fit those of the first, enlarged. Then
    the scene is solved for from a random half of the views, and the others are moved
    towards where they fit it, in turns, by parts of pixels: so no view is compared with
    what was made of itself, which fits it wherever it lay.

    Args:
      key: Of which half comes first.
      views: Mixed views, uint8 (V, h, w, C).
      region: Side of the regions that were mixed.
      reach: Most pixels, up, down, left or right, that a view is shifted.
      joint: Whether values changed channels too.
      rounds: How often half of the views are moved.

    Returns:
      Shifts, int32 (V, 2), down and to the right; the first is 0.
    """
    count, height, width, _ = views.shape
    wide = height + 2 * reach, width + 2 * reach
    means = cut(views.astype(jnp.float32), region).mean((2, 4))
    if joint:
        means = means.mean(-1, keepdims=True)

    def scene_of(shifts: jax.Array, use: jax.Array) -> tuple[jax.Array, jax.Array]:
        rows, columns = (
            _shifted(shifts[:, i] + reach, side, length) * use[:, None, None]
            for i, side, length in ((0, height, wide[0]), (1, width, wide[1]))
        )
        placed = Placed(views, rows, columns, region)
        known = jnp.einsum("vih,vjw->hw", rows, columns) > 1e-3
        scene = solve_scene((placed,), joint=joint, rounds=0, smoothness=_SMOOTHNESS)
        scene = scene.mean(-1, keepdims=True) if joint else scene
        return scene, known.astype(jnp.float32)

    def laid(scene: jax.Array, known: jax.Array) -> jax.Array:
        error = _errors(means, scene, known, region)
        best = error.reshape(count, -1).argmin(-1)
        middle = jnp.stack(jnp.divmod(best, 2 * reach + 1), -1)
        further = jax.vmap(_between)(error, middle)
        return (middle - reach).astype(jnp.float32) + further

    def again(shifts: jax.Array, key: jax.Array) -> tuple[jax.Array, None]:
        use = jax.random.permutation(key, count) % 2 == 0
        found = laid(*scene_of(shifts, use.astype(jnp.float32)))
        step = jnp.clip(_BEYOND * (found - shifts), -1, 1)
        step = jnp.where(use[:, None], 0, step)
        moved = shifts + step
        # Together views may drift away from the first: all go by it again.
        return jnp.clip(moved - moved[:1], -reach, reach), None

    shifts = laid(*_first_scene(means[0], (height, width), reach)).at[0].set(0.0)
    shifts, _ = jax.lax.scan(again, shifts, jax.random.split(key, rounds))
    return shifts.round().astype(jnp.int32)


def _first_scene(
    means: jax.Array, size: tuple[int, int], reach: int
) -> tuple[jax.Array, jax.Array]:
    """What the means of one view show of the scene, and where it shows any of it."""
    smooth = jax.image.resize(means, (*size, means.shape[-1]), "cubic")
    margin = ((reach, reach), (reach, reach))
    shown = jnp.ones(size, jnp.float32)
    return jnp.pad(smooth, (*margin, (0, 0))), jnp.pad(shown, margin)


def _shifted(starts: jax.Array, side: int, length: int) -> jax.Array:
    """Parts of a scene's pixels for shifts between whole pixels, by interpolation."""
    places = starts[:, None] + jnp.arange(side, dtype=jnp.float32)[None]
    pixels = jnp.arange(length, dtype=jnp.float32)[None, None]
    return jnp.clip(1 - jnp.abs(places[..., None] - pixels), 0, None)


def _between(error: jax.Array, middle: jax.Array) -> jax.Array:
    """How far from the least error the least of the parabola through it lies, (2,)."""
    padded = jnp.pad(error, 1, constant_values=jnp.inf)
    near = jax.lax.dynamic_slice(padded, middle, (3, 3))

    def vertex(before: jax.Array, here: jax.Array, after: jax.Array) -> jax.Array:
        bend = before - 2 * here + after
        known = jnp.isfinite(bend) & (bend > 0)
        return jnp.where(known, (before - after) / jnp.where(known, 2 * bend, 1), 0)

    return jnp.clip(jnp.stack([vertex(*near[:, 1]), vertex(*near[1])]), -0.5, 0.5)


def _errors(
    means: jax.Array, scene: jax.Array, known: jax.Array, region: int
) -> jax.Array:
    """Mean squared error of the means (V, I, J, C) at each place: (V, down, across)."""

    def over_regions(values: jax.Array) -> jax.Array:
        window = (region, region, 1)
        added = jax.lax.reduce_window(
            values, 0.0, jax.lax.add, window, (1, 1, 1), "valid"
        )
        return added / region**2

    # In the middle of the values, so that squares do not lose the last digits.
    middle = means.mean()
    means = means - middle
    whole = over_regions(known[..., None]) > 1 - 1e-4
    values = jnp.where(whole, over_regions(scene) - middle, 0)

    def fit(values: jax.Array, kernel: jax.Array) -> jax.Array:
        return jax.lax.conv_general_dilated(
            values[None],
            kernel,
            (1, 1),
            "VALID",
            rhs_dilation=(region, region),
            dimension_numbers=("NHWC", "OHWI", "NCHW"),
            precision="highest",
        )[0]

    inside = whole.astype(jnp.float32)
    count = fit(inside, jnp.ones_like(means[:1, ..., :1]))
    square = fit((values**2).sum(-1, keepdims=True), jnp.ones_like(means[:1, ..., :1]))
    own = fit(inside, (means**2).sum(-1, keepdims=True))
    error = (square - 2 * fit(values, means) + own) / jnp.maximum(count, 1)
    enough = count >= _LEAST * means.shape[1] * means.shape[2]
    return jnp.where(enough, error, jnp.inf)

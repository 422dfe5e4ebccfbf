"""Shifted grids: mixed views of one scene undo each other's mixing, without any key.

A shuffle keeps the sum of each region. Where the same scene was mixed again under a
grid that lies otherwise, the sums are others, and many such views leave one scene only.
They are frames of a film or a burst, overlapping patches, releases with regions of
other sizes, and the random crops of a training that mixes in its steps. A key of its
own for each view does not help. Copies on the same grid tell nothing new.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from vmixjax import _validate
from vmixjax.attacks import _checks
from vmixjax.attacks._alignment import align
from vmixjax.attacks._overlaps import is_joint, region_of, solve_overlaps
from vmixjax.attacks._scene import Placed, parts_of, reflected_parts, solve_scene
from vmixjax.attacks.attack import Attack, Budget, Study, StudyResult
from vmixjax.attacks.region_means import region_means
from vmixjax.attacks.threat_model import ThreatModel
from vmixjax.methods._checks import rounded
from vmixjax.metrics import ssim

if TYPE_CHECKING:
    from vmixjax.attacks.trial import Trial

_LAYINGS = 32
"""How often half of the views are moved, where shifts are not known."""


def shifted_grids(
    key: jax.Array,
    protected: jax.typing.ArrayLike,
    threat_model: ThreatModel,
    *,
    views: jax.typing.ArrayLike,
    shifts: jax.typing.ArrayLike | None = None,
    rounds: int = 12,
) -> jax.Array:
    """Solves for each image from mixes of it that were shifted before.

    Args:
      key: Of the search for shifts; of no use where they are known.
      protected: Mixed images, uint8 (B, H, W, C).
      threat_model: Its `region` and `channels` say how they were mixed; with channels
        `"joint"`, a grey picture comes back.
      views: Mixes of the same images, shifted before, uint8 (M, B, H, W, C), each by
        keys of its own. `protected` is counted too.
      shifts: By how many pixels down and to the right each view looks, int (M, B, 2),
        each less than a side; what lies beyond the edges is reflected there. None has
        them found, up to the side of a region.
      rounds: How often the values of regions are put in order; 0 uses their means only.

    Returns:
      The reconstruction, uint8 (B, H, W, C).

    Raises:
      TypeError: Images that are not uint8.
      ValueError: Views or shifts of another shape, or of a side or more; no region, or
        one that does not divide the images.

    References:
      Ours; the paper does not consider it.
    """
    protected = _validate.images("protected", protected)
    views = _checks.mixes("views", "shifted mixes", views, protected.shape)
    region, joint = region_of(threat_model, protected.shape), is_joint(threat_model)
    everything = jnp.concatenate([protected[None], views]).swapaxes(0, 1)
    if shifts is None:
        found = [
            _found(jax.random.fold_in(key, i), some, region, joint, rounds)
            for i, some in enumerate(everything)
        ]
        return jnp.stack(found)
    known = _known_shifts(shifts, views.shape)
    solved = []
    for some, shift in zip(everything, known, strict=True):
        rows, columns = (
            jnp.asarray(reflected_parts(shift[:, i], protected.shape[1 + i]))
            for i in (0, 1)
        )
        placed = Placed(some, rows, columns, region)
        solved.append(rounded(solve_scene((placed,), joint=joint, rounds=rounds)))
    return jnp.stack(solved)


def estimate_shifts(
    key: jax.Array,
    views: jax.typing.ArrayLike,
    threat_model: ThreatModel,
    *,
    reach: int,
    rounds: int = _LAYINGS,
) -> jax.Array:
    """Finds how mixed views of one scene are shifted, from the means of their regions.

    Args:
      key: Of the random choices.
      views: Mixed views, uint8 (V, H, W, C).
      threat_model: As for `shifted_grids`.
      reach: Most pixels, in any direction, that a view is shifted against the first.
      rounds: How often half of the views are laid anew.

    Returns:
      Shifts down and to the right against the first view, int32 (V, 2).

    Raises:
      TypeError: Views that are not uint8.
      ValueError: No batch; no region, or one that does not divide the views; a reach
        below 1.

    References:
      Ours. That views may be laid by what is known of the scene so far, and the scene
      solved for by the views, in turns: Hardie et al., "Joint MAP registration and
      high-resolution image estimation" (IEEE Transactions on Image Processing, 1997).
    """
    views = _validate.images("views", views)
    _validate.size("reach", reach)
    region = region_of(threat_model, views.shape)
    joint = is_joint(threat_model)
    return align(key, views, region=region, reach=reach, joint=joint, rounds=rounds)


def solve_releases(
    releases: Sequence[jax.typing.ArrayLike],
    *,
    regions: Sequence[int],
    rounds: int = 12,
) -> jax.Array:
    """Solves for images that were released several times, with regions of other sizes.

    Args:
      releases: Mixes of the same images, uint8 (B, H, W, C) each, whose channels were
        not mixed with each other.
      regions: Side of the regions of each release.
      rounds: As for `shifted_grids`.

    Returns:
      The reconstruction, uint8 (B, H, W, C).

    Raises:
      TypeError: Images that are not uint8.
      ValueError: Releases of several shapes, or not one region for each, or one that
        does not divide the images.

    References:
      Ours; the paper does not consider it.
    """
    images = [_validate.images("releases", release) for release in releases]
    shapes = {release.shape for release in images}
    if len(shapes) != 1 or len(images) != len(regions):
        raise ValueError(
            f"releases must be mixes of the same images, with one of regions for each; "
            f"got shapes {sorted(shapes)} and regions {tuple(regions)}"
        )
    for region in regions:
        _checks.region(
            ThreatModel(lambda _, image: image, images[0], region), images[0].shape
        )
    _, height, width, _ = images[0].shape
    rows, columns = (jnp.eye(side)[None] for side in (height, width))
    solved = [
        solve_scene(
            tuple(
                Placed(view[None], rows, columns, region)
                for view, region in zip(same, regions, strict=True)
            ),
            rounds=rounds,
        )
        for same in zip(*images, strict=True)
    ]
    return rounded(jnp.stack(solved))


def _found(
    key: jax.Array, views: jax.Array, region: int, joint: bool, rounds: int
) -> jax.Array:
    """The first of some views (V, H, W, C), by shifts that are found."""
    height, width = views.shape[1:3]
    shifts = align(
        key, views, region=region, reach=region, joint=joint, rounds=_LAYINGS
    )
    starts = np.asarray(shifts, float) + region
    scales = np.ones(len(starts))
    rows = parts_of(starts[:, 0], scales, height, height + 2 * region)
    columns = parts_of(starts[:, 1], scales, width, width + 2 * region)
    placed = Placed(views, jnp.asarray(rows), jnp.asarray(columns), region)
    scene = rounded(solve_scene((placed,), joint=joint, rounds=rounds))
    return scene[region : region + height, region : region + width]


def _known_shifts(shifts: jax.typing.ArrayLike, shape: tuple[int, ...]) -> np.ndarray:
    """(M, B, 2) -> (B, 1 + M, 2), the first of them 0."""
    known = np.asarray(shifts)
    if known.shape != (*shape[:2], 2) or not np.issubdtype(known.dtype, np.integer):
        raise ValueError(
            f"shifts must be whole pixels down and to the right of each view, integers "
            f"of shape {(*shape[:2], 2)}; got {known.dtype} {known.shape}"
        )
    if (np.abs(known) >= np.asarray(shape[2:4])).any():
        raise ValueError(
            f"shifts must be less than a side of {shape[2]} x {shape[3]} pixels; got "
            f"{np.abs(known).max()}"
        )
    return np.pad(known.swapaxes(0, 1), ((0, 0), (1, 0), (0, 0)))


def _recover(
    key: jax.Array, protected: jax.Array, threat_model: ThreatModel, budget: Budget
) -> jax.Array:
    del key
    rounds = budget["view_rounds"]
    return solve_overlaps(
        protected, threat_model, scenes=threat_model.scenes, rounds=rounds
    )


def _had_it_frames(trial: Trial) -> StudyResult:
    """What would come back if images were mixed several times, shifted before.

    The values are `images`, `views` of each, the likeness of the means of one mix,
    `means`, and that of what is solved for, `ssim`.
    """
    budget, threat_model = trial.budget, trial.threat_model
    images = min(budget["shifted_images"], len(trial.images))
    views, shifts = threat_model.views(budget["views"])
    protected = trial.protect(trial.images)[:images]
    key = trial.key("shifted_grids", trial.protection.name)
    solved = shifted_grids(
        key,
        protected,
        threat_model,
        views=views[:, :images],
        shifts=shifts[:, :images],
        rounds=budget["view_rounds"],
    )
    means = region_means(key, protected, threat_model)
    originals, found, alone = map(np.asarray, (trial.images[:images], solved, means))
    return StudyResult(
        {
            "images": images,
            "views": len(views) + 1,
            "means": float(ssim(originals, alone).mean()),
            "ssim": float(ssim(originals, found).mean()),
        },
        originals,
        {"means": alone, "found": found},
    )


ATTACK = Attack(
    name="shifted_grids",
    about="images that overlap are put together: each gives the sums of regions that "
    "lie otherwise, and together they leave one scene",
    recover=_recover,
    applies=lambda protection, side: (
        protection.channels is not None
        and protection.keys == "each"
        and protection.region is not None
        and protection.region < side
    ),
    needs_scenes=True,
    study=Study(
        name="shifted_views",
        run=_had_it_frames,
        subjects=lambda protections: [
            one
            for one in protections
            if one.mixes and one.keys == "each" and one.region is not None
        ],
        section="Never the same scene on two grids",
        text=lambda first: (
            f"What would come back if each scene were there {first['views']} times, "
            f"shifted by some pixels and each with a key of its own: frames of a film, "
            f"overlapping patches, or random crops before each mix of a training. Mean "
            f"SSIM over {first['images']} images, where it is known how they lie. This "
            f"is no part of the verdict, which is of the images as they are."
        ),
        corner="method",
        columns={"means of one mix": "means", "all views together": "ssim"},
        number=".2f",
        captions={
            "means": "means of the regions of one mix: {title}",
            "found": "all views together: {title}",
        },
    ),
    budgets={
        "quick": {"views": 15, "shifted_images": 8, "view_rounds": 6},
        "hour": {"views": 31, "shifted_images": 16, "view_rounds": 12},
        "full": {"views": 63, "shifted_images": 32, "view_rounds": 24},
    },
)

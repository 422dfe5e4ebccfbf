"""Measures what mixes on shifted grids give back: `python docs/shifted_grids.py`.

Prints JSON, for `docs/audits/shifted_grids.json`. Names of cases after it choose some.
"""

import json
import sys
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image
from skimage import data

from vmixjax.attacks.region_means import region_means
from vmixjax.attacks.shifted_grids import (
    estimate_shifts,
    shifted_grids,
    solve_overlaps,
    solve_releases,
)
from vmixjax.attacks.threat_model import ThreatModel
from vmixjax.demo.photographs import NAMES, load_photograph
from vmixjax.methods import named
from vmixjax.metrics import psnr, ssim
from vmixjax.scenes import Scene, View

KEY = jax.random.key(0)


def protected(images: np.ndarray, region: int, seed: int = 0) -> np.ndarray:
    """Mixes images, each by a key of its own."""
    protect = named(f"mix:{region}", images.shape[1:]).protect
    keys = jax.random.split(jax.random.key(seed), len(images))
    return np.asarray(jax.lax.map(lambda x: protect(*x), (keys, images)))


def knowing(region: int) -> ThreatModel:
    """What is known: the size of regions."""
    return ThreatModel(lambda key, image: image, jnp.zeros(1), region=region)


def measured(originals: np.ndarray, found: np.ndarray, region: int) -> dict[str, float]:
    """Compares what came back, and the means of regions, with the originals."""
    means = region_means(KEY, protected(originals, region), knowing(region))
    values = {
        "psnr": psnr(originals, found).mean(),
        "ssim": ssim(originals, found).mean(),
        "exact": (originals == found).mean(),
        "means_psnr": psnr(originals, np.asarray(means)).mean(),
        "means_ssim": ssim(originals, np.asarray(means)).mean(),
    }
    return {name: float(value) for name, value in values.items()}


def mean(rows: list[dict[str, float]]) -> dict[str, float]:
    """The mean over photographs."""
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def views(scene: np.ndarray, shifts: np.ndarray, side: int) -> np.ndarray:
    """Cuts squares out of a scene."""
    return np.stack([scene[top:, left:][:side, :side] for top, left in shifts])


def together(
    scene: np.ndarray, shifts: np.ndarray, side: int, region: int, rounds: int
) -> dict[str, float]:
    """Views of a scene, put together where it is known how they lie."""
    originals = views(scene, shifts, side)
    one = Scene(tuple(View(i, 1.0, *map(float, at)) for i, at in enumerate(shifts)))
    mixed = protected(originals, region)
    found = solve_overlaps(mixed, knowing(region), scenes=(one,), rounds=rounds)
    return measured(originals, np.asarray(found), region)


def middle(name: str, side: int) -> np.ndarray:
    """The middle of a photograph."""
    photograph = load_photograph(name)
    start = (len(photograph) - side) // 2
    return photograph[start:, start:][:side, :side]


def frames() -> dict[str, float]:
    """16 frames, 128 pixels, regions of 8."""
    draw = np.random.default_rng(0)
    shifts = draw.integers(0, 9, (16, 2))
    return mean([together(middle(name, 136), shifts, 128, 8, 12) for name in NAMES])


def all_phases() -> dict[str, float]:
    """64 frames, one for each place of the grid, 96 pixels, regions of 8."""
    shifts = np.stack(np.divmod(np.arange(64), 8), -1)
    return mean([together(middle(name, 104), shifts, 96, 8, 60) for name in NAMES])


def patches() -> dict[str, float]:
    """400 patches of 128 pixels, step 20, of one photograph, regions of 32."""
    scene = data.astronaut()
    shifts = 20 * np.stack(np.divmod(np.arange(400), 20), -1)
    return together(scene, shifts, 128, 32, 6)


def shifts_found() -> dict[str, float]:
    """64 frames of 320 pixels, regions of 16; how they lie is to be found."""
    rows = []
    for name in ("astronaut", "chelsea", "coffee"):
        photograph = getattr(data, name)()
        side = min(photograph.shape[:2])
        scene = Image.fromarray(photograph[:side, :side]).resize((352, 352))
        shifts = np.random.default_rng(0).integers(0, 33, (64, 2))
        shifts[0] = 16
        mixed = protected(views(np.asarray(scene), shifts, 320), 16)
        found = estimate_shifts(KEY, mixed, knowing(16), reach=16, rounds=16)
        away = np.abs(np.asarray(found) - (shifts - shifts[0])).max(1)
        rows.append({"right": (away == 0).sum(), "within_one": (away <= 1).sum()})
    return mean(rows)


def crops() -> dict[str, float]:
    """90 mixes of images of 32 pixels, as by random crops in training, regions of 8."""
    rows = []
    for i, name in enumerate(NAMES):
        image = np.asarray(Image.fromarray(load_photograph(name)).resize((32, 32)))
        shifts = np.random.default_rng(i).integers(-4, 5, (90, 2))
        padded = np.pad(image, ((4, 4), (4, 4), (0, 0)), "reflect")
        mixed = protected(views(padded, shifts + 4, 32), 8)[:, None]
        found = shifted_grids(
            KEY,
            protected(image[None], 8, seed=1),
            knowing(8),
            views=mixed,
            shifts=shifts[:, None],
        )
        rows.append(measured(image[None], np.asarray(found), 8))
    return mean(rows)


def three_sizes() -> dict[str, float]:
    """Three releases of images of 168 pixels, with regions of 8, 7 and 6."""
    rows = []
    for name in NAMES:
        image = middle(name, 168)[None]
        releases = [protected(image, region, seed=region) for region in (8, 7, 6)]
        found = solve_releases(releases, regions=(8, 7, 6))
        rows.append(measured(image, np.asarray(found), 8))
    return mean(rows)


CASES: dict[str, Callable[[], dict[str, float]]] = {
    "frames": frames,
    "all_phases": all_phases,
    "patches": patches,
    "shifts_found": shifts_found,
    "crops": crops,
    "three_sizes": three_sizes,
}

if __name__ == "__main__":
    chosen = sys.argv[1:] or CASES
    print(json.dumps({name: CASES[name]() for name in chosen}, indent=1))

"""What one protected picture gives back, of the demo's photographs, scaled down.

`python docs/one_picture.py` prints two tables of the page on threats: pictures smoothed
with the values of each region, and EtC's blocks put next to each other again.
"""

import itertools
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

import vmixjax
from vmixjax._grid import cut_blocks
from vmixjax.attacks._symmetries import WAYS, colours_of, lay
from vmixjax.attacks.region_means import region_means
from vmixjax.attacks.threat_model import ThreatModel
from vmixjax.attacks.total_variation import total_variation
from vmixjax.attacks.turned_jigsaw import turned_jigsaw
from vmixjax.demo.photographs import NAMES, load_photograph
from vmixjax.methods import named
from vmixjax.metrics import ssim

KEY = jax.random.key(0, impl="threefry2x32")
SMOOTHED = ((64, 8), (128, 8), (160, 8), (160, 16), (320, 16), (320, 32))
JIGSAWS = ((64, 16), (224, 16), (64, 8), (32, 4))


def photographs(side: int) -> np.ndarray:
    """The demo's photographs, uint8 (5, side, side, 3)."""
    whole = (Image.fromarray(load_photograph(name)) for name in NAMES)
    size, how = (side, side), Image.Resampling.LANCZOS
    return np.stack([np.asarray(one.resize(size, how)) for one in whole])


def smoothed(side: int, region: int) -> tuple[float, float]:
    """SSIM of the means of regions, and of what total variation makes of them."""
    images = photographs(side)
    plan = vmixjax.full_plan(
        images.shape[1:], vmixjax.MixConfig(region, ((region, 1),))
    )
    keys = jax.random.split(KEY, len(images))
    mixed = jax.vmap(lambda key, image: vmixjax.mix(key, image, plan))(keys, images)
    knowing = ThreatModel(lambda key, image: image, mixed, region)
    means, smooth = (
        float(np.mean(ssim(images, attack(KEY, mixed, knowing))))
        for attack in (region_means, total_variation)
    )
    return means, smooth


def neighbours(side: int, block: int) -> tuple[float, float]:
    """The share of neighbours that were neighbours, as protected and as solved."""
    images = photographs(side)
    protection = named(f"etc:{block}", images.shape[1:])
    keys = jax.random.split(KEY, len(images))
    protected = jnp.stack(
        [
            protection.protect(key, image)
            for key, image in zip(keys, images, strict=True)
        ]
    )
    knowing = ThreatModel(protection.protect, jnp.asarray(images), None, block)
    solved = turned_jigsaw(KEY, protected, knowing)
    shares = [
        [share(np.asarray(image), original, block) for image in (one, other)]
        for original, one, other in zip(images, protected, solved, strict=True)
    ]
    before, after = np.mean(shares, 0)
    return float(before), float(after)


def share(image: np.ndarray, original: np.ndarray, block: int) -> float:
    """The share of neighbours in an image that are neighbours in its original."""
    wanted, found = (Counter(_pairs(x, block)) for x in (original, image))
    return sum((wanted & found).values()) / sum(found.values())


def _pairs(image: np.ndarray, block: int) -> list[tuple[bytes, ...]]:
    """Blocks next to each other, whichever way each lies and is coloured."""
    rows, columns = image.shape[0] // block, image.shape[1] // block
    blocks = np.asarray(cut_blocks(image, block)).reshape(
        rows, columns, block, block, 3
    )
    paint = colours_of(3)

    def name(one: np.ndarray) -> bytes:
        laid = (lay(one, way) for way in range(WAYS))
        painted = (paint.paint(x, c) for x in laid for c in range(len(paint.ways)))
        return min(np.asarray(x).tobytes() for x in painted)

    names = [[name(blocks[i, j]) for j in range(columns)] for i in range(rows)]
    across = itertools.chain(*(itertools.pairwise(row) for row in names))
    down = itertools.chain(
        *(itertools.pairwise(row) for row in zip(*names, strict=True))
    )
    return [tuple(sorted(pair)) for pair in itertools.chain(across, down)]


def main() -> None:
    """Prints both tables, as the page has them."""
    for side, region in SMOOTHED:
        means, smooth = smoothed(side, region)
        print(f"| {side}, {region} | {means:.2f} | {smooth:.2f} |", flush=True)
    for side, block in JIGSAWS:
        before, after = neighbours(side, block)
        print(f"| {side}, {block} | {before:.0%} | {after:.0%} |", flush=True)


if __name__ == "__main__":
    main()

"""Tells levels of tiles from mixed photographs alone, and how often that is right.

`python docs/levels.py`, for the page on threats. Single pixels that were shuffled in
regions of a size leave halves of these regions alike, but for chance: what differs more
was shuffled in smaller ones.
"""

import numpy as np

import vmixjax
from vmixjax.demo.photographs import NAMES, load_photograph

CONFIG = vmixjax.MixConfig()
TILE = CONFIG.tile_size


def guessed(tile: np.ndarray) -> int:
    """The largest regions of the ladder whose quarters are as alike as by chance."""
    for level in range(len(CONFIG.ladder), 1, -1):
        side = CONFIG.ladder[level - 1][0]
        half, count = side // 2, TILE // side
        regions = tile.reshape(count, side, count, side, -1).swapaxes(1, 2)
        quarters = regions.reshape(count, count, 2, half, 2, half, -1)
        means = quarters.mean((3, 5))
        spread = means.var((2, 3), ddof=1).mean()
        by_chance = regions.var((2, 3), ddof=1).mean() / half**2
        if spread < 1.5 * by_chance:
            return level
    return 1


def main() -> None:
    """Prints the share of tiles whose level is told, at three strengths."""
    for strength in (0.25, 0.5, 0.75):
        right, tiles = 0, 0
        for name in NAMES:
            image = load_photograph(name)
            target = vmixjax.target_vfe(image, strength, CONFIG)
            plan = vmixjax.plan(image, target, CONFIG)
            key = vmixjax.key(vmixjax.new_secret())
            mixed = np.asarray(vmixjax.mix(key, image, plan), np.float64)
            for place, level in np.ndenumerate(np.asarray(plan.levels)):
                rows, columns = (slice(i * TILE, (i + 1) * TILE) for i in place)
                right += guessed(mixed[rows, columns]) == level
                tiles += 1
        print(f"strength {strength}: {right / tiles:.1%} of {tiles} tiles")


if __name__ == "__main__":
    main()

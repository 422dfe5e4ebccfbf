"""How fast `mix` is beside other ways to permute the same regions.

Run it by itself, on an idle machine:

    python -m tests.benchmarks.mix

32 images of 224 x 224 x 3 uint8, tile 16, ladder ((16, 1),), every (image, region,
channel) with its own permutation. All ways run in turn, several times over; the
table gives medians, and ratios to the jitted copy `x + 1`, the practical ceiling.
Times differ from machine to machine and hour to hour; ratios of one run do much
less.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import vmixjax

IMAGES, SIDE, CHANNELS, REGION = 32, 224, 3, 16
CONFIG = vmixjax.MixConfig(tile_size=REGION, ladder=((REGION, 1),))
SHAPE = (SIDE, SIDE, CHANNELS)


def to_regions(images: Any) -> Any:
    """(B, H, W, C) -> (B, regions, C, values of a region)."""
    grid = SIDE // REGION
    images = images.reshape(-1, grid, REGION, grid, REGION, CHANNELS)
    images = images.transpose(0, 1, 3, 5, 2, 4)
    return images.reshape(images.shape[0], grid * grid, CHANNELS, REGION * REGION)


def from_regions(regions: Any) -> Any:
    """The way back from `to_regions`."""
    grid = SIDE // REGION
    regions = regions.reshape(-1, grid, grid, CHANNELS, REGION, REGION)
    return regions.transpose(0, 1, 4, 2, 5, 3).reshape(-1, *SHAPE)


def numpy_permuted(generator: np.random.Generator, images: np.ndarray) -> np.ndarray:
    """Shuffles every region and channel by NumPy's own in-place shuffle."""
    regions = np.ascontiguousarray(to_regions(images))
    return from_regions(generator.permuted(regions, axis=-1, out=regions))


@jax.jit
def jax_permutation(key: jax.Array, images: jax.Array) -> jax.Array:
    """Shuffles every region and channel by `jax.random.permutation`."""
    regions = to_regions(images)
    keys = jax.random.split(key, regions.shape[:3])
    one = jax.random.permutation
    return from_regions(jax.vmap(jax.vmap(jax.vmap(one)))(keys, regions))


def medians(ways: dict[str, Callable[[], Any]], times: int = 9) -> dict[str, float]:
    """Median seconds of each way, run in turn so that all share the same weather."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        jax.block_until_ready(way())
    for _ in range(times):
        for name, way in ways.items():
            start = time.perf_counter()
            jax.block_until_ready(way())
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(taken) for name, taken in seconds.items()}


def main() -> None:
    """Measures and prints the table."""
    generator = np.random.default_rng(0)
    host = generator.integers(0, 256, (IMAGES, *SHAPE), np.uint8)
    images = jnp.asarray(host)
    key = jax.random.key(0)
    keys = jax.vmap(vmixjax.image_key, (None, 0))(key, jnp.arange(IMAGES))
    plan = vmixjax.full_plan(SHAPE, CONFIG)
    mix = jax.jit(jax.vmap(vmixjax.mix, (0, 0, None)))
    unmix = jax.jit(jax.vmap(vmixjax.unmix, (0, 0, None)))
    ceiling = jax.jit(lambda x: x + 1)
    seconds = medians(
        {
            "x + 1 (the ceiling)": lambda: ceiling(images),
            "vmixjax.mix": lambda: mix(keys, images, plan),
            "vmixjax.unmix": lambda: unmix(keys, images, plan),
            "numpy.random.Generator.permuted": lambda: numpy_permuted(generator, host),
            "vmap(jax.random.permutation)": lambda: jax_permutation(key, images),
        }
    )
    ours = seconds["vmixjax.mix"]
    print(f"{'way':34}{'images/s':>10}{'of ceiling':>12}{'mix is':>14}")
    for name, taken in seconds.items():
        share = seconds["x + 1 (the ceiling)"] / taken
        print(f"{name:34}{IMAGES / taken:>10,.0f}{share:>12.3f}{taken / ours:>12.1f} x")


if __name__ == "__main__":
    main()

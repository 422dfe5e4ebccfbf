"""Other ways to shuffle the same regions: one permutation for each of them."""

import importlib.util
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def to_regions(images: Any, region: int) -> Any:
    """(B, H, W, C) -> (B, regions, C, values of a region)."""
    batch, height, width, channels = images.shape
    grid = images.reshape(
        batch, height // region, region, width // region, region, channels
    )
    return grid.transpose(0, 1, 3, 5, 2, 4).reshape(batch, -1, channels, region**2)


def from_regions(regions: Any, shape: tuple[int, ...], region: int) -> Any:
    """The way back from `to_regions`."""
    batch, height, width, channels = shape
    grid = regions.reshape(
        batch, height // region, width // region, channels, region, region
    )
    return grid.transpose(0, 1, 4, 2, 5, 3).reshape(shape)


def numpy_permuted(images: np.ndarray, region: int) -> np.ndarray:
    """NumPy's own in-place shuffle."""
    regions = np.ascontiguousarray(to_regions(images, region))
    np.random.default_rng(0).permuted(regions, axis=-1, out=regions)
    return from_regions(regions, images.shape, region)


def jax_permutation(images: jax.Array, region: int) -> jax.Array:
    """`jax.random.permutation`, one key and one call for each region."""
    regions = to_regions(images, region)
    keys = jax.random.split(jax.random.key(0), regions.shape[:3])
    one = jax.vmap(jax.vmap(jax.vmap(jax.random.permutation)))
    return from_regions(one(keys, regions), images.shape, region)


def jax_argsort(images: jax.Array, region: int) -> jax.Array:
    """Random numbers, their order by a sort, and a gather."""
    regions = to_regions(images, region)
    order = jnp.argsort(jax.random.bits(jax.random.key(0), regions.shape), axis=-1)
    mixed = jnp.take_along_axis(regions, order, axis=-1)
    return from_regions(mixed, images.shape, region)


def torch_argsort(images: np.ndarray, region: int) -> Any:
    """The same in PyTorch."""
    import torch

    batch, height, width, channels = images.shape
    grid = torch.from_numpy(images).reshape(
        batch, height // region, region, width // region, region, channels
    )
    regions = grid.permute(0, 1, 3, 5, 2, 4).reshape(batch, -1, channels, region**2)
    order = torch.rand(regions.shape).argsort(-1)
    mixed = regions.gather(-1, order).reshape(
        batch, height // region, width // region, channels, region, region
    )
    return mixed.permute(0, 1, 4, 2, 5, 3).reshape(images.shape).contiguous()


def albumentations_grid(images: np.ndarray, region: int) -> list[np.ndarray]:
    """RandomGridShuffle: moves whole cells of a grid; regions as its cells.

    Less work: cells trade places, what is in them stays as it is.
    """
    import albumentations

    grid = (images.shape[1] // region, images.shape[2] // region)
    shuffle = albumentations.RandomGridShuffle(grid=grid, p=1.0)
    return [shuffle(image=image)["image"] for image in images]


def published_rule(images: np.ndarray, region: int) -> np.ndarray:
    """The paper's rule, our reading: 8 x 8 blocks a region, region after region.

    One permutation serves the whole batch, as in the published code; its choice of
    block sizes by VFE and attention is left out, which makes it faster.
    """
    mixed = images.copy()
    rng = np.random.default_rng(0)
    block = max(1, region // 8)
    n = region // block
    batch, height, width, channels = images.shape
    for y in range(0, height, region):
        for x in range(0, width, region):
            for channel in range(channels):
                part = images[:, y : y + region, x : x + region, channel]
                blocks = part.reshape(batch, n, block, n, block).swapaxes(2, 3)
                blocks = blocks.reshape(batch, n * n, block, block)
                blocks = blocks[:, rng.permutation(n * n)]
                part = blocks.reshape(batch, n, n, block, block).swapaxes(2, 3)
                mixed[:, y : y + region, x : x + region, channel] = part.reshape(
                    batch, region, region
                )
    return mixed


def peers(images: np.ndarray, region: int) -> dict[str, Callable[[], Any]]:
    """Name -> way, for what is installed."""
    on_device = jnp.asarray(images)
    permutation = jax.jit(jax_permutation, static_argnums=1)
    argsort = jax.jit(jax_argsort, static_argnums=1)
    ways: dict[str, Callable[[], Any]] = {
        "numpy.random.Generator.permuted": lambda: numpy_permuted(images, region),
        "argsort and gather in JAX": lambda: argsort(on_device, region),
        "vmap(jax.random.permutation)": lambda: permutation(on_device, region),
        "the published rule in NumPy": lambda: published_rule(images, region),
    }
    if importlib.util.find_spec("torch"):
        ways["argsort and gather in PyTorch"] = lambda: torch_argsort(images, region)
    if importlib.util.find_spec("albumentations"):
        ways["albumentations.RandomGridShuffle"] = lambda: albumentations_grid(
            images, region
        )
    return ways

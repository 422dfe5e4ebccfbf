"""Photographs, and what attackers know of how they were mixed."""

import jax
import jax.numpy as jnp
import numpy as np

import vmixjax
from vmixjax.attacks.threat_model import ThreatModel
from vmixjax.demo.photographs import NAMES, load_photograph

KEY = jax.random.key(3)
PUBLIC = jnp.zeros((1, 8, 8, 3), jnp.uint8)


def photographs(side=320):
    """uint8 (5, side, side, 3), the middle of each."""
    start = (320 - side) // 2
    part = slice(start, start + side)
    return np.stack([load_photograph(name)[part, part] for name in NAMES])


def mixing(shape, region, block=1, channels="independent"):
    """What is known of the full plan of one level; its tiles are its regions."""
    config = vmixjax.MixConfig(region, ((region, block),), channels)
    plan = vmixjax.full_plan(shape, config)

    def protect(key, image):
        return vmixjax.mix(key, image, plan)

    return ThreatModel(protect, PUBLIC, region=region, block=block)


def mixed(threat_model, images, seed=0):
    """By the library, every image with its own key."""
    keys = jax.random.split(jax.random.key(seed), len(images))
    return np.asarray(jax.vmap(threat_model.protect)(keys, images))


def shuffled(images, region, block=1, channels="independent", *, seed=0, shared=False):
    """The same by NumPy alone, which compiles nothing.

    With `shared`, one permutation serves all images.
    """
    rng = np.random.default_rng(seed)
    batch, height, width, depth = images.shape
    rows, columns, n = height // region, width // region, region // block
    grid = images.reshape(batch, rows, n, block, columns, n, block, depth)
    items = grid.transpose(0, 1, 4, 7, 2, 5, 3, 6)  # block places after the channel
    shape = items.shape
    if channels == "shared":
        items = np.moveaxis(items, 3, -1)
        flat = items.reshape(batch, rows * columns, n * n, -1)
    elif channels == "joint":
        flat = items.reshape(batch, rows * columns, depth * n * n, -1)
    else:
        flat = items.reshape(batch, rows * columns * depth, n * n, -1)
    places = np.arange(flat.shape[2])[None, None]
    order = rng.permuted(
        np.broadcast_to(places, (1 if shared else batch, *flat.shape[1:3])), axis=-1
    )
    flat = np.take_along_axis(flat, order[..., None], axis=2).reshape(items.shape)
    items = np.moveaxis(flat, -1, 3) if channels == "shared" else flat
    assert items.shape == shape
    return items.transpose(0, 1, 4, 6, 2, 5, 7, 3).reshape(images.shape)


def error(some, others):
    """Root of the mean square, in grey values of 0 to 255."""
    return np.sqrt(np.mean((np.asarray(some, float) - np.asarray(others, float)) ** 2))


def means_of_regions(images, region):
    """Float (B, H, W, C), by NumPy alone."""
    batch, height, width, channels = images.shape
    grid = images.reshape(
        batch, height // region, region, width // region, region, channels
    )
    means = grid.astype(float).mean((2, 4))
    return means.repeat(region, 1).repeat(region, 2)

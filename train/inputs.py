"""From images as they are stored to what a model sees: augment, mix, give form.

Pure functions of arrays. Every random choice of an image comes from its own key, so it
depends on nothing but seed, step and the image's id.
"""

import math
from collections.abc import Callable

import dm_pix as pix
import jax
import jax.numpy as jnp

import vmixjax
from train.config import Config, check
from vmixjax.errors import RunError
from vmixjax.networks import centred
from vmixjax.planning import plan_at

Prepare = Callable[[jax.Array, jax.Array], jax.Array]
"""(keys (B,), images uint8 (B, H, W, C)) -> inputs of the model, float32."""

_Shift = Callable[[jax.Array, jax.Array], jax.Array]
"""(key, image (H, W, C)) -> the image, shifted at random."""

_AUGMENTATION = 1
"""Folded into an image's key: mixing uses the key itself."""


def image_keys(seed: int | jax.Array, step: jax.Array, ids: jax.Array) -> jax.Array:
    """Derives the keys of images in a step, (B,): `fold_in(fold_in(key, step), id)`.

    Anybody who knows the seed can compute them. Mixing inside the step protects from
    whom is shown the mixed images, not from whoever runs the training.
    """
    key = jax.random.fold_in(jax.random.key(seed, impl="threefry2x32"), step)
    return jax.vmap(vmixjax.image_key, (None, 0))(key, ids)


def check_shape(config: Config, shape: tuple[int, int, int]) -> None:
    """Refuses images that a config cannot mix.

    Raises:
      RunError: With the nearest size that fits; or as `check`.
    """
    check(config)
    tile = config.mixing.tile_size
    height, width = shape[:2]
    if config.mixing.where != "off" and (height % tile or width % tile):
        size = max(tile, round(min(height, width) / tile) * tile)
        raise RunError(
            f"images of {height} x {width} are not whole tiles of {tile}: resize them "
            f"with --data.image-size {size}, or choose another --mixing.tile-size"
        )
    done = config.mixing.where == "done" and config.mixing.form != "plain"
    if done and "crop" in config.data.augment and config.data.shift == "pixels":
        raise RunError(
            f"--data.shift pixels moves what is mixed already off its regions, which "
            f"--mixing.form {config.mixing.form} takes for granted: use --data.shift "
            f"regions, or --mixing.form plain"
        )


def region(config: Config) -> int:
    """Gives the side of the largest regions: what a model can rely on for any plan."""
    return max(size for size, _ in config.mixing.ladder)


def input_shape(
    config: Config, shape: tuple[int, int, int]
) -> tuple[tuple[int, int, int], int]:
    """Gives the shape of a model's inputs, and the side of a place in pixels."""
    if _form(config) != "regions":
        return shape, 1
    side = region(config)
    height, width, channels = shape
    return (height // side, width // side, channels * side * side), side


def training(config: Config) -> Prepare:
    """Makes what augments, mixes and gives form to a batch, for training."""
    return lambda keys, images: form(
        config, _mixed(config, keys, augmented(config, keys, images))
    )


def testing(config: Config) -> Prepare:
    """Makes what mixes and gives form to a batch, for tests and predictions."""
    return lambda keys, images: form(config, _mixed(config, keys, images))


def augmented(config: Config, keys: jax.Array, images: jax.Array) -> jax.Array:
    """Shifts and mirrors images (B, H, W, C) at random; edges are reflected.

    Images that are mixed afterwards, or are already, are shifted by whole regions
    unless the config says otherwise. Mirrored, they have the same regions, too.
    """
    augment = config.data.augment
    shape = images.shape[1:]
    whole = config.mixing.where != "off" and config.data.shift == "regions"
    shift = _shifted_by_regions(config, shape) if whole else _shifted_by_pixels(shape)

    def one(key: jax.Array, image: jax.Array) -> jax.Array:
        crop_key, flip_key = jax.random.split(jax.random.fold_in(key, _AUGMENTATION))
        if "crop" in augment:
            image = shift(crop_key, image)
        if "flip" in augment:
            image = pix.random_flip_left_right(flip_key, image)
        return image

    return jax.vmap(one)(keys, images)


def _shifted_by_pixels(shape: tuple[int, ...]) -> _Shift:
    """Makes what shifts an image by up to an eighth of a side."""
    margin = max(1, min(shape[:2]) // 8)
    sides = ((margin, margin), (margin, margin), (0, 0))

    def shift(key: jax.Array, image: jax.Array) -> jax.Array:
        return pix.random_crop(key, jnp.pad(image, sides, "reflect"), shape)

    return shift


def _shifted_by_regions(config: Config, shape: tuple[int, ...]) -> _Shift:
    """Makes what shifts an image so that its regions stay the same regions.

    By up to an eighth of a side, or one region where that is more; not at all where one
    is more than a quarter: what would be left is no longer the image.
    """
    # A shift that keeps regions of all sizes whole.
    side = math.lcm(*(size for size, _ in config.mixing.ladder))
    shortest = min(shape[:2])
    most = max(1, shortest // 8 // side) if 4 * side <= shortest else 0
    margin = most * side
    sides = ((margin, margin), (margin, margin), (0, 0))

    def shift(key: jax.Array, image: jax.Array) -> jax.Array:
        down, across = side * jax.random.randint(key, (2,), 0, 2 * most + 1)
        # Each edge is in its reflection too: else regions there would hold other sums.
        padded = jnp.pad(image, sides, "symmetric")
        return jax.lax.dynamic_slice(padded, (down, across, 0), shape)

    return shift


def form(config: Config, images: jax.Array) -> jax.Array:
    """Brings mixed images (B, H, W, C) to what the model is to see, float32."""
    seen = _form(config)
    if seen == "plain":
        return centred(images)
    side, channels = region(config), config.mixing.channels
    images = jax.vmap(lambda image: vmixjax.canonical(image, side, channels=channels))(
        images
    )
    if seen == "canonical":
        return centred(images)
    count, height, width, _ = images.shape
    rows, columns = height // side, width // side
    regions = images.reshape(count, rows, side, columns, side, -1)
    values = regions.transpose(0, 1, 3, 5, 2, 4)
    return centred(values.reshape(count, rows, columns, -1))


def _form(config: Config) -> str:
    """Clean images are seen as they are, whatever is to be done with mixed ones."""
    return "plain" if config.mixing.where == "off" else config.mixing.form


def _mixed(config: Config, keys: jax.Array, images: jax.Array) -> jax.Array:
    """Images (B, H, W, C), each mixed by its key as the config says."""
    mixing = config.mixing
    if mixing.where != "step":
        return images

    def mix(key: jax.Array, image: jax.Array) -> jax.Array:
        plan = plan_at(image, mixing.strength, mixing.config)
        return vmixjax.mix(key, image, plan)

    return jax.vmap(mix)(keys, images)

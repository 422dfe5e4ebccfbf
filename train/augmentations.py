"""Augmentation: images changed at random so that a network sees more than there are.

What is done to one image follows from its own key. Images that are mixed already, or
will be, keep their regions whole: shifts are by whole regions, and so are rectangles
that are erased or pasted. Changes of colours commute with shuffling.
"""

import math
from collections.abc import Callable
from typing import Any

import dm_pix as pix
import jax
import jax.numpy as jnp

from train.config import Config, Optimizer
from train.geometry import Move, Shift, Zoom, mean_colour

_Change = Callable[[jax.Array, jax.Array], jax.Array]
"""(key, image (H, W, C)) -> the image, changed at random."""

_Targets = dict[str, Any]
"""Arrays by name."""

_GEOMETRY, _COLOURS, _ERASED, _UPENDED, _ZOOMED = 1, 2, 3, 4, 9
"""Folded into an image's key: mixing uses the key itself."""


def augmented(
    config: Config,
    keys: jax.Array,
    images: jax.Array,
    targets: _Targets,
    *,
    moved: Callable[[_Targets, Move], _Targets],
    fills: bool = False,
) -> tuple[jax.Array, _Targets]:
    """Shifts, mirrors, recolours and erases at random; images uint8 (B, H, W, C).

    Images that are mixed afterwards, or are already, are shifted by whole regions
    unless the config says otherwise, and keep their size then. Mirrored, they have the
    same regions, too.

    Args:
      config: What is done.
      keys: Of the images.
      images: The images.
      targets: What is to be learned of them.
      moved: Moves that of one image with it.
      fills: Whether what lies beyond images is of their mean colour, and no reflection.
    """
    augment = config.data.augment
    shape = images.shape[1:]
    shift = _shift(config, shape) if "crop" in augment else None
    zooms = config.data.zoom != (1, 1) and _by_pixels(config)
    recoloured, erased = _recoloured(config.data.jitter), _erased(config, shape)

    def one(
        key: jax.Array, image: jax.Array, target: _Targets
    ) -> tuple[jax.Array, _Targets]:
        crop_key, flip_key = jax.random.split(jax.random.fold_in(key, _GEOMETRY))
        upend_key = jax.random.fold_in(key, _UPENDED)
        move = Move(
            shape[:2],
            shift,
            None if shift is None else shift.draw(crop_key),
            jax.random.bernoulli(flip_key) if "flip" in augment else None,
            jax.random.bernoulli(upend_key) if config.data.upend else None,
            Zoom.draw(jax.random.fold_in(key, _ZOOMED), shape[:2], config.data.zoom)
            if zooms
            else None,
        )
        image = move.picture(image, mean_colour(image) if fills else None)
        if config.data.jitter:
            image = recoloured(jax.random.fold_in(key, _COLOURS), image)
        if config.data.erase:
            image = erased(jax.random.fold_in(key, _ERASED), image)
        return image, moved(target, move)

    return jax.vmap(one)(keys, images, targets)


def blended(
    key: jax.Array,
    options: Optimizer,
    unit: int,
    inputs: jax.Array,
    *targets: jax.Array,
) -> tuple[jax.Array, ...]:
    """Blends each of a batch with another one, by mixup or by CutMix.

    Where the options have both, a fair coin of the batch decides.

    Args:
      key: Of the batch.
      options: Alphas of both.
      unit: Side of the squares that are pasted whole, in places of the inputs.
      inputs: Of the model, (B, H, W, C).
      targets: What is to be learned of each, (B, classes), floating.

    Returns:
      All of them, blended by the same shares.

    References:
      Zhang et al., "mixup" (ICLR 2018, arXiv 1710.09412); Yun et al., "CutMix" (ICCV
      2019, arXiv 1905.04899), one share and rectangle for a batch, as published.
    """
    if not options.mixup and not options.cutmix:
        return inputs, *targets
    # Any fixed pairing does: batches are in random order.
    if not options.cutmix:
        share = jax.random.beta(key, *2 * (options.mixup,))
        return tuple(share * x + (1 - share) * x[::-1] for x in (inputs, *targets))
    coin_key, share_key, place_key = jax.random.split(key, 3)
    wanted = jax.random.beta(share_key, *2 * (options.cutmix,))
    sides = jnp.sqrt(1 - wanted)
    pasted = _rectangle(place_key, inputs.shape[1:3], unit, sides)
    mask = pasted.astype(inputs.dtype)[:, :, None]
    share = 1 - mask.mean()
    if options.mixup:
        by_mixup = jax.random.bernoulli(coin_key)
        drawn = jax.random.beta(share_key, *2 * (options.mixup,))
        share = jnp.where(by_mixup, drawn, share)
        mask = jnp.where(by_mixup, 1 - drawn, mask)
    seen = inputs * (1 - mask) + inputs[::-1] * mask
    return seen, *(share * y + (1 - share) * y[::-1] for y in targets)


def whole_side(config: Config) -> int:
    """Gives the side of squares, in pixels, that hold whole regions of all sizes."""
    if config.mixing.where == "off":
        return 1
    return math.lcm(*(size for size, _ in config.mixing.ladder))


def _by_pixels(config: Config) -> bool:
    """Whether images need not keep their regions."""
    return config.mixing.where == "off" or config.data.shift == "pixels"


def _shift(config: Config, shape: tuple[int, ...]) -> Shift:
    """How images of a shape may be shifted: by up to an eighth of a side.

    By whole regions, so that these stay the same regions, it is one where that is more;
    none where one is more than a quarter: what would be left is no longer the image.
    """
    shortest, share = min(shape[:2]), config.data.shifted
    if share is None:
        # By regions, half are better than all: see the notes on training.
        share = 1.0 if _by_pixels(config) else 0.5
    if _by_pixels(config):
        return Shift(max(1, shortest // 8), 1, "reflect", share)
    side = whole_side(config)
    most = max(1, shortest // 8 // side) if 4 * side <= shortest else 0
    # Each edge is in its reflection too: else regions there would hold other sums.
    return Shift(most * side, side, "symmetric", share)


def _recoloured(strength: float) -> _Change:
    """Makes what changes contrast and brightness, and each channel a little by itself.

    Each channel is scaled about its mean and moved, the same in all places: so it can
    be done after mixing as well as before.
    """

    def change(key: jax.Array, image: jax.Array) -> jax.Array:
        contrast_key, brightness_key, channel_key = jax.random.split(key, 3)
        values = image.astype(jnp.float32) / 255
        values = pix.random_contrast(contrast_key, values, 1 - strength, 1 + strength)
        values = pix.random_brightness(brightness_key, values, strength / 4)
        spread = strength / 8
        values += jax.random.uniform(
            channel_key, image.shape[2:], minval=-spread, maxval=spread
        )
        return jnp.round(jnp.clip(values, 0, 1) * 255).astype(image.dtype)

    return change


def _erased(config: Config, shape: tuple[int, ...]) -> _Change:
    """Makes what fills a rectangle with the mean colour of the image, in some images.

    References:
      Zhong et al., "Random Erasing Data Augmentation" (AAAI 2020, arXiv 1708.04896);
      whole regions are ours.
    """
    unit = whole_side(config)

    def erase(key: jax.Array, image: jax.Array) -> jax.Array:
        chosen_key, side_key, place_key = jax.random.split(key, 3)
        chosen = jax.random.bernoulli(chosen_key, config.data.erase)
        sides = jax.random.uniform(side_key, minval=0.125, maxval=0.5)
        inside = chosen & _rectangle(place_key, shape[:2], unit, sides)
        return jnp.where(inside[:, :, None], mean_colour(image), image)

    return erase


def _rectangle(
    key: jax.Array, shape: tuple[int, ...], unit: int, sides: jax.Array
) -> jax.Array:
    """Draws where a rectangle lies, bool (H, W), in whole squares of `unit` places.

    Its sides are a share of the image's; all places of its middle are as likely, and
    what is outside of the image is cut off.
    """
    insides = []
    for axis_key, length in zip(jax.random.split(key), shape, strict=True):
        middle = jax.random.uniform(axis_key, maxval=length)
        edges = middle + length * sides * jnp.array([-0.5, 0.5])
        first, last = jnp.round(edges / unit) * unit
        places = jnp.arange(length)
        insides.append((places >= first) & (places < last))
    return insides[0][:, None] & insides[1]

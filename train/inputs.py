"""From images as they are stored to what a model sees: augment, mix, give form.

Pure functions of arrays. Every random choice of an image comes from its own key, so it
depends on nothing but seed, step and the image's id.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

import vmixjax
from train.augmentations import augmented, whole_side
from train.config import Config, check
from train.forms import FORMS, Form
from train.tasks.task import Targets, Task
from vmixjax.errors import RunError
from vmixjax.planning import plan_at

Prepare = Callable[[jax.Array, jax.Array], jax.Array]
"""(keys (B,), images uint8 (B, H, W, C)) -> inputs of the model, float32."""

PrepareBoth = Callable[[jax.Array, jax.Array, Targets], tuple[jax.Array, Targets]]
"""The same, with what is to be learned of them."""


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
        sides = [max(tile, round(side / tile) * tile) for side in (height, width)]
        option = f"--data.image-size {min(sides)}"
        if config.task != "classify" or config.data.image_shape is not None:
            option = f"--data.image-shape {sides[0]} {sides[1]}"
        raise RunError(
            f"images of {height} x {width} are not whole tiles of {tile}: resize them "
            f"with {option}, or choose another --mixing.tile-size"
        )
    channels = FORMS[config.mixing.form].channels
    if config.mixing.where != "off" and config.mixing.channels not in channels:
        raise RunError(
            f"--mixing.form {config.mixing.form} is for --mixing.channels "
            f"{' or '.join(channels)}, and not for {config.mixing.channels}: choose "
            f"--mixing.form regions"
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
    image = jax.ShapeDtypeStruct((1, *shape), jnp.uint8)
    seen = jax.eval_shape(functools.partial(form, config), image).shape[1:]
    return seen, region(config) if _form(config).place else 1


def training(config: Config, task: Task) -> PrepareBoth:
    """Makes what augments, mixes and gives form to a batch, for training."""

    def prepare(
        keys: jax.Array, images: jax.Array, targets: Targets
    ) -> tuple[jax.Array, Targets]:
        images, targets = augmented(
            config, keys, images, targets, moved=task.moved, fills=task.fills
        )
        return _seen(config, keys, images), targets

    return prepare


def testing(config: Config) -> Prepare:
    """Makes what mixes and gives form to a batch, for tests and predictions."""
    return functools.partial(_seen, config)


def _seen(config: Config, keys: jax.Array, images: jax.Array) -> jax.Array:
    """Mixes images (B, H, W, C), each by its key, and gives form to them."""
    # Regions of a weaker level lie whole inside the largest ones, or they do not, as
    # 4 x 4 and 6 x 6 pixels: then even values that are sorted depend on the key.
    nested = whole_side(config) == region(config)
    if not (_form(config).keyless and nested):
        images = mixed(config, keys, images)
    return form(config, images)


def form(config: Config, images: jax.Array) -> jax.Array:
    """Brings mixed images (B, H, W, C) to what the model is to see, float32."""
    return _form(config).make(images, region(config), config.mixing.channels)


def unit(config: Config) -> int:
    """Gives the side of squares of whole regions, in places of a model's inputs."""
    return 1 if _form(config).place else whole_side(config)


def _form(config: Config) -> Form:
    """Clean images are seen as they are, whatever is to be done with mixed ones."""
    return FORMS["plain" if config.mixing.where == "off" else config.mixing.form]


def mixed(config: Config, keys: jax.Array, images: jax.Array) -> jax.Array:
    """Mixes images (B, H, W, C), each by its key, if the config says so."""
    mixing = config.mixing
    if mixing.where != "step":
        return images

    def mix(key: jax.Array, image: jax.Array) -> jax.Array:
        plan = plan_at(image, mixing.strength, mixing.config)
        return vmixjax.mix(key, image, plan)

    return jax.vmap(mix)(keys, images)

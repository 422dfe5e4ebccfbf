"""Recipes: ways to learn, each a change of a config, so that they can be compared.

A recipe is an entry in `RECIPES`; `"shifts+distill"` is two of them together.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from train.config import Config
from vmixjax.errors import RunError, none_of


class Recipe(NamedTuple):
    """A way to learn.

    Attributes:
      about: What it is, for people.
      change: Makes a config one of it.
      taught: Whether it needs the soft labels of a teacher.
    """

    about: str
    change: Callable[[Config], Config]
    taught: bool = False


def changed(config: Config, **parts: dict[str, Any]) -> Config:
    """Gives a config with other options: `changed(c, model={"width": 8})`."""
    return dataclasses.replace(
        config,
        **{
            part: dataclasses.replace(getattr(config, part), **values)
            for part, values in parts.items()
        },
    )


def _base(config: Config) -> Config:
    return config


RECIPES: dict[str, Recipe] = {
    "base": Recipe("as the options say", _base),
    "best": Recipe(
        "what does best of those that are measured: mirrored and shifted images, and "
        "label smoothing",
        # Which gains as much from clean images as from mixed ones.
        lambda c: changed(
            c, data={"augment": "crop-flip"}, optimizer={"label_smoothing": 0.1}
        ),
    ),
    "flips": Recipe(
        "mirrored images only",
        lambda c: changed(c, data={"augment": "flip"}),
    ),
    "shifts": Recipe(
        "mirrored, and all shifted by whole regions",
        lambda c: changed(
            c, data={"augment": "crop-flip", "shift": "regions", "shifted": 1.0}
        ),
    ),
    "jitter": Recipe(
        "random contrast, brightness and tint",
        lambda c: changed(c, data={"jitter": 0.2}),
    ),
    "erase": Recipe(
        "a rectangle of regions erased in half of the images",
        lambda c: changed(c, data={"erase": 0.5}),
    ),
    "mixup": Recipe("mixup", lambda c: changed(c, optimizer={"mixup": 0.2})),
    "cutmix": Recipe(
        "CutMix of whole regions", lambda c: changed(c, optimizer={"cutmix": 1.0})
    ),
    "smoothing": Recipe(
        "label smoothing", lambda c: changed(c, optimizer={"label_smoothing": 0.1})
    ),
    "decay": Recipe(
        "weight decay", lambda c: changed(c, optimizer={"weight_decay": 0.05})
    ),
    "average": Recipe(
        "a moving average of the parameters",
        lambda c: changed(c, optimizer={"average": 0.998}),
    ),
    "distill": Recipe(
        "a teacher's soft labels",
        lambda c: changed(c, optimizer={"distill": 0.5, "temperature": 2.0}),
        taught=True,
    ),
    "scratch": Recipe(
        "from the start, whatever --start-from says",
        lambda c: dataclasses.replace(c, start_from=None),
    ),
    "set": Recipe(
        "regions as sets of pixels, half as wide, which takes as long",
        lambda c: changed(c, model={"stem": "set", "widened": c.model.widened / 2}),
    ),
    "patches": Recipe(
        "a network for regions on patches of 2 x 2 pixels, if images are clean",
        lambda c: (
            changed(c, model={"stem": "patch", "patch_size": 2})
            if c.mixing.where == "off"
            else c
        ),
    ),
    "vit": Recipe(
        "a small ViT, each region a token",
        lambda c: changed(
            c,
            model={"name": "vit_ti", "width": 36},
            # Higher rates, which suit ResNets, leave a ViT behind.
            optimizer={"learning_rate": 2e-3},
        ),
    ),
    "convmixer": Recipe(
        "a small ConvMixer, each region a token",
        # As long a step as the others on a CPU, which is slow at convolutions of one
        # channel each: of as many operations it is one of 128.
        lambda c: changed(c, model={"name": "convmixer_256_8", "width": 32}),
    ),
    "spread": Recipe(
        "a region as 2 x 2 places", lambda c: changed(c, model={"stem": "spread"})
    ),
}
"""All recipes by name."""


def named(name: str) -> Recipe:
    """Gives the recipe of a name, or of names with + between them, one after another.

    Raises:
      RunError: There is none of a name.
    """
    parts = []
    for one in name.split("+"):
        if one not in RECIPES:
            raise RunError(none_of("--recipes", one, RECIPES))
        parts.append(RECIPES[one])
    return Recipe(
        "; ".join(part.about for part in parts),
        lambda config: functools.reduce(lambda c, one: one.change(c), parts, config),
        any(part.taught for part in parts),
    )

"""What `compare` compares: every combination is a way to train, an arm."""

import dataclasses
from typing import Literal

from train.config import FormName, OptimizerName
from vmixjax.config import Channels

Protocol = Literal["step", "release"]


@dataclasses.dataclass(frozen=True)
class Axes:
    """What differs between the arms."""

    protocols: tuple[Protocol, ...] = ("step", "release")
    """Who mixes: whoever trains, anew in each step; or the owner, once."""
    forms: tuple[FormName, ...] = ("plain", "regions")
    """What the model sees of mixed images, see --mixing.form."""
    channels: tuple[Channels, ...] = ("independent",)
    """Modes of mixing, see --mixing.channels."""
    across: tuple[int, ...] = ()
    """Numbers of regions across the shorter side; by default as many as the config."""
    recipes: tuple[str, ...] = ("base",)
    """Ways to learn from mixed images; those in train/recipes.py, or several of them
    together, with + between the names."""
    clean_recipes: tuple[str, ...] = ("base",)
    """Those from clean images; points are lost against the best of them."""
    optimizers: tuple[OptimizerName, ...] = ("adam",)
    """Each is used for mixed images, the first for clean ones."""

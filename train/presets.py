"""Named starting points: everything in them can be overridden on the command line."""

import dataclasses

from train.config import Config, Data, Mixing, Model


def recipe(config: Config) -> Config:
    """A config for mixed images, with the form of input that loses least."""
    return dataclasses.replace(
        config, mixing=dataclasses.replace(config.mixing, form="regions")
    )


_DIGITS = Config(
    data=Data("digits"),
    mixing=Mixing(tile_size=8, ladder=((8, 1),)),
    model=Model("cnn"),
    steps=600,
    every=100,
)
_CIFAR10 = Config(
    data=Data("tfds:cifar10", augment="crop-flip"),
    mixing=Mixing(tile_size=4, ladder=((4, 1),)),
    model=Model("resnet18", stem="cifar"),
    steps=19_500,
    every=390,
)

PRESETS: dict[str, Config] = {
    "digits": _DIGITS,
    "mnist": dataclasses.replace(
        _DIGITS,
        data=Data("tfds:mnist", image_size=28, augment="crop"),
        mixing=Mixing(tile_size=4, ladder=((4, 1),)),
        steps=4_700,
        every=470,
    ),
    "fashion_mnist": dataclasses.replace(
        _DIGITS,
        data=Data("tfds:fashion_mnist", image_size=28, augment="crop-flip"),
        mixing=Mixing(tile_size=4, ladder=((4, 1),)),
        steps=4_700,
        every=470,
    ),
    "cifar10": _CIFAR10,
    "imagenet100": Config(
        data=Data("folder:imagenet100", image_size=224, augment="crop-flip"),
        mixing=Mixing(tile_size=16, ladder=((16, 1),)),
        model=Model("resnet50"),
        batch_size=256,
        steps=45_000,
        every=1_000,
    ),
}
"""By name. imagenet100 expects its folder of classes to be named with --data.source."""

"""Which feature of a TFDS data set is the image, and which belong to it."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from vmixjax.data.formats.format import SourceOptions
from vmixjax.errors import RunError

IMAGE = "image"
"""What the image is called in most data sets, and in a release."""

_MOST_SIDE = 2**24


def choose_image(
    name: str, features: Any, options: SourceOptions
) -> tuple[str, Any, dict[str, Any]]:
    """Chooses the feature that is the image.

    Args:
      name: Name of the data set, for complaints.
      features: Its `tfds.features.FeaturesDict`.
      options: What is wanted of it: by default the image is called `image`, or is the
        only one.

    Returns:
      Name of the image, with slashes where it lies in others; its feature; and all
      other features by their names.

    Raises:
      RunError: There is no such image, or it is left open which it is.
    """
    there = f"{name} has {', '.join(features)}"
    images = dict(sorted(_images(features)))
    chosen = options.image
    if chosen is None and IMAGE in images:
        chosen = IMAGE
    if chosen is None:
        # Pictures of classes or depths are not what a data set is about.
        plain = [
            key
            for key, feature in images.items()
            if type(feature) is tfds.features.Image and key not in options.drop
        ]
        if len(plain) > 1:
            raise RunError(
                f"{name} has several images, {', '.join(plain)}: choose one, as by "
                f"--image {plain[0]} --drop {' '.join(plain[1:])}"
            )
        if not plain:
            raise RunError(
                f"{name} has no feature that is an image of whole numbers; it has "
                f"{', '.join(features)}"
            )
        chosen = plain[0]
    if chosen not in images:
        may = f"; images are {', '.join(images)}" if images else ""
        raise RunError(f"--image {chosen} is no image of whole numbers: {there}{may}")
    others = _others(features, chosen)
    if options.keep is None:
        others.pop(IMAGE, None)
    if IMAGE in others and IMAGE not in options.drop:
        raise RunError(
            f"{name} has a feature {IMAGE!r} beside the image, which is called so in a "
            f"release: leave it behind with --drop {IMAGE}"
        )
    return chosen, images[chosen], others


def _images(features: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, Any]]:
    """All features that may be the image, those in others as well."""
    for key, feature in features.items():
        if isinstance(feature, tfds.features.FeaturesDict):
            yield from _images(feature, f"{within}{key}/")
        elif _is_fit(feature):
            yield f"{within}{key}", feature


def _is_fit(feature: Any) -> bool:
    return (
        isinstance(feature, tfds.features.Image)
        and feature.np_dtype != np.float32
        and len(feature.shape) == 3
        and feature.shape[2] in (1, 2, 3, 4)
        and not any(side is not None and side > _MOST_SIDE for side in feature.shape)
    )


def _others(features: Mapping[str, Any], chosen: str) -> dict[str, Any]:
    """All other features; those beside an image that lies in one, each for itself."""
    others = dict(features.items())
    if chosen in others:
        del others[chosen]
        return others
    for key, feature in features.items():
        rest = chosen.removeprefix(f"{key}/")
        if rest != chosen and isinstance(feature, tfds.features.FeaturesDict):
            del others[key]
            within = _others(feature, rest)
            others |= {f"{key}/{name}": one for name, one in within.items()}
    return others

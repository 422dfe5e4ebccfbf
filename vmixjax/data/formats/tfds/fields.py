"""What the features of a TFDS data set are to a release, and which may pass."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from vmixjax.data.example import (
    Field,
    Label,
    Probabilities,
    Raw,
    Text,
    class_field,
)
from vmixjax.data.formats.format import SourceOptions
from vmixjax.data.formats.tfds.stored import probabilities_of
from vmixjax.data.naming import telling, tells_person
from vmixjax.errors import RunError

_LABELS = ("label", "cls")
"""Numbers that are called so are those of classes, as tar files have them."""


def fields_of(
    features: Mapping[str, Any], options: SourceOptions
) -> Mapping[str, Field]:
    """Gives what the features beside the image are, without those left behind.

    Raises:
      RunError: Some may show what the images show, or tell whose they are, and are
        neither dropped nor kept.
    """
    keep = options.keep
    left = {
        # Protobuf has them in another order in each process.
        key: features[key]
        for key in sorted(features)
        if key not in options.drop
    }
    # Soft labels are labels, as classes are.
    asked = {
        key: feature
        for key, feature in left.items()
        if keep is not None and key not in keep and not probabilities_of(key, feature)
    }
    _check("may show what the images show", filter(lambda k: _shows(left[k]), asked))
    _check("may tell whose image it is", filter(lambda k: _tells(k, left[k]), asked))
    fields = {key: _field(key, left[key], asked=key in asked) for key in left}
    label = fields.get(class_field(fields) or "")
    names = (label.names or ()) if isinstance(label, Label) else ()
    return {key: _named(field, names) for key, field in fields.items()}


def _check(why: str, keys: Any) -> None:
    if names := sorted(keys):
        of, it = ("features", "them") if len(names) > 1 else ("feature", "it")
        every = " ".join(names)
        raise RunError(
            f"the {of} {', '.join(names)} {why}: leave {it} behind with --drop "
            f"{every}, or let {it} through with --keep {every}"
        )


def _named(field: Field, names: tuple[str, ...]) -> Field:
    """Probabilities with the names of their classes, which only the label has."""
    if isinstance(field, Probabilities) and field.count == len(names):
        return dataclasses.replace(field, names=names)
    return field


def _field(key: str, feature: Any, *, asked: bool) -> Field:
    if isinstance(feature, tfds.features.ClassLabel):
        return Label(tuple(feature.names))
    if key in _LABELS and _is_number(feature) and feature.np_dtype == np.int64:
        return Label()
    if _is_text(feature):
        return Text(naming=asked and telling(key) == "names")
    return probabilities_of(key, feature) or Raw(feature, placed=_is_placed(feature))


def _shows(feature: Any) -> bool:
    """Arrays and pixels pass only when they are meant to."""
    known = isinstance(feature, tfds.features.ClassLabel)
    return not (known or _is_text(feature) or _is_number(feature))


def _tells(key: str, feature: Any) -> bool:
    if isinstance(feature, tfds.features.ClassLabel):
        return tells_person(key)
    told = telling(key)
    # Texts that name an image, and no more, become its number.
    return told == "unclear" or (told == "names" and _is_number(feature))


def _is_text(feature: Any) -> bool:
    scalar = isinstance(feature, tfds.features.Scalar)
    return isinstance(feature, tfds.features.Text) or (
        scalar and np.dtype(feature.np_dtype).kind in "OSU"
    )


def _is_number(feature: Any) -> bool:
    return isinstance(feature, tfds.features.Scalar) and not _is_text(feature)


def _is_placed(feature: Any) -> bool:
    """Whether it holds boxes, as parts of the image, or pixels, as many as it has."""
    if isinstance(feature, tfds.features.FeaturesDict):
        return any(map(_is_placed, feature.values()))
    if isinstance(feature, tfds.features.Sequence | tfds.features.Dataset):
        return _is_placed(feature.feature)
    return isinstance(feature, tfds.features.BBoxFeature | tfds.features.Image)

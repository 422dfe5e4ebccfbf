"""What the features of a TFDS data set are to a release, and which may pass."""

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

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
from vmixjax.data.formats.tfds.annotations import (
    mask_of,
    objects_of,
    others_of,
    unfit_of,
)
from vmixjax.data.formats.tfds.stored import probabilities_of
from vmixjax.data.naming import telling, tells_person
from vmixjax.data.objects import OBJECTS, Objects
from vmixjax.errors import RunError

_LABELS = ("label", "cls")
"""Numbers that are called so are those of classes, as tar files have them."""


class Fields(NamedTuple):
    """What the features of a data set are to a release.

    Attributes:
      fields: What belongs to each image, by name.
      places: Names of features whose fields are called otherwise.
    """

    fields: Mapping[str, Field]
    places: Mapping[str, str]


class _Found(NamedTuple):
    """The feature that is the boxes, and what its field is.

    Attributes:
      key: Its name.
      aliases: What users may call it.
      field: What it is.
      others: What each box has beside its class: features by their names.
    """

    key: str
    aliases: frozenset[str]
    field: Objects
    others: Mapping[str, Any]

    def names(self, one: str) -> set[str]:
        """Gives what users may call one of what each box has."""
        return {f"{alias}/{one}" for alias in self.aliases}


def fields_of(name: str, features: Mapping[str, Any], options: SourceOptions) -> Fields:
    """Gives what the features beside the image are, without those left behind.

    Args:
      name: Name of the data set, for complaints.
      features: Its features beside the image.
      options: What is wanted of it. What each box has is called as in `objects/id`.

    Raises:
      RunError: Some may show what the images show, or tell whose they are, and are
        neither dropped nor kept; or what is to be dropped or kept is not there.
    """
    boxes = _find_boxes(features, options)
    inside = (
        {each for one in boxes.others for each in boxes.names(one)} if boxes else ()
    )
    known = {*features, *inside, *(boxes.aliases if boxes else ())}
    there = ", ".join([*features, *sorted(inside)])
    options.check_fields(known, f"{name} has {there} beside the image")
    keep = options.keep
    left = {
        # Protobuf has them in another order in each process.
        key: features[key]
        for key in sorted(features)
        if key not in options.drop and not (boxes and key == boxes.key)
    }
    masks = {
        key: None if options.raw else mask_of(key, feature)
        for key, feature in left.items()
    }
    # Soft labels are labels, as classes are, and so are boxes. Whether masks may pass
    # is for those to say who make releases.
    asked = {
        key: feature
        for key, feature in left.items()
        if keep is not None
        and key not in keep
        and not probabilities_of(key, feature)
        and masks[key] is None
    }
    shows = [key for key in asked if _shows(left[key])]
    # Often it is but a text that boxes come with.
    rest = [f"{key}/{one}" for key in shows for one in unfit_of(left[key])]
    boxed = f"; --drop {' '.join(rest)} is enough for boxes to pass" if rest else ""
    _check("may show what the images show", shows, boxed)
    tells = [key for key in asked if _tells(key, left[key])]
    if boxes and keep is not None:
        tells += _telling_others(boxes, {*options.drop, *keep})
    _check("may tell whose image it is", tells)
    fields: dict[str, Field] = {
        key: masks[key] or _field(key, left[key], asked=key in asked) for key in left
    }
    label = fields.get(class_field(fields) or "")
    names = (label.names or ()) if isinstance(label, Label) else ()
    fields = {key: _named(field, names) for key, field in fields.items()}
    if boxes is None or boxes.aliases & set(options.drop):
        return Fields(fields, {})
    # Another feature may be called so.
    called = boxes.key if OBJECTS in fields else OBJECTS
    fields[called] = boxes.field
    return Fields(dict(sorted(fields.items())), {called: boxes.key})


def _find_boxes(features: Mapping[str, Any], options: SourceOptions) -> _Found | None:
    """The feature that is the boxes: called so, or the only one that may be."""
    if options.raw:
        return None
    found: dict[str, _Found] = {}
    for key, feature in features.items():
        aliases = frozenset({key} if OBJECTS in features else {key, OBJECTS})
        one = _Found(key, aliases, Objects(), others_of(feature))
        drop = [part for part in one.others if one.names(part) & set(options.drop)]
        field = objects_of(feature, drop)
        if field is not None:
            found[key] = one._replace(field=field)
    # Those left behind are still to be known by their names.
    among = {key: one for key, one in found.items() if key not in options.drop} or found
    if len(among) > 1 and OBJECTS not in among:
        return None
    return among.get(OBJECTS, next(iter(among.values()), None))


def _telling_others(boxes: _Found, settled: Collection[str]) -> Iterator[str]:
    """Names what each box has that may tell whose it is, and is not asked for."""
    if boxes.aliases.isdisjoint(settled):
        for one, feature in boxes.others.items():
            named = not boxes.names(one).isdisjoint(settled)
            if _tells(one, feature, number=True) and not named:
                yield f"{boxes.key}/{one}"


def _check(why: str, keys: Iterable[str], more: str = "") -> None:
    if names := sorted(keys):
        of, it = ("features", "them") if len(names) > 1 else ("feature", "it")
        every = " ".join(names)
        raise RunError(
            f"the {of} {', '.join(names)} {why}: leave {it} behind with --drop "
            f"{every}, or let {it} through with --keep {every}{more}"
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


def _tells(key: str, feature: Any, *, number: bool = False) -> bool:
    """Whether a feature, which may be known as a number, may tell whose an image is."""
    if isinstance(feature, tfds.features.ClassLabel):
        return tells_person(key)
    told = telling(key)
    # Texts that name an image, and no more, become its number.
    return told == "unclear" or (told == "names" and (number or _is_number(feature)))


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

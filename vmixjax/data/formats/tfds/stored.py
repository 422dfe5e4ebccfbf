"""How records of TFDS store what belongs to an image: each kind of field."""

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from vmixjax.data.example import Field, Label, Pixels, Probabilities, Raw, Text
from vmixjax.data.formats.tfds.annotations import (
    add_boxes,
    boxes_of,
    mask_feature,
    mask_of,
    objects_feature,
    objects_of,
)
from vmixjax.data.mask_files import decode_mask, encode_mask, mask_bytes
from vmixjax.data.masks import Mask
from vmixjax.data.objects import Objects
from vmixjax.data.probabilities import SOFT_LABEL, check_probabilities
from vmixjax.data.room import MAX_PIXELS


def feature_of(field: Field, pixels: Pixels) -> Any:
    """Gives the feature that holds a field of images that have so much in common."""
    if isinstance(field, Label):
        if field.names is None:
            return tfds.features.Scalar(np.int64)
        return tfds.features.ClassLabel(names=list(field.names))
    if isinstance(field, Probabilities):
        return tfds.features.Tensor(shape=(field.count,), dtype=np.float32)
    if isinstance(field, Objects):
        return objects_feature(field)
    if isinstance(field, Mask):
        return mask_feature(field, pixels)
    return tfds.features.Text() if isinstance(field, Text) else field.feature


def as_read(key: str, feature: Any, field: Field) -> Field:
    """Gives what the reader takes a feature for, which holds a field of a release."""
    if isinstance(feature, tfds.features.ClassLabel):
        return Label(tuple(feature.names))
    if isinstance(feature, tfds.features.Text):
        return Text()
    known = probabilities_of(key, feature)
    if known is None and isinstance(field, Objects):
        return objects_of(feature) or Raw(feature)
    if known is None and isinstance(field, Mask):
        mask = mask_of(key, feature)
        return dataclasses.replace(mask, cells=field.cells) if mask else Raw(feature)
    return known or Raw(feature)


def probabilities_of(key: str, feature: Any) -> Probabilities | None:
    """Gives the field of probabilities that a feature is, by its name and form."""
    if key != SOFT_LABEL or type(feature) is not tfds.features.Tensor:
        return None
    # As they are in records: encoded ones are bytes there.
    info = feature.get_serialized_info()
    shape = tuple(info.shape)
    if len(shape) != 1 or not shape[0] or info.np_dtype != np.float32:
        return None
    return Probabilities(shape[0])


def add_value(features: Any, name: str, field: Field, value: Any) -> None:
    """Adds a value, as of `Example.values`, to the features of a record."""
    if isinstance(field, Label):
        features[name].int64_list.value.append(value)
    elif isinstance(field, Text):
        data = value.encode("utf-8", "surrogateescape")
        features[name].bytes_list.value.append(data)
    elif isinstance(field, Probabilities):
        features[name].float_list.value.extend(value.tolist())
    elif isinstance(field, Objects):
        add_boxes(features, name, field, value)
    elif isinstance(field, Mask):
        features[name].bytes_list.value.append(encode_mask(value))
    else:
        for flat, feature in value.items():
            features[flat].CopyFrom(feature)


def add_comparable(features: Any, name: str, field: Field, value: Any) -> None:
    """Adds a value as `add_value` does, but for masks, which many files are of."""
    if isinstance(field, Mask):
        features[name].bytes_list.value.append(mask_bytes(value))
    else:
        add_value(features, name, field, value)


def value_of(
    key: str,
    field: Field,
    features: Mapping[str, Any],
    name: str,
    pixels: int | None = None,
    codecs: Collection[str] | None = None,
) -> Any:
    """Gives what a record has for a field, as of `Example.values`.

    Args:
      key: Name of the feature.
      field: The field.
      features: What the record has.
      name: Name of the image in complaints.
      pixels: How many pixels that has, where it is known.
      codecs: As of `read_image`, for masks.

    Raises:
      LookupError, ValueError: It has nothing, or nothing that it can have.
      ImageError: It has no mask there.
    """
    if isinstance(field, Label):
        number = int(features[key].int64_list.value[0])
        if field.names is not None and number >= len(field.names):
            raise ValueError(f"{number} is no class")
        return number
    if isinstance(field, Text):
        return features[key].bytes_list.value[0].decode("utf-8", "surrogateescape")
    if isinstance(field, Probabilities):
        values = np.array(features[key].float_list.value, np.float32)
        return check_probabilities(values, field.count)
    if isinstance(field, Objects):
        return boxes_of(key, field, features)
    if isinstance(field, Mask):
        content = features[key].bytes_list.value[0]
        most = pixels or MAX_PIXELS
        return decode_mask(content, f"{name}: {key}", codecs=codecs, most=most)
    # Nested features have flat names: all that begin with the key.
    return {
        flat: features[flat]
        for flat in sorted(features)
        if flat == key or flat.startswith(f"{key}/")
    }

"""How TFDS stores boxes and masks: features that are such, and what records have."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core.features import bounding_boxes

from vmixjax.data.example import Pixels
from vmixjax.data.masks import Mask, mask_shape, names_mask
from vmixjax.data.objects import KINDS, Boxes, Kind, Objects

_BOX, _LABEL = "bbox", "label"
_LISTS: Mapping[Kind, str] = {
    "int": "int64_list",
    "float": "float_list",
    "bool": "int64_list",
}
"""What records have the values of each kind in."""

_KIND_OF: Mapping[str, Kind] = {"i": "int", "u": "int", "f": "float", "b": "bool"}
"""Kinds by those of NumPy's types."""


def others_of(feature: Any) -> Mapping[str, Any]:
    """Gives what a feature has for each box beside it and its class; none of others."""
    parts = _parts(feature) or {}
    return {name: one for name, one in parts.items() if name not in (_BOX, _LABEL)}


def unfit_of(feature: Any) -> list[str]:
    """Lists what each box of a feature has that boxes do not have: texts, arrays."""
    others = others_of(feature)
    return sorted(name for name in others if not _fits(name, others[name]))


def objects_of(feature: Any, drop: Collection[str] = ()) -> Objects | None:
    """Gives the field of boxes that a feature is; None where it is none.

    It is a sequence of one box each, its class, and numbers.

    Args:
      feature: The feature.
      drop: Parts of it that are left behind.
    """
    parts = _parts(feature)
    if parts is None:
        return None
    others: list[tuple[str, Kind]] = []
    for name in sorted(set(parts) - set(drop) - {_BOX, _LABEL}):
        kind = _kind(parts[name])
        if kind is None or not _fits(name, parts[name]):
            return None
        others.append((name, kind))
    label = parts.get(_LABEL)
    if label is not None and _kind(label) != "int":
        return None
    return Objects(_names(label), tuple(others))


def objects_feature(field: Objects) -> Any:
    """Gives the feature that holds boxes."""
    label: Any = np.int64
    if field.names:
        label = tfds.features.ClassLabel(names=list(field.names))
    others = {name: KINDS[kind].type for name, kind in field.others}
    return tfds.features.Sequence(
        {_BOX: tfds.features.BBoxFeature(), _LABEL: label, **others}
    )


def add_boxes(features: Any, name: str, field: Objects, boxes: Boxes) -> None:
    """Adds boxes to the features of a record."""
    values = {
        f"{name}/{_BOX}": ("float_list", boxes.corners),
        f"{name}/{_LABEL}": ("int64_list", boxes.labels),
    }
    for other, kind in field.others:
        values[f"{name}/{other}"] = _LISTS[kind], boxes.others[other]
    for flat, (kept_in, array) in values.items():
        stored = getattr(features[flat], kept_in)
        # None of them is still a list, of none.
        stored.SetInParent()
        # Truth is a number there.
        plain = array.astype(np.int64) if array.dtype == np.bool_ else array
        stored.value.extend(plain.ravel().tolist())


def boxes_of(name: str, field: Objects, features: Mapping[str, Any]) -> Boxes:
    """Gives the boxes that a record has.

    Raises:
      LookupError, ValueError: It has none, or not of each the same number.
    """
    corners = np.array(features[f"{name}/{_BOX}"].float_list.value, np.float32)
    count = len(corners) // 4
    labels = np.zeros(count, np.int64)
    if (found := features.get(f"{name}/{_LABEL}")) is not None:
        labels = np.array(found.int64_list.value, np.int64)
    others = {
        # Truth is any number but 0.
        other: np.array(
            getattr(features[f"{name}/{other}"], _LISTS[kind]).value,
            np.float32 if kind == "float" else np.int64,
        ).astype(KINDS[kind])
        for other, kind in field.others
    }
    if len(corners) % 4 or {len(labels), *map(len, others.values())} != {count}:
        raise ValueError("not of each the same number")
    return Boxes(corners.reshape(count, 4), labels, others)


def mask_of(name: str, feature: Any) -> Mask | None:
    """Gives the field of a mask that a feature is, by its type or its name.

    Args:
      name: Name of the feature.
      feature: The feature.
    """
    if not isinstance(feature, tfds.features.Image):
        return None
    labelled = isinstance(feature, tfds.features.LabeledImage)
    if not labelled and (
        type(feature) is not tfds.features.Image or not names_mask(name)
    ):
        return None
    if feature.np_dtype != np.uint8 or feature.shape[2:] != (1,):
        return None
    count = (feature.num_classes or None) if labelled else None
    # More have no numbers in 8 bits.
    if count is not None and count > 256:
        return None
    return Mask(count, _names(feature) if labelled else None)


def mask_feature(field: Mask, pixels: Pixels) -> Any:
    """Gives the feature that holds the masks of images."""
    height, width, _ = pixels.shape
    shape: tuple[int | None, ...] = (None, None, 1)
    if height is not None and width is not None:
        shape = (*mask_shape(height, width, field.cells), 1)
    options = {"shape": shape, "dtype": np.uint8, "encoding_format": "png"}
    if field.count is None and field.names is None:
        return tfds.features.Image(**options)
    labels = field.count if field.names is None else list(field.names)
    return tfds.features.LabeledImage(labels=labels, **options)


def _parts(feature: Any) -> Mapping[str, Any] | None:
    """What a feature has for each object, if it may be one of boxes."""
    if not isinstance(feature, tfds.features.Sequence | tfds.features.Dataset):
        return None
    inner = feature.feature
    if not isinstance(inner, tfds.features.FeaturesDict):
        return None
    boxes = [key for key, one in inner.items() if _is_box(one)]
    return dict(inner.items()) if boxes == [_BOX] else None


def _is_box(feature: Any) -> bool:
    """Whether it is a box as shares of the image, which the oldest ones all are."""
    if not isinstance(feature, tfds.features.BBoxFeature):
        return False
    relative = bounding_boxes.bb_utils.BBoxFormat.REL_YXYX
    return getattr(feature, "bbox_format", None) in (None, relative)


def _fits(name: str, feature: Any) -> bool:
    """Whether a feature can be what else is known of boxes."""
    return _kind(feature) is not None and "/" not in name


def _names(feature: Any) -> tuple[str, ...] | None:
    """The names of the classes of a feature, where it has classes."""
    if not getattr(feature, "num_classes", None):
        return None
    return tuple(feature.names)


def _kind(feature: Any) -> Kind | None:
    """The kind of a number or class; None where a feature is something else."""
    if isinstance(feature, tfds.features.ClassLabel):
        return "int"
    plain = type(feature) in (tfds.features.Tensor, tfds.features.Scalar)
    if not plain or feature.shape != ():
        return None
    # As they are in records: encoded ones are bytes there.
    return _KIND_OF.get(np.dtype(feature.get_serialized_info().np_dtype).kind)

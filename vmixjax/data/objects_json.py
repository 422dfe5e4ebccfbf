"""Boxes as JSON: what tar files have, and vaults keep.

`{"classes": ["cat", "dog"], "others": {"is_crowd": "bool"}, "objects": [{"bbox":
[ymin, xmin, ymax, xmax], "label": 1, "is_crowd": false}]}`, where `classes` and
`others` are there only if there are such. Numbers have as many digits as it takes to
give back the very same.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from vmixjax.data.bounded import parse_json
from vmixjax.data.objects import KINDS, Boxes, Kind, Objects

_MOST_BYTES = 2**24
"""Of the boxes of one image: some 100,000."""

_BOX, _LABEL = "bbox", "label"

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
_Int = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_TYPES: Mapping[Kind, Any] = {"int": _Int, "float": float, "bool": bool}


class _Form(msgspec.Struct, forbid_unknown_fields=True):
    objects: list[dict[str, Any]]
    classes: Annotated[list[_Name], msgspec.Meta(min_length=1)] | None = None
    others: dict[_Name, Literal["int", "float", "bool"]] = {}


def encode_objects(field: Objects, boxes: Boxes) -> bytes:
    """Gives the JSON of the boxes of an image; alike for alike.

    Raises:
      ValueError: A number is not finite.
    """
    columns = [
        (_BOX, boxes.corners.tolist()),
        (_LABEL, boxes.labels.tolist()),
        *((name, boxes.others[name].tolist()) for name, _ in field.others),
    ]
    names = [name for name, _ in columns]
    rows = zip(*(values for _, values in columns), strict=True)
    form: dict[str, Any] = {}
    if field.names:
        form["classes"] = list(field.names)
    if field.others:
        form["others"] = dict(field.others)
    form["objects"] = [dict(zip(names, row, strict=True)) for row in rows]
    return json.dumps(form, allow_nan=False).encode()


def parse_objects(content: bytes) -> tuple[Objects, Boxes]:
    """Gives what `encode_objects` was given, and nothing else.

    Raises:
      ValueError: It is no such JSON; boxes may still lie anywhere.
    """
    if len(content) > _MOST_BYTES:
        raise ValueError(f"has {len(content)} bytes, over {_MOST_BYTES}")
    form = parse_json(content, _Form)
    if any("/" in name or name in (_BOX, _LABEL) for name in form.others):
        raise ValueError("has strange names of what else is known")
    others: list[tuple[str, Kind]] = list(form.others.items())
    known = {_BOX, _LABEL, *form.others}
    if any(row.keys() != known for row in form.objects):
        raise ValueError(f"has an object of other parts than {', '.join(known)}")
    field = Objects(tuple(form.classes) if form.classes else None, tuple(others))
    boxes = Boxes(
        _column(form, _BOX, tuple[float, float, float, float], "float").reshape(-1, 4),
        _column(form, _LABEL, _Int, "int"),
        {name: _column(form, name, _TYPES[kind], kind) for name, kind in others},
    )
    return field, boxes


def _column(form: _Form, name: str, kind: Any, stored: Kind) -> np.ndarray:
    """What all objects have of a name, checked against a type."""
    values = msgspec.convert([row[name] for row in form.objects], list[kind])
    # What is too large for 32 bits is infinite then, and refused as such.
    with np.errstate(over="ignore"):
        return np.array(values, np.float64 if stored == "float" else None).astype(
            KINDS[stored]
        )

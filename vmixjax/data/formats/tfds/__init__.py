"""Data sets as TFDS has them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from vmixjax.data.formats.format import Format, SourceOptions, needs

if TYPE_CHECKING:
    from vmixjax.data.example import Schema, Source
    from vmixjax.data.writing import Sink

_TFDS = ("TFDS", "vmixjax[tfds]")


def _open(name: str, options: SourceOptions) -> Source:
    with needs(*_TFDS):
        from vmixjax.data.formats.tfds.reader import TfdsSource
    return TfdsSource(name, options)


def _create(root: Path, schema: Schema) -> Sink:
    with needs(*_TFDS):
        from vmixjax.data.formats.tfds.writer import TfdsSink
    return TfdsSink(root, schema)


FORMAT = Format(
    name="tfds",
    title="a data set that TFDS reads by itself: ArrayRecord files and their features",
    open=_open,
    create=_create,
    # `dataset_info.json` lies beside images of others, too.
    recognises=lambda path: False,
    is_release=lambda path: os.path.lexists(path / "dataset_info.json"),
    needs_pixels=True,
    has_names=False,
)

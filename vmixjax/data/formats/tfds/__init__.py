"""Data sets as TFDS has them."""

import os
import re
from pathlib import Path

from vmixjax.data.example import Schema, Source
from vmixjax.data.formats.format import Format, SourceOptions
from vmixjax.data.writing import Sink
from vmixjax.errors import needs

_VERSION = re.compile(r"\d+\.\d+\.\d+")
_TFDS = ("TFDS", "vmixjax[tfds]")


def _open(name: str, options: SourceOptions) -> Source:
    with needs(*_TFDS):
        from vmixjax.data.formats.tfds.reader import TfdsSource
    return TfdsSource(name, options)


def _create(root: Path, schema: Schema) -> Sink:
    with needs(*_TFDS):
        from vmixjax.data.formats.tfds.writer import TfdsSink
    return TfdsSink(root, schema)


def _is_prepared(path: Path) -> bool:
    """Whether a folder is one that TFDS has prepared, or that of a version of it."""
    # `dataset_info.json` lies beside images of others, too.
    notes = "dataset_info.json", "features.json"
    below = os.listdir(path) if path.is_dir() else []  # noqa: PTH208 (only names)
    places = [path, *(path / name for name in below if _VERSION.fullmatch(name))]
    return any(all((one / name).is_file() for name in notes) for one in places)


FORMAT = Format(
    name="tfds",
    title="a data set that TFDS reads by itself: ArrayRecord files and their features",
    open=_open,
    create=_create,
    recognises=_is_prepared,
    is_release=lambda path: os.path.lexists(path / "dataset_info.json"),
    needs_pixels=True,
    has_names=False,
)

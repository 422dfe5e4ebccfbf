"""What releases are written as: folders of PNG files, TFDS data sets, WebDatasets."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from vmixjax.data.example import Field, Pixels
from vmixjax.data.formats.folder.writer import FolderSink
from vmixjax.data.formats.sources import NEEDS_TFDS
from vmixjax.data.formats.webdataset.writer import WebDatasetSink
from vmixjax.data.writing import Sink
from vmixjax.errors import RunError

Format = Literal["folder", "tfds", "webdataset"]
"""All keep every bit of the pixels; lossy formats would spoil the mixing."""


def open_sink(
    format: Format,
    root: Path,
    *,
    name: str,
    fields: Mapping[str, Field],
    pixels: Pixels | None,
) -> Sink:
    """The sink for a format, below a folder.

    Args:
      format: its name.
      root: folder to write to.
      name: of the data set, where the format has one.
      fields: what belongs to each image.
      pixels: what all images have in common, where that is known.

    Raises:
      RunError: the format cannot hold one of the fields, or such images.
    """
    if format == "folder":
        return FolderSink(root, fields)
    if format == "webdataset":
        return WebDatasetSink(root, fields)
    try:
        from vmixjax.data.formats.tfds.writer import TfdsSink
    except ModuleNotFoundError as error:
        raise RunError(NEEDS_TFDS) from error
    return TfdsSink(root, name, fields, pixels)

"""WebDataset: tar files of samples, each some files that differ in the suffix."""

from pathlib import Path

from vmixjax.data.formats.format import Format
from vmixjax.data.formats.webdataset.finding import holds_only_tars, list_tars
from vmixjax.data.formats.webdataset.reader import WebDatasetSource
from vmixjax.data.formats.webdataset.writer import WebDatasetSink


def _names_tars(path: Path) -> bool:
    return bool(list_tars(path))


FORMAT = Format(
    name="webdataset",
    title="tar files of samples: an image, its class and its texts",
    open=WebDatasetSource,
    create=WebDatasetSink,
    recognises=_names_tars,
    is_release=holds_only_tars,
)

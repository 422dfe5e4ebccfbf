"""Data sets to mix or to restore: folders, TFDS data sets, WebDatasets."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Literal

from vmixjax.data.codecs.images import FORMATS
from vmixjax.data.example import Source
from vmixjax.data.formats.folder.reader import FolderSource
from vmixjax.data.formats.webdataset.reader import WebDatasetSource, list_tars
from vmixjax.errors import RunError

NEEDS_TFDS = (
    "TFDS is not installed, and this needs it: pip install 'vmixjax[tfds]', then try "
    "again"
)
"""What to do where TFDS is missing."""

_TFDS = "tfds:"


def open_source(
    name: str,
    *,
    data_dir: str | None = None,
    splits: Sequence[str] = (),
    drop: Sequence[str] = (),
    keep: Sequence[str] | None = (),
    formats: Collection[str] = FORMATS,
) -> Source:
    """The source that a user named.

    Args:
      name: an image file or a folder of them; `tfds:NAME` or `tfds:DIR`; a `.tar`
        file, a `.txt` file that lists such, or a folder of nothing but them.
      data_dir: where TFDS keeps its data sets.
      splits: those to read; all if empty.
      drop: fields to leave behind.
      keep: fields to let through although they might show what the image shows; None
        lets all of them through.
      formats: of images that are read.

    Raises:
      RunError: there is no such source, or it is not fit to be mixed as it is.
    """
    if name.startswith(_TFDS):
        try:
            from vmixjax.data.formats.tfds.reader import TfdsSource
        except ModuleNotFoundError as error:
            raise RunError(NEEDS_TFDS) from error
        name = name.removeprefix(_TFDS)
        return TfdsSource(name, data_dir, splits, drop, keep, formats)
    path = Path(name)
    if not path.exists():
        raise RunError(f"SRC {name} does not exist; name an image file or a folder")
    tars = list_tars(path)
    if tars:
        source: Source = WebDatasetSource(tars, drop, keep, formats)
    else:
        source = FolderSource(path, formats)
        for option, names in (("--drop", drop), ("--keep", keep or ())):
            if names:
                raise RunError(f"{option} {names[0]}: a folder of images has no fields")
    unknown = sorted(set(splits) - set(source.splits))
    if unknown:
        raise RunError(
            f"--splits {unknown[0]}: SRC {name} has {', '.join(source.splits)} only"
        )
    if splits:
        source.splits = {split: source.splits[split] for split in splits}
    return source


def format_of(name: str) -> Literal["folder", "tfds", "webdataset"]:
    """What a source is, by its name as of `open_source`."""
    if name.startswith(_TFDS):
        return "tfds"
    path = Path(name)
    return "webdataset" if path.exists() and list_tars(path) else "folder"

"""Formats of data sets, one file or folder each: its reader, its writer, its entry.

Other packages add formats through entry points of the group `vmixjax.formats`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmixjax._registry import Registry
from vmixjax.data.formats.format import Format, SourceOptions, existing
from vmixjax.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from vmixjax.data.example import Source

FORMATS: Registry[Format] = Registry(
    "vmixjax.formats",
    Format,
    {
        "folder": "vmixjax.data.formats.folder:FORMAT",
        "tfds": "vmixjax.data.formats.tfds:FORMAT",
        "webdataset": "vmixjax.data.formats.webdataset:FORMAT",
        "coco": "vmixjax.data.formats.coco:FORMAT",
        "voc": "vmixjax.data.formats.voc:FORMAT",
        "yolo": "vmixjax.data.formats.yolo:FORMAT",
    },
)
"""All formats keep every bit of the pixels; lossy ones would spoil the mixing."""


def open_source(
    name: str,
    *,
    data_dir: str | None = None,
    splits: Sequence[str] = (),
    drop: Sequence[str] = (),
    keep: Sequence[str] | None = (),
    codecs: Collection[str] | None = None,
    released: bool = False,
    raw: bool = False,
    image: str | None = None,
    follow_links: Sequence[Path] = (),
) -> Source:
    """Opens the data set that a user named.

    Args:
      name: An image file or a folder of them; a `.tar` file, a `.txt` file that lists
        such, or a folder of nothing but them; COCO's JSON, or a folder with it; or
        `FORMAT:NAME`, such as `tfds:NAME` or `tfds:DIR`.
      data_dir: Folder where TFDS keeps its data sets.
      splits: Splits to read, or parts of them, as `train[:50%]`; all if empty.
      drop: Fields to leave behind.
      keep: Fields to let through although they might show what the image shows; None
        lets all of them through.
      codecs: Names of the codecs of images that are read, see `CODECS`; None for all.
      released: Whether it is a release, or some files of one.
      raw: Whether boxes and masks stay as a format stores them.
      image: Field that is the image, where it is called otherwise or there are several.
      follow_links: Folders that links of images may lead into.

    Raises:
      RunError: There is no such source, or it is not fit to be mixed as it is.
    """
    format, place = _parse(name)
    # The names of formats are told without NumPy.
    from vmixjax.data.slices import Slice, take

    slices = [Slice.parse(split) for split in splits]
    names = [one.split for one in slices]
    for folder in follow_links:
        if not folder.is_dir():
            raise RunError(
                f"--follow-links {folder} is no folder; name the one that links lead to"
            )
    options = SourceOptions(
        data_dir,
        names,
        drop,
        keep,
        codecs,
        released=released,
        raw=raw,
        image=image,
        follow_links=follow_links,
    )
    source = format.open(place, options)
    unknown = sorted(set(names) - set(source.splits))
    if unknown:
        raise RunError(
            f"--splits {unknown[0]}: SRC {name} has {', '.join(source.splits)} only"
        )
    return take(source, slices) if slices else source


def format_of(name: str) -> Format:
    """Tells the format of a source, by its name as of `open_source`."""
    return _parse(name)[0]


def format_of_release(path: Path) -> Format:
    """Tells the format of a release, or of images out of one."""
    return _first(path, release=True)


def _parse(name: str) -> tuple[Format, str]:
    """Splits a name into its format and what that is to open."""
    prefix, colon, place = name.partition(":")
    if colon and prefix in FORMATS:
        return FORMATS[prefix], place
    return _first(existing(name)), name


def _first(path: Path, *, release: bool = False) -> Format:
    """Asks one format after the other; the first takes anything, so it comes last."""
    anything, *others = FORMATS
    for other in reversed(others):
        format = FORMATS[other]
        if format.is_release(path) if release else format.recognises(path):
            return format
    return FORMATS[anything]

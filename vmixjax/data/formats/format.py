"""What a format of data sets is to everything else."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vmixjax.errors import RunError

if TYPE_CHECKING:
    from vmixjax.data.example import Schema, Source
    from vmixjax.data.writing import Sink


@dataclasses.dataclass(frozen=True)
class SourceOptions:
    """What is wanted of a data set: see `open_source`."""

    data_dir: str | None = None
    splits: Sequence[str] = ()
    drop: Sequence[str] = ()
    keep: Sequence[str] | None = ()
    codecs: Collection[str] | None = None
    released: bool = False
    raw: bool = False
    image: str | None = None
    follow_links: Sequence[Path] = ()

    def check_fields(self, known: Collection[str], there: str) -> None:
        """Refuses to drop or to keep what there is not.

        Args:
          known: Fields that there are.
          there: What there is, as the complaint says it.

        Raises:
          RunError: A field is unknown.
        """
        for option, names in (("--drop", self.drop), ("--keep", self.keep or ())):
            strange = sorted(set(names) - set(known))
            if strange:
                raise RunError(f"{option} {strange[0]}: {there}")


@dataclasses.dataclass(frozen=True)
class Format:
    """One format of data sets.

    Attributes:
      name: Name that users give it, and prefix of sources in it.
      title: What it is, in one line.
      open: Opens a data set, named as the user does it but without the prefix, or
        raises `RunError`.
      create: Makes what writes a data set below a folder, or raises `RunError`.
      recognises: Tells whether a file or folder is a data set in it, where the user
        does not say so by the prefix.
      is_release: Tells whether a folder is a release in it, or a file one of its files.
      needs_pixels: Whether `create` must know what all images have in common, as its
        sources do then.
      has_names: Whether its records have names of their own; otherwise they have
        numbers, and those behind images that were left out move up.
      has_order: Whether its records follow each other, as they were written; otherwise
        they are found by their names.
      in_splits: Whether the folder of an image says of which split it is.
      most_images: The most images to a shard; None for any number.
    """

    name: str
    title: str
    open: Callable[[str, SourceOptions], Source]
    create: Callable[[Path, Schema], Sink]
    recognises: Callable[[Path], bool]
    is_release: Callable[[Path], bool]
    needs_pixels: bool = False
    has_names: bool = True
    has_order: bool = True
    in_splits: bool = False
    most_images: int | None = None


def existing(name: str) -> Path:
    """Gives the path of a data set that lies in files.

    Raises:
      RunError: There is nothing.
    """
    if not name:
        # A path without a name is the folder that the command is run in.
        raise RunError("SRC is empty; name an image file or a folder, this one as .")
    path = Path(name)
    if path.is_symlink() and not path.exists():
        raise RunError(
            f"SRC {name} is a link that leads nowhere; name what it should lead to"
        )
    if not path.exists():
        raise RunError(f"SRC {name} does not exist; name an image file or a folder")
    return path

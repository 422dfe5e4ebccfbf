"""Images and their sidecars, as a listing of folders finds them."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import NamedTuple

from vmixjax.data.codecs.images import looks_like_image
from vmixjax.data.files import Paths, find_files, is_inside
from vmixjax.errors import ImageError, RunError

_IMAGES = frozenset(
    (
        *(".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".gif"),
        *(".webp", ".heic", ".heif", ".avif"),
    )
)
"""Suffixes of images, whether they can be read or not."""


class Pair(NamedTuple):
    """An image and its sidecar, paths below the folder of the data set.

    Attributes:
      image: Path of the image.
      sidecar: Path of the sidecar; None where there is none.
    """

    image: PurePath
    sidecar: PurePath | None


class Pairs:
    """The pairs of a split in their order, and what is listed and is no pair.

    Packed, as there may be millions.
    """

    def __init__(self) -> None:
        self._images, self._sidecars = Paths(), Paths()
        self._faults: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._images)

    def add(self, image: PurePath, sidecar: PurePath | None) -> None:
        """Adds a pair."""
        self._images.append(image)
        self._sidecars.append(sidecar or PurePath())

    def add_fault(self, path: PurePath, fault: str) -> None:
        """Adds what is no pair, under a path that it is called by, and says why."""
        self._faults[len(self)] = fault
        self.add(path, None)

    def name(self, index: int) -> str:
        """Gives what a pair is called: the path of its image."""
        return PurePath(self._images[index]).as_posix()

    def pair(self, index: int) -> Pair:
        """Gives a pair.

        Raises:
          ImageError: What is listed there is none.
        """
        if index in self._faults:
            raise ImageError(self._faults[index])
        sidecar = PurePath(self._sidecars[index])
        return Pair(PurePath(self._images[index]), sidecar if sidecar.parts else None)

    def whole(self) -> Iterator[Pair]:
        """Lists those that are pairs."""
        for index in range(len(self)):
            if index not in self._faults:
                yield self.pair(index)


def list_folder(root: Path, folder: str, roots: Iterable[Path]) -> list[PurePath]:
    """Lists the files below a folder of a data set: paths below the data set's.

    Args:
      root: Folder of the data set.
      folder: Path of a folder in it; none need be there.
      roots: Folders that a link may lead into.

    Raises:
      RunError: It is a link that leads elsewhere.
    """
    path = root / folder
    if not path.is_dir():
        return []
    if not any(is_inside(path, one) for one in roots):
        raise RunError(
            f"{path} is a link out of the folder; move what it leads to there, or name "
            f"the folder that it leads to with --follow-links"
        )
    return [PurePath(folder) / file for file in find_files(path)]


def is_image(root: Path, file: PurePath) -> bool:
    """Tells whether a file is to be an image, by its suffix or how it begins."""
    return file.suffix.lower() in _IMAGES or (
        not file.suffix and looks_like_image(root / file)
    )


def by_stem(files: Iterable[PurePath]) -> Mapping[str, list[PurePath]]:
    """Sorts files by their paths without suffixes."""
    found: dict[str, list[PurePath]] = {}
    for file in files:
        found.setdefault(stem_of(file), []).append(file)
    return found


def stem_of(file: PurePath) -> str:
    """Gives a path without its suffix."""
    return file.with_suffix("").as_posix()


def meeting(stems: Iterable[str]) -> set[str]:
    """Finds those that would be one on a file system that takes a for A."""
    seen: dict[int, str] = {}
    found: set[str] = set()
    for stem in stems:
        other = seen.setdefault(hash(stem.casefold()), stem)
        if other != stem:
            found |= {other, stem}
    return found


def shared(images: Iterable[PurePath], sidecar: PurePath) -> str:
    """Says that several images share a sidecar."""
    names = " and ".join(image.as_posix() for image in images)
    return (
        f"{names} have one file of boxes, {sidecar}, as only their suffixes differ; "
        f"rename all but one, or take them out"
    )

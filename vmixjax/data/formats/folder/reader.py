"""A folder of image files; folders below it are classes, or splits of classes."""

import array
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path, PurePath

import numpy as np

from vmixjax.data.codecs.images import read_image
from vmixjax.data.codecs.png import png_extras
from vmixjax.data.example import Example, Field, Label, Pixels
from vmixjax.data.files import Paths, find_files, is_inside, png_names, short_name
from vmixjax.data.room import Claim, at_once
from vmixjax.data.writing import MANIFEST, WORK
from vmixjax.errors import ImageError, RunError

_NOT_IMAGES = {MANIFEST, WORK}
_SPLITS = {"train", "test", "val", "validation"}


class FolderSource:
    """Image files below a folder, in the order of their paths.

    Where all top folders have the names of splits, they are these. The folders
    between are the class. Links that lead out of the folder are not followed.

    Args:
      path: the folder, or one file.
      formats: of image files that are read; see `images.FORMATS`.

    Raises:
      RunError: it holds no files.
    """

    name = "mixed"
    pixels: Pixels | None = None

    def __init__(self, path: Path, formats: Collection[str]) -> None:
        self._formats = formats
        self.places: Sequence[Path] = (path,)
        self.root = path if path.is_dir() else path.parent
        self._paths = Paths()
        starts: dict[str, int] = {}
        folders: set[PurePath] = set()
        names = array.array("q")
        for file in find_files(path):
            # What else is in a release is no image.
            if file.parts[0] in _NOT_IMAGES:
                continue
            top = file.parts[0] if len(file.parts) > 1 else ""
            starts.setdefault(top, len(self._paths))
            folders.add(file.parent)
            names.append(hash(short_name(file)))
            self._paths.append(file)
        if not names:
            raise RunError(f"SRC {path} holds no files")
        self._kept: Mapping[str, str] = {}
        # With all files together, only where some would meet.
        if len(np.unique(names)) < len(names):
            named = png_names(map(PurePath, self._paths))
            self._kept = {str(file): str(png) for file, png in named.items()}
        self._split = set(starts) <= _SPLITS
        if not self._split:
            starts = {"train": 0}
        ends = [*list(starts.values())[1:], len(self._paths)]
        # Files of a split follow each other.
        self._places = {
            split: range(start, end)
            for (split, start), end in zip(starts.items(), ends, strict=True)
        }
        self.splits: Mapping[str, int] = {
            split: len(place) for split, place in self._places.items()
        }
        classes = sorted({self._class(folder / "_") for folder in folders})
        self._labels = {name: number for number, name in enumerate(classes)}
        self.fields: Mapping[str, Field] = (
            {"label": Label(tuple(classes))} if classes != [""] else {}
        )

    def read(self, split: str, index: int, claim: Claim = at_once) -> Example:
        """See `Source.read`."""
        relative = self._path(split, index)
        path = self.root / relative
        if path.is_symlink() and not is_inside(path, self.root):
            raise ImageError(
                f"{path} is a link out of the folder; copy the picture into it"
            )
        try:
            image = read_image(path, formats=self._formats, claim=claim)
        except ImageError:
            if not path.exists() and not path.is_symlink():
                raise RunError(
                    f"{path} was there and is gone; bring it back and run again"
                ) from None
            raise
        label = {"label": self._labels[self._class(relative)]} if self.fields else {}
        return Example(
            name=relative.as_posix(),
            folder=relative.parent.as_posix().removeprefix("."),
            kept=self._name(relative).with_suffix("").as_posix(),
            image=image,
            values=label,
        )

    def candidates(self, name: str) -> Iterator[tuple[str, int]]:
        """See `Source.candidates`: names are paths."""
        for split, place in self._places.items():
            for index in range(len(place)):
                if self._path(split, index).as_posix() == name:
                    yield split, index

    def extras(self, split: str, index: int) -> Iterator[str]:
        """See `Source.extras`."""
        yield from png_extras((self.root / self._path(split, index)).read_bytes())

    def loose(self) -> Iterator[str]:
        """See `Source.loose`: a file holds an image and nothing else."""
        yield from ()

    def traces(self) -> Iterator[str]:
        """See `Source.traces`: paths and sizes."""
        for split, place in self._places.items():
            for index in range(len(place)):
                file = self._path(split, index)
                path = self.root / file
                size = path.lstat().st_size if path.exists() else 0
                yield f"{split}\0{file.as_posix()}\0{size}"

    def _path(self, split: str, index: int) -> PurePath:
        return PurePath(self._paths[self._places[split][index]])

    def _name(self, file: PurePath) -> PurePath:
        return PurePath(self._kept.get(str(file), file.with_suffix(".png")))

    def _class(self, file: PurePath) -> str:
        folders = file.parts[1:-1] if self._split else file.parts[:-1]
        return PurePath(*folders).as_posix().removeprefix(".")

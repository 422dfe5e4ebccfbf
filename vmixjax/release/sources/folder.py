"""A folder of image files; folders below it are classes, or splits of classes."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath

from vmixjax.release.errors import RunError
from vmixjax.release.examples import Example, Field, Label, Pixels
from vmixjax.release.files import find_files, is_inside, png_names
from vmixjax.release.images import ImageError, read_image
from vmixjax.release.manifest import MANIFEST, WORK

_NOT_IMAGES = {MANIFEST, WORK}
_SPLITS = {"train", "test", "val", "validation"}


class FolderSource:
    """Image files below a folder, in the order of their paths.

    Where all top folders have the names of splits, they are these. The folders
    between are the class. Links that lead out of the folder are not followed.

    Args:
      path: the folder, or one file.

    Raises:
      RunError: it holds no files.
    """

    name = "mixed"
    pixels: Pixels | None = None

    def __init__(self, path: Path) -> None:
        self.places: Sequence[Path] = (path,)
        self.root = path if path.is_dir() else path.parent
        # What else is in a release is no image.
        found = [file for file in find_files(path) if file.parts[0] not in _NOT_IMAGES]
        if not found:
            raise RunError(f"SRC {path} holds no files")
        self._kept = {str(file): str(png) for file, png in png_names(found).items()}
        tops = {file.parts[0] if len(file.parts) > 1 else "" for file in found}
        self._split = tops <= _SPLITS
        self._files: dict[str, list[str]] = {}
        for file in found:
            split = file.parts[0] if self._split else "train"
            self._files.setdefault(split, []).append(str(file))
        self.splits: Mapping[str, int] = {
            split: len(files) for split, files in self._files.items()
        }
        classes = sorted({self._class(file) for file in found})
        self._labels = {name: number for number, name in enumerate(classes)}
        self.fields: Mapping[str, Field] = (
            {"label": Label(tuple(classes))} if classes != [""] else {}
        )

    def read(self, split: str, index: int) -> Example:
        """See `Source.read`."""
        relative = PurePath(self._files[split][index])
        path = self.root / relative
        if path.is_symlink() and not is_inside(path, self.root):
            raise ImageError(
                f"{path} is a link out of the folder; copy the picture into it"
            )
        try:
            image = read_image(path)
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
            kept=PurePath(self._kept[str(relative)]).with_suffix("").as_posix(),
            image=image,
            values=label,
        )

    def candidates(self, name: str) -> Iterator[tuple[str, int]]:
        """See `Source.candidates`: names are paths."""
        for split, files in self._files.items():
            yield from ((split, files.index(file)) for file in files if file == name)

    def content(self, split: str, index: int) -> bytes:
        """See `Source.content`."""
        return (self.root / self._files[split][index]).read_bytes()

    def traces(self) -> Iterator[str]:
        """See `Source.traces`: paths and sizes."""
        for split, files in self._files.items():
            for file in files:
                path = self.root / file
                size = path.lstat().st_size if path.exists() else 0
                yield f"{split}\0{PurePath(file).as_posix()}\0{size}"

    def _class(self, file: PurePath) -> str:
        folders = file.parts[1:-1] if self._split else file.parts[:-1]
        return PurePath(*folders).as_posix().removeprefix(".")

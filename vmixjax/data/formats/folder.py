"""A folder of image files; folders below it are classes, or splits of classes.

What is written are PNG files; what they belong to is the folder they lie in.
"""

import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from pathlib import Path, PurePath

import numpy as np

from vmixjax.data.codecs.codec import Small
from vmixjax.data.codecs.images import (
    check_length,
    looks_like_image,
    read_image,
    read_small,
)
from vmixjax.data.codecs.png import encode_png, png_extras, png_form
from vmixjax.data.example import Example, Field, Label, Pixels, Schema, Source, Trace
from vmixjax.data.files import Paths, find_files, png_names, short_name
from vmixjax.data.formats.format import Format, SourceOptions, existing
from vmixjax.data.formats.image_files import (
    MOST_FILES,
    FilesWriter,
    file_path,
    files_written,
    listed_file,
)
from vmixjax.data.room import Claim, at_once
from vmixjax.data.splits import find_splits
from vmixjax.data.writing import (
    ASIDE,
    LOCK,
    MANIFEST,
    PART,
    WORK,
    Files,
    Shard,
    Sink,
    Stored,
    sequence_number,
)
from vmixjax.errors import ImageError, RunError


class FolderSource(Source):
    """Reads image files below a folder, in the order of their paths.

    Top folders that have names of splits, or are named as such, are these; see
    `find_splits`. The folders between are the class. Links that lead out of the folder
    are followed into folders that the options name, and nowhere else.

    Args:
      name: Path of the folder, or of one file.
      options: What is wanted of it; images have no fields to drop or to keep.

    Raises:
      RunError: It is not there, holds no files, leaves it open which folders are
        splits, or a field is named.
    """

    name = "mixed"
    pixels: Pixels | None = None

    def __init__(self, name: str, options: SourceOptions) -> None:
        path = existing(name)
        self._codecs = options.codecs
        self.places: Sequence[Path] = (path,)
        self.root = path if path.is_dir() else path.parent
        self._roots = (self.root, *options.follow_links)
        self._paths = Paths()
        starts: dict[str, int] = {}
        counts: Counter[str] = Counter()
        loose: str | None = None
        folders: set[PurePath] = set()
        short_names = array.array("q")
        for file in find_files(path):
            if _is_note(file):
                continue
            top = file.parts[0] if len(file.parts) > 1 else ""
            starts.setdefault(top, len(self._paths))
            counts[top] += 1
            loose = loose or (None if top else file.name)
            # A file that is no image makes no class.
            if file.parent not in folders and looks_like_image(self.root / file):
                folders.add(file.parent)
            short_names.append(hash(short_name(file)))
            self._paths.append(file)
        if not short_names:
            raise RunError(f"SRC {path} holds no files")
        fields = ("--drop", options.drop), ("--keep", options.keep)
        for option, names in (*fields, ("--image", options.image and [options.image])):
            if names:
                raise RunError(f"{option} {names[0]}: a folder of images has no fields")
        self._png_names: Mapping[str, str] = {}
        # With all files together, only where some would meet.
        if len(np.unique(short_names)) < len(short_names):
            named = png_names(map(PurePath, self._paths))
            self._png_names = {str(file): str(png) for file, png in named.items()}
        tops = {PurePath(top) for top in starts if top}
        splits = _splits(path, folders | tops, loose, options)
        self._split = bool(splits)
        # Files of a split follow each other.
        self._places = {
            split: range(starts[split], starts[split] + counts[split])
            for split in splits
        } or {"train": range(len(self._paths))}
        self.splits: Mapping[str, int] = {
            split: len(place) for split, place in self._places.items()
        }
        if splits:
            folders = {
                folder
                for folder in folders
                if folder.parts[:1] and folder.parts[0] in splits
            }
        classes = sorted({self._class(folder / "_") for folder in folders})
        self._labels = {name: number for number, name in enumerate(classes)}
        self.fields: Mapping[str, Field] = (
            {"label": Label(tuple(classes))} if any(classes) else {}
        )

    def read(self, split: str, index: int, claim: Claim = at_once) -> Example:
        relative = self._path(split, index)
        with listed_file(self.root, relative, self._roots) as path:
            image = read_image(path, codecs=self._codecs, claim=claim)
        return Example(
            name=self.name_of(split, index),
            folder=relative.parent.as_posix().removeprefix("."),
            stem=self._png_name(relative).with_suffix("").as_posix(),
            image=image,
            values=self.values(split, index),
        )

    def look(
        self, split: str, index: int, enough: int, claim: Claim = at_once
    ) -> Small:
        with listed_file(self.root, self._path(split, index), self._roots) as path:
            return read_small(path, enough, codecs=self._codecs, claim=claim)

    def name_of(self, split: str, index: int) -> str:
        """It is the path."""
        return self._path(split, index).as_posix()

    def values(self, split: str, index: int) -> Mapping[str, int]:
        """They are the class, where there are any."""
        path = self._path(split, index)
        number = self._labels.get(self._class(path))
        if self.fields and number is None:
            raise ImageError(f"{self.root / path} is no image, nor any beside it")
        return {"label": number} if number is not None and self.fields else {}

    def candidates(self, name: str) -> Iterator[tuple[str, int]]:
        """Names are paths."""
        for split, place in self._places.items():
            for index in range(len(place)):
                if self._path(split, index).as_posix() == name:
                    yield split, index

    def extras(self, split: str, index: int) -> Iterator[str]:
        yield from png_extras((self.root / self._path(split, index)).read_bytes())

    def traces(self) -> Iterator[Trace]:
        """Each image is a file."""
        for split, place in self._places.items():
            for index in range(len(place)):
                file = self._path(split, index)
                name = file.as_posix()
                yield Trace.of(self.root / file, split, name, index, index + 1)

    def _path(self, split: str, index: int) -> PurePath:
        return PurePath(self._paths[self._places[split][index]])

    def _png_name(self, file: PurePath) -> PurePath:
        return PurePath(self._png_names.get(str(file), file.with_suffix(".png")))

    def _class(self, file: PurePath) -> str:
        folders = file.parts[1:-1] if self._split else file.parts[:-1]
        return PurePath(*folders).as_posix().removeprefix(".")


def _splits(
    path: Path, folders: set[PurePath], loose: str | None, options: SourceOptions
) -> list[str]:
    """The top folders that are splits, if any are."""
    try:
        return find_splits(f"SRC {path}", folders, loose, options.splits)
    except RunError:
        # Splits of a release may be called anything.
        if options.released:
            return []
        raise


def _is_note(file: PurePath) -> bool:
    """Tells whether a file in a release is none of its images.

    In a folder of such a name there may be images all the same.
    """
    if len(file.parts) == 1:
        return file.name == MANIFEST
    under_way = any(PurePath(part).suffix == PART for part in file.parts[1:])
    noted = under_way or file.suffix in (".json", ASIDE) or file.name == LOCK
    return file.parts[0] == WORK and noted


class FolderSink(Sink):
    """Writes PNG files into the folders of their classes.

    What belongs to an image is not compared: the folder it lies in may change.

    Args:
      root: Folder to write to.
      schema: What is to be held; of fields, a folder can hold a class and no more.

    Raises:
      RunError: There are fields beside the class.
    """

    holds: Sequence[str] = ()

    def __init__(self, root: Path, schema: Schema) -> None:
        self.root = root
        for name, field in schema.fields.items():
            if name not in ("label", "cls") or not isinstance(field, Label):
                raise RunError(
                    f"--format folder cannot hold the field {name}: choose --format "
                    f"tfds or webdataset, or leave it out (if SRC has it, --drop "
                    f"{name})"
                )

    def output(self, example: Example, shard: Shard, index: int, names: bool) -> str:
        """It is a path."""
        name = example.stem if names else sequence_number(index, shard.count)
        folder = f"{example.folder}/" if example.folder else ""
        return file_path(f"{folder}{name.removeprefix(folder)}.png", example)

    def encode(self, example: Example, output: str) -> bytes:
        del output
        return encode_png(example.image)

    def reread(self, record: bytes, output: str) -> Stored:
        """Its reader takes the name from the path."""
        check_length(record)
        return Stored(output, *png_form(record), b"")

    def write(
        self, shard: Shard, files: Files, disk: Executor
    ) -> AbstractContextManager[FilesWriter]:
        """Disks are slow to confirm, so threads wait for them."""
        del shard
        return files_written(FilesWriter(self.root, files, disk))


FORMAT = Format(
    name="folder",
    title="image files in folders of their classes",
    open=FolderSource,
    create=FolderSink,
    # It takes whatever no other format does.
    recognises=lambda path: True,
    is_release=lambda path: True,
    has_order=False,
    most_images=MOST_FILES,
)

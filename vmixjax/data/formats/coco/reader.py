"""A COCO data set, read as the images that its annotations name."""

import contextlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePath

import numpy as np

from vmixjax._printable import listed
from vmixjax.data.codecs.codec import Small
from vmixjax.data.codecs.images import (
    looks_like_image,
    read_image,
    read_orientation,
    read_small,
)
from vmixjax.data.codecs.png import png_extras
from vmixjax.data.example import Example, Field, Pixels, Source, Trace
from vmixjax.data.files import find_files, is_inside, png_names, short_name
from vmixjax.data.formats.coco.annotations import Annotations, read_annotations
from vmixjax.data.formats.coco.boxes import AREA, CROWD, boxes_of, objects_of
from vmixjax.data.formats.coco.finding import FOLDER, find_parts, folder_of, root_of
from vmixjax.data.formats.coco.written import Entry, is_written
from vmixjax.data.formats.format import SourceOptions, existing
from vmixjax.data.inside import inside
from vmixjax.data.objects import OBJECTS, Boxes, Kind, Objects
from vmixjax.data.room import Claim, at_once
from vmixjax.errors import ImageError, RunError


class CocoSource(Source):
    """Reads images that files of annotations name, in the order of these.

    Args:
      name: Path of a folder that holds such a file, or several; or of one file.
      options: What is wanted of it: the only field is the objects in an image.

    Raises:
      RunError: It is not there, holds no annotations, or contradicts itself.
    """

    name = "mixed"
    pixels: Pixels | None = None

    def __init__(self, name: str, options: SourceOptions) -> None:
        path = existing(name)
        self._codecs, self._released = options.codecs, options.released
        self.root = root_of(path)
        self._roots = (self.root, *options.follow_links)
        parts = find_parts(path, options.splits, released=options.released)
        unknown = sorted(set(options.splits) - {one.split for one in parts})
        if unknown:
            raise RunError(
                f"--splits {unknown[0]}: SRC {name} has "
                f"{', '.join(one.split for one in parts)} only"
            )
        read = [one for one in parts if one.split in (options.splits or [one.split])]
        # A file alone says nothing of images that others may name.
        self._is_all = path.is_dir() and len(read) == len(parts)
        self._said: dict[str, Annotations] = {}
        self._folders: dict[str, Path] = {}
        for one in read:
            self._check_inside(one.file)
            said = read_annotations(one.file)
            self._said[one.split] = said
            self._folders[one.split] = (
                one.folders[0]
                if options.released
                else folder_of(one, iter(said.names), self._roots)
            )
        self._prefixes = {
            split: self._name(folder / "_").removesuffix("_")
            for split, folder in self._folders.items()
        }
        self.places: Sequence[Path] = (path, *self._folders.values())
        self.splits: Mapping[str, int] = {
            split: len(said.names) for split, said in self._said.items()
        }
        categories = _categories(list(self._said.values()))
        self._ids = np.array(sorted(categories), np.int64)
        self._fields(categories, options)
        self._png_names = {
            split: _png_names(said) for split, said in self._said.items()
        }
        self._repeated = {
            hashed
            for hashed, count in Counter(
                hash(self.name_of(split, index)) for split, index in self._places()
            ).items()
            if count > 1
        }

    def _fields(self, categories: Mapping[int, str], options: SourceOptions) -> None:
        """Finds out what there is of objects, and what is wanted of it."""
        if options.image:
            raise RunError(f"--image {options.image}: images of COCO have no fields")
        areas = [said.areas for said in self._said.values()]
        known: dict[str, Kind] = {CROWD: "bool"}
        if any((~np.isnan(of)).any() for of in areas):
            whole = all(said.whole for said in self._said.values())
            known = {AREA: "int" if whole else "float", **known}
        inner = {name: f"{OBJECTS}/{name}" for name in known}
        options.check_fields(
            (OBJECTS, *inner.values()),
            f"annotations of COCO have {OBJECTS}, {', '.join(inner.values())}",
        )
        self._others: Mapping[str, Kind] = {
            name: kind
            for name, kind in known.items()
            if inner[name] not in options.drop
        }
        names = tuple(categories[number] for number in sorted(categories))
        there = OBJECTS not in options.drop and (names or any(map(len, areas)))
        self.fields: Mapping[str, Field] = (
            {OBJECTS: Objects(names, tuple(self._others.items()))} if there else {}
        )

    def read(self, split: str, index: int, claim: Claim = at_once) -> Example:
        self._check_once(self.name_of(split, index), False, self._said[split].path)
        path = self._path(split, index)
        values = self.values(split, index)
        image = read_image(path, codecs=self._codecs, claim=claim)
        if values:
            self._check_size(split, index, path, image)
        file = PurePath(self._said[split].names[index])
        png = self._png_names[split].get(str(file), file.with_suffix(""))
        return Example(
            name=self.name_of(split, index),
            folder=split,
            stem=f"{split}/{png.as_posix()}",
            image=image,
            values=values,
        )

    def look(
        self, split: str, index: int, enough: int, claim: Claim = at_once
    ) -> Small:
        path = self._path(split, index)
        return read_small(path, enough, codecs=self._codecs, claim=claim)

    def name_of(self, split: str, index: int) -> str:
        """It is the path, from the folder of the data set."""
        return f"{self._prefixes[split]}{self._said[split].names[index]}"

    def values(self, split: str, index: int) -> Mapping[str, Boxes]:
        """They are the objects in it."""
        if not self.fields:
            return {}
        said = self._said[split]
        name, there = self.name_of(split, index), said.objects(index)
        self._check_once(name, index in said.twice, said.path)
        classes = said.classes[there]
        for number in classes[~np.isin(classes, self._ids)]:
            raise ImageError(
                f"{name} has an object of the category {number}, which {said.path} "
                f"does not know: add it there, or take the object out"
            )
        try:
            boxes = boxes_of(
                np.searchsorted(self._ids, classes),
                said.boxes[there],
                said.areas[there],
                said.crowds[there],
                (int(said.sizes[index, 0]), int(said.sizes[index, 1])),
                self._others,
            )
        except ValueError as error:
            raise ImageError(
                f"{name} has {error}: correct it in {said.path}, or take it out"
            ) from error
        return {OBJECTS: boxes}

    def candidates(self, name: str) -> Iterator[tuple[str, int]]:
        """Names are paths."""
        for split, index in self._places():
            if self.name_of(split, index) == name:
                yield split, index

    def extras(self, split: str, index: int) -> Iterator[str]:
        yield from png_extras(self._path(split, index).read_bytes())

    def loose(self) -> Iterator[str]:
        """What annotations hold that a release's do not."""
        for split, said in self._said.items():
            name = f"{FOLDER}/{said.path.name}"
            field = self.fields.get(OBJECTS)
            names = field.names if isinstance(field, Objects) else ()
            entries = partial(self._entries, split)
            with contextlib.suppress(ImageError):
                if is_written(self.root, name, names or (), entries):
                    continue
            yield (
                f"{name} holds more than images of the release and the objects in "
                f"them, or otherwise than a release does"
            )

    def _entries(self, split: str) -> Iterator[Entry]:
        """What a release says of its images."""
        said = self._said[split]
        for index, name in enumerate(said.names):
            height, width = (int(side) for side in said.sizes[index])
            boxes = self.values(split, index).get(OBJECTS)
            objects = [] if boxes is None else objects_of(boxes, height, width)
            yield Entry(name, height, width, objects)

    def left_out(self) -> Iterator[str]:
        """Objects in images that there are not, and images without an entry."""
        for said in self._said.values():
            if said.strays:
                yield (
                    f"{said.path} has objects in {len(said.strays)} images that it "
                    f"does not name, of the ids {listed(said.strays)}; they are left "
                    f"out"
                )
        if not self._is_all:
            return
        named = {hash(self.name_of(split, index)) for split, index in self._places()}
        unnamed: dict[str, None] = {}
        for folder in dict.fromkeys(self._folders.values()):
            for file in find_files(folder):
                path = folder / file
                name = self._name(path)
                if hash(name) not in named and looks_like_image(path):
                    unnamed[name] = None
        if unnamed:
            yield (
                f"{len(unnamed)} images in {self.root} are named by no annotations, "
                f"{listed(list(unnamed))}; they are left out"
            )

    def traces(self) -> Iterator[Trace]:
        """Each image is a file, and has another with what is in it."""
        said_by = {
            split: Trace.of(said.path, split, "", 0, 0)
            for split, said in self._said.items()
        }
        for split, index in self._places():
            folder, file = self._folders[split], self._said[split].names[index]
            place = split, self.name_of(split, index), index, index + 1
            one, said = Trace(*place, size=0, time=0), said_by[split]
            # What leads elsewhere is not looked up.
            with contextlib.suppress(ValueError):
                one = Trace.of(folder / inside(file), *place)
            yield one._replace(size=one.size + said.size, time=one.time + said.time)

    def _places(self) -> Iterator[tuple[str, int]]:
        for split, count in self.splits.items():
            yield from ((split, index) for index in range(count))

    def _name(self, path: Path) -> str:
        """A path, from the folder of the data set if it lies there."""
        with contextlib.suppress(ValueError):
            path = path.relative_to(self.root)
        return path.as_posix()

    def _path(self, split: str, index: int) -> Path:
        """Where to read an image, which must not lie elsewhere."""
        folder, name = self._folders[split], self._said[split].names[index]
        try:
            path = folder / inside(name)
        except ValueError as error:
            raise ImageError(
                f"{self._said[split].path} names the image {name!r}, which leads out "
                f"of its folder; give it a name within"
            ) from error
        self._check_inside(path, ImageError)
        return path

    def _check_inside(
        self, path: Path, error: type[ImageError] | type[RunError] = RunError
    ) -> None:
        if os.path.lexists(path) and not any(
            is_inside(path, root) for root in self._roots
        ):
            raise error(
                f"{path} is, or lies behind, a link out of the folder; copy what it "
                f"leads to into it, or name the folder that such links lead to with "
                f"--follow-links"
            )

    def _check_once(self, name: str, twice: bool, path: Path) -> None:
        """Refuses an image of which there are several."""
        if twice or hash(name) in self._repeated:
            raise ImageError(
                f"{name} is there several times, or others of its id are, so that it "
                f"is open which boxes are its: make one image of them in {path}"
            )

    def _check_size(
        self, split: str, index: int, path: Path, image: np.ndarray
    ) -> None:
        """Refuses an image that boxes are not, or may not be, measured by."""
        said = self._said[split]
        height, width = (int(side) for side in said.sizes[index])
        rows, columns = image.shape[:2]
        has_objects = said.starts[index] < said.starts[index + 1]
        turned = read_orientation(path) if has_objects else 1
        if (rows, columns) != (height, width):
            as_shown = ", once it is turned as its EXIF data say" if turned > 1 else ""
            raise ImageError(
                f"{path} is {rows} x {columns}{as_shown}, but {said.path} says "
                f"{height} x {width}: correct its height and width there, and its boxes"
            )
        # Of others it is seen from the size which way round they are measured.
        if turned > 1 and (turned < 5 or rows == columns):
            raise ImageError(
                f"{path} is turned or mirrored, as its EXIF data say, and it is open "
                f"whether its boxes are: save it upright, without EXIF data, and "
                f"correct its boxes"
            )


def _categories(said: Sequence[Annotations]) -> dict[int, str]:
    """Names of classes by their ids, the same in all files."""
    categories: dict[int, str] = {}
    for one in said:
        for number, name in one.categories.items():
            there = categories.setdefault(number, name)
            if there != name:
                raise RunError(
                    f"the category {number} is {name} in {one.path}, and {there} in "
                    f"{said[0].path}: give each class one id, the same in all files"
                )
    return categories


def _png_names(said: Annotations) -> Mapping[str, PurePath]:
    """What images are called without a suffix, where some would meet otherwise."""
    files = [PurePath(name) for name in said.names]
    fit = [file for file in files if file.name]
    if len({short_name(file) for file in fit}) == len(fit):
        return {}
    named = png_names(dict.fromkeys(fit))
    return {str(file): png.with_suffix("") for file, png in named.items()}

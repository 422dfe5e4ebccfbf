"""A COCO data set: PNG files, and for each split a file of what is in them."""

import contextlib
import dataclasses
import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np

from vmixjax.data.codecs.png import encode_png
from vmixjax.data.example import Example, Schema
from vmixjax.data.files import is_text
from vmixjax.data.formats.coco.boxes import AREA, CROWD, boxes_of, objects_of
from vmixjax.data.formats.coco.finding import FOLDER, PREFIX
from vmixjax.data.formats.coco.written import Entry, annotations_of, encode
from vmixjax.data.formats.folder import FolderSink
from vmixjax.data.formats.image_files import packed, unpacked, write_last
from vmixjax.data.inside import create_private, open_inside, own_folder
from vmixjax.data.objects import OBJECTS, Boxes, Objects
from vmixjax.data.writing import (
    WORK,
    Files,
    Shard,
    Sink,
    Stored,
    Writer,
    aside_name,
    check_stored,
    part_path,
)
from vmixjax.errors import ImageError, RunError

_NOTHING = Boxes(np.empty((0, 4), np.float32), np.empty(0, np.int64))


class CocoSink(Sink):
    """Writes PNG files into folders of splits, and what is in them beside these.

    Args:
      root: Folder to write to.
      schema: What is to be held: of fields, objects and no more.

    Raises:
      RunError: There are other fields, or more is known of objects than COCO has.
    """

    def __init__(self, root: Path, schema: Schema) -> None:
        self.root = root
        self._images = FolderSink(root, Schema(schema.name, {}, schema.pixels))
        self._field = OBJECTS
        self._names: tuple[str, ...] | None = None
        held: list[str] = []
        for name, field in schema.fields.items():
            if not isinstance(field, Objects) or held:
                raise RunError(
                    f"--format coco cannot hold the field {name}, but boxes of objects "
                    f"alone: leave it out (if SRC has it, --drop {name}), or choose "
                    f"another --format"
                )
            held.append(OBJECTS)
            self._field, self._names = name, _canonical(field.names)
            self._check(name, field)
        self.holds: Sequence[str] = held

    def _check(self, name: str, field: Objects) -> None:
        kinds = {AREA: ("int", "float"), CROWD: ("bool",)}
        for other, kind in field.others:
            if kind not in kinds.get(other, ()):
                raise RunError(
                    f"--format coco cannot hold {other} of {name}, as COCO knows "
                    f"nothing of the kind: leave it behind with --drop {name}/{other}, "
                    f"or choose another --format"
                )
        for one in field.names or ():
            if not is_text(one):
                raise RunError(
                    f"--format coco cannot hold the class {one}, whose name is no text "
                    f"in UTF-8: rename it, or choose another --format"
                )

    def output(self, example: Example, shard: Shard, index: int, names: bool) -> str:
        """It is a path."""
        placed = dataclasses.replace(example, folder=shard.split)
        path = self._images.output(placed, shard, index, names)
        if not is_text(path):
            raise ImageError(
                f"{example.name} has a name that is no text in UTF-8, which JSON "
                f"cannot hold; rename it, or choose another --format"
            )
        return path

    def encode(self, example: Example, output: str) -> bytes:
        """It is a line about the image, and the PNG file."""
        height, width = example.image.shape[:2]
        objects = objects_of(self._boxes(example), height, width)
        line = encode(Entry(output.partition("/")[2], height, width, objects))
        return packed(line, encode_png(example.image))

    def reread(self, record: bytes, output: str) -> Stored:
        """Its reader takes the name from the line, and from the folder."""
        line, image = unpacked(record)
        stored = self._images.reread(image, output)
        try:
            entry = msgspec.json.decode(line, type=Entry)
            boxes = self._as_read(entry)
        except ValueError as error:
            raise ImageError(f"{output} has {error}") from error
        if (entry.height, entry.width) != stored.shape[:2]:
            raise ImageError(f"{output} has another size than the line about it says")
        name = f"{output.partition('/')[0]}/{entry.file_name}"
        held = self._held(boxes, entry.height, entry.width)
        return Stored(name, stored.shape, stored.dtype, held)

    def called(self, field: str) -> str:
        """There is one field, and it has one name."""
        return OBJECTS if field == self._field else field

    def belongings(self, example: Example) -> bytes:
        """They are the objects as they are written, and the names of their classes."""
        return self._held(self._boxes(example), *example.image.shape[:2])

    def _boxes(self, example: Example) -> Boxes:
        boxes: Boxes = example.values.get(self._field, _NOTHING)
        return boxes

    def _held(self, boxes: Boxes, height: int, width: int) -> bytes:
        return encode([self._names, objects_of(boxes, height, width)])

    def _as_read(self, entry: Entry) -> Boxes:
        """The objects in an image as the reader has them."""
        objects = entry.objects
        whole = all(isinstance(one.area, int) for one in objects)
        labels = np.array([one.label for one in objects], np.int64)
        known = len(self._names) if self._names is not None else np.inf
        if ((labels < 0) | (labels >= known)).any():
            raise ValueError("an object of no class that it has")
        return boxes_of(
            labels,
            np.array([one.bbox for one in objects], np.float64).reshape(-1, 4),
            np.array([one.area for one in objects], np.float64),
            np.array([one.iscrowd for one in objects], bool),
            (entry.height, entry.width),
            {AREA: "int" if whole else "float", CROWD: "bool"},
        )

    @contextlib.contextmanager
    def write(self, shard: Shard, files: Files, disk: Executor) -> Iterator[Writer]:
        """What is said of the images lies aside until it is all together."""
        path = part_path(own_folder(self.root, WORK))
        files.parts[aside_name(shard)] = path, ""
        with (
            create_private(path) as file,
            self._images.write(shard, files, disk) as images,
        ):
            lines = _Lines(file, images)
            yield lines
        expected = lines.digest.hexdigest()
        check_stored(path, expected)
        files.parts[aside_name(shard)] = path, expected

    def finish(self, counts: Mapping[str, list[tuple[int, int]]]) -> dict[str, str]:
        """Writes a file of annotations for each split."""
        # Of a shard without images nothing may be there.
        with_images = {
            split: [number for number, (images, _) in enumerate(shards) if images]
            for split, shards in counts.items()
        }
        splits = {
            split: partial(self._entries, split, numbers)
            for split, numbers in with_images.items()
        }
        names = self._names
        if names is None:
            every = itertools.chain.from_iterable(of() for of in splits.values())
            labels = (one.label for entry in every for one in entry.objects)
            names = tuple(map(str, range(max(labels, default=-1) + 1)))
        contents = {
            f"{FOLDER}/{PREFIX}{split}.json": annotations_of(names, entries)
            for split, entries in splits.items()
        }
        return write_last(self.root, contents)

    def _entries(self, split: str, numbers: Sequence[int]) -> Iterator[Entry]:
        """What was written of the images in shards of a split."""
        for number in numbers:
            name = aside_name(Shard(split, number, 0, 0, 0, 0))
            with open_inside(self.root, name) as file:
                for line in file:
                    yield msgspec.json.decode(line, type=Entry)


class _Lines(Writer):
    def __init__(self, file: BinaryIO, images: Writer) -> None:
        self._file, self._images = file, images
        self.digest = hashlib.sha256()

    def add(self, name: str, record: bytes) -> None:
        line, image = unpacked(record)
        self._file.write(line + b"\n")
        self.digest.update(line + b"\n")
        self._images.add(name, image)


def _canonical(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Names of classes; None where they are their numbers, as they are written then."""
    if names is None or names == tuple(map(str, range(len(names)))):
        return None
    return names

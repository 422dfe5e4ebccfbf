"""Writes PNG files, and a file of boxes beside each."""

import abc
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path

from vmixjax.data.codecs.images import check_length
from vmixjax.data.codecs.png import encode_png, png_form
from vmixjax.data.example import Example, Schema
from vmixjax.data.files import is_text
from vmixjax.data.formats.image_files import (
    MOST_FILES,
    FilesWriter,
    file_path,
    files_written,
    packed,
    unpacked,
)
from vmixjax.data.inside import is_plain
from vmixjax.data.objects import OBJECTS, Boxes, Objects
from vmixjax.data.writing import (
    Files,
    Shard,
    Sink,
    Stored,
    sequence_number,
)
from vmixjax.errors import ImageError, RunError

MOST_IMAGES = MOST_FILES // 2
"""To a shard."""


class SidecarSink(Sink):
    """Writes an image and its sidecar for each example; subclasses say of which kind.

    Args:
      root: Folder to write to.
      schema: What is to be held: objects, and nothing else.
      format: Name of the format, for complaints.
      others: What it can hold of each object beside its box and its class.

    Attributes:
      field: What is known of the objects.

    Raises:
      RunError: There are other fields, or classes of objects without fit names.
    """

    holds: Sequence[str] = (OBJECTS,)

    def __init__(
        self, root: Path, schema: Schema, format: str, others: Sequence[str] = ()
    ) -> None:
        self.root = root
        for name, field in schema.fields.items():
            if name != OBJECTS or not isinstance(field, Objects):
                raise RunError(
                    f"--format {format} cannot hold the field {name}: choose --format "
                    f"tfds, or leave it out (if SRC has it, --drop {name})"
                )
        if OBJECTS not in schema.fields:
            raise RunError(
                f"--format {format} is for boxes of objects, and SRC has no field "
                f"{OBJECTS}; choose another --format"
            )
        objects = schema.fields[OBJECTS]
        assert isinstance(objects, Objects)
        self.field = objects
        strange = [
            f"{OBJECTS}/{name}" for name, _ in objects.others if name not in others
        ]
        if strange:
            raise RunError(
                f"--format {format} cannot hold {', '.join(strange)}: choose --format "
                f"tfds, or leave out what it cannot with --drop {' '.join(strange)}"
            )
        self.names = _fit_names(objects.names, format)

    @abc.abstractmethod
    def place(self, split: str, stem: str) -> str:
        """Gives the path of an image by that of the example, without suffixes."""

    @abc.abstractmethod
    def sidecar_of(self, output: str) -> str:
        """Gives the path of the sidecar of an image file."""

    @abc.abstractmethod
    def number(self, shard: Shard, number: str) -> str:
        """Gives the path, as of an example, that a number of a split has."""

    @abc.abstractmethod
    def render(self, boxes: Boxes, shape: Sequence[int], output: str) -> bytes:
        """Gives the content of a sidecar.

        Args:
          boxes: The boxes.
          shape: (H, W, C) of the image.
          output: Path of the image file.
        """

    @abc.abstractmethod
    def parse(self, sidecar: bytes, shape: Sequence[int], output: str) -> Boxes:
        """Reads a sidecar as the reader of the format does; otherwise as `render`."""

    @abc.abstractmethod
    def meaning(self, boxes: Boxes, shape: Sequence[int]) -> bytes:
        """Gives what is held of boxes: alike for alike only."""

    def output(self, example: Example, shard: Shard, index: int, names: bool) -> str:
        """It is the path of the image file."""
        if not is_plain(shard.split):
            raise ImageError(
                f"{example.name} is in the split {shard.split}, whose name is none of "
                f"a file; rename the split"
            )
        stem = example.stem
        if not names:
            stem = self.number(shard, sequence_number(index, shard.count))
        return file_path(f"{self.place(shard.split, stem)}.png", example)

    def encode(self, example: Example, output: str) -> bytes:
        """It is the sidecar and the image, one behind the other."""
        boxes = self._boxes(example)
        sidecar = self.render(boxes, example.image.shape, output)
        return packed(sidecar, encode_png(example.image))

    def reread(self, record: bytes, output: str) -> Stored:
        """Its reader takes the name from the path."""
        sidecar, image = unpacked(record)
        check_length(image)
        shape, dtype = png_form(image)
        boxes = self.parse(sidecar, shape, output)
        return Stored(output, shape, dtype, self.meaning(boxes, shape))

    def belongings(self, example: Example) -> bytes:
        """They are the boxes."""
        return self.meaning(self._boxes(example), example.image.shape)

    @contextmanager
    def write(
        self, shard: Shard, files: Files, disk: Executor
    ) -> Iterator[FilesWriter]:
        """Disks are slow to confirm, so threads wait for them."""
        del shard

        def both(name: str, record: bytes) -> Iterable[tuple[str, bytes]]:
            sidecar, image = unpacked(record)
            return (name, image), (self.sidecar_of(name), sidecar)

        with files_written(FilesWriter(self.root, files, disk, both)) as writer:
            yield writer
        # Folder by folder, so that each is opened once when they get their names.
        files.parts = dict(
            sorted(files.parts.items(), key=lambda part: not is_image_file(part[0]))
        )

    def _boxes(self, example: Example) -> Boxes:
        boxes = example.values[OBJECTS]
        assert isinstance(boxes, Boxes)
        return boxes


def is_image_file(name: str) -> bool:
    """Tells whether a file that a sink wrote is an image; otherwise it is a sidecar."""
    return name.endswith(".png")


def check_splits(splits: Collection[str]) -> None:
    """Refuses names of splits that files cannot have, of those without images too.

    Raises:
      RunError: There is one.
    """
    for split in splits:
        if not is_plain(split):
            raise RunError(
                f"the split {split} has a name that is none of a file; rename it, or "
                f"leave it out with --splits"
            )


def _fit_names(names: tuple[str, ...] | None, format: str) -> tuple[str, ...]:
    """Names of classes, if files that anybody reads can hold them."""
    if names is None:
        raise RunError(
            f"--format {format} cannot hold the field {OBJECTS}, whose classes have no "
            f"names: choose --format tfds"
        )
    for name in names:
        single = name.splitlines() == [name] and name.strip() == name
        if not single or not is_text(name) or not name.isprintable():
            raise RunError(
                f"--format {format} cannot hold the class {name!r} of {OBJECTS}, whose "
                f"name is no line of text: choose --format tfds"
            )
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise RunError(
            f"--format {format} cannot hold two classes of {OBJECTS} called {twice}: "
            f"choose --format tfds"
        )
    return names

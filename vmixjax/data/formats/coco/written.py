"""Annotations as a release has them: images, boxes and classes, and nothing else."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from vmixjax.data.formats.coco.boxes import Object
from vmixjax.data.inside import open_inside

_ABOUT = "Images and the objects in them, written by vmixjax"


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An image as it is written.

    Attributes:
      file_name: Its path in the folder of its split.
      height, width: Of it.
      objects: What is in it.
    """

    file_name: str
    height: int
    width: int
    objects: list[Object]


def encode(value: object) -> bytes:
    """Writes JSON, in one line."""
    return msgspec.json.encode(value)


def annotations_of(
    names: Sequence[str], entries: Callable[[], Iterator[Entry]]
) -> Iterator[bytes]:
    """Writes a file of annotations, piece by piece; ids of all in it begin with 1.

    Args:
      names: Names of classes.
      entries: Gives all images, each time.
    """
    yield b'{"info":' + encode({"description": _ABOUT}) + b',\n"images":['
    yield from _listed(
        {
            "id": number,
            "file_name": entry.file_name,
            "width": entry.width,
            "height": entry.height,
        }
        for number, entry in enumerate(entries(), 1)
    )
    yield b'],\n"annotations":['
    yield from _listed(
        {
            "id": id,
            "image_id": number,
            "category_id": one.label + 1,
            "bbox": one.bbox,
            "area": one.area,
            "iscrowd": one.iscrowd,
        }
        for id, (number, one) in enumerate(_objects(entries()), 1)
    )
    yield b'],\n"categories":['
    yield from _listed({"id": id, "name": name} for id, name in enumerate(names, 1))
    yield b"]}\n"


def is_written(
    root: Path, name: str, names: Sequence[str], entries: Callable[[], Iterator[Entry]]
) -> bool:
    """Tells whether a file of annotations holds just what `annotations_of` writes.

    Args:
      root: Folder that it lies in.
      name: Its path there.
      names: As of `annotations_of`.
      entries: Likewise.
    """
    expected = hashlib.sha256()
    for piece in annotations_of(names, entries):
        expected.update(piece)
    with open_inside(root, name) as file:
        return hashlib.file_digest(file, "sha256").digest() == expected.digest()


def _objects(entries: Iterator[Entry]) -> Iterator[tuple[int, Object]]:
    """All objects, and the numbers of their images."""
    for number, entry in enumerate(entries, 1):
        yield from ((number, one) for one in entry.objects)


def _listed(values: Iterator[object]) -> Iterator[bytes]:
    """The values of a list, a line each."""
    between = b"\n"
    for value in values:
        yield between + encode(value)
        between = b",\n"

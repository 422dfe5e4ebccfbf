"""Writes images, an XML file for each, and lists of splits, as Pascal VOC has them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from vmixjax.data.example import Example, Schema
from vmixjax.data.files import is_text
from vmixjax.data.formats.image_files import write_last
from vmixjax.data.formats.sidecars.sink import (
    SidecarSink,
    check_splits,
    is_image_file,
)
from vmixjax.data.formats.voc.annotation import (
    FLAGS,
    boxes_of,
    parse,
    render,
    render_objects,
)
from vmixjax.data.formats.voc.classes import CLASSES, render_classes
from vmixjax.data.formats.voc.reader import ANNOTATIONS, IMAGES, LISTS, render_list
from vmixjax.data.objects import Boxes, check_boxes
from vmixjax.data.writing import Shard
from vmixjax.errors import ImageError

_NO_XML = re.compile("[\x00-\x1f\x7f-\x9f\ufffe\uffff]")
"""Characters that XML cannot hold, or a line of a list."""


class VocSink(SidecarSink):
    """Writes `JPEGImages`, `Annotations` and `ImageSets/Main`; images are PNG.

    Numbers of splits other than train begin with the split, as `val_00000`.

    Args:
      root: Folder to write to.
      schema: What is to be held.

    Raises:
      RunError: There are other fields than VOC has.
    """

    def __init__(self, root: Path, schema: Schema) -> None:
        super().__init__(root, schema, "voc", tuple(FLAGS.values()))
        self._listed: dict[str, list[str]] = {}

    def place(self, split: str, stem: str) -> str:
        return f"{IMAGES}/{stem}"

    def sidecar_of(self, output: str) -> str:
        return f"{ANNOTATIONS}/{_stem(output)}.xml"

    def number(self, shard: Shard, number: str) -> str:
        return number if shard.split == "train" else f"{shard.split}_{number}"

    def output(self, example: Example, shard: Shard, index: int, names: bool) -> str:
        output = super().output(example, shard, index, names)
        stem = _stem(output)
        if not is_text(stem) or _NO_XML.search(stem) or stem.strip() != stem:
            raise ImageError(
                f"{example.name} would have the name {stem!r}, which a list of names "
                f"cannot hold; rename it"
            )
        return output

    def render(self, boxes: Boxes, shape: Sequence[int], output: str) -> bytes:
        return render(boxes, self.names, shape, output.removeprefix(f"{IMAGES}/"))

    def parse(self, sidecar: bytes, shape: Sequence[int], output: str) -> Boxes:
        try:
            boxes = boxes_of(parse(sidecar), self.field)
        except ValueError as error:
            raise ImageError(f"{self.sidecar_of(output)} {error}") from error
        return check_boxes(boxes, self.field, output)

    def meaning(self, boxes: Boxes, shape: Sequence[int]) -> bytes:
        """It has classes by their names: numbers follow from which names there are."""
        return render_objects(boxes, self.names, shape).encode()

    def note(self, shard: Shard, files: Iterable[str]) -> None:
        """Keeps the names of images for the lists, as of `ListsFiles`."""
        names = [_stem(file) for file in files if is_image_file(file)]
        self._listed.setdefault(shard.split, []).extend(names)

    def finish(self, counts: Mapping[str, list[tuple[int, int]]]) -> dict[str, str]:
        """Writes the lists of splits, and that of classes."""
        check_splits(counts)
        lists = {
            CLASSES: [render_classes(self.names)],
            **{
                f"{LISTS}/{split}.txt": [render_list(self._listed.get(split, []))]
                for split in counts
            },
        }
        return write_last(self.root, lists)


def _stem(output: str) -> str:
    return output.removeprefix(f"{IMAGES}/").removesuffix(".png")

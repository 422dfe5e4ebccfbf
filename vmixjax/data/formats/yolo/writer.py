"""Writes images, a text file of boxes for each, and `data.yaml`, as YOLO has them."""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

from vmixjax.data.example import Example, Schema
from vmixjax.data.formats.image_files import write_last
from vmixjax.data.formats.sidecars.sink import SidecarSink, check_splits
from vmixjax.data.formats.yolo import description
from vmixjax.data.formats.yolo.labels import meaning, parse, render
from vmixjax.data.formats.yolo.reader import IMAGES, labels_of
from vmixjax.data.objects import Boxes, check_boxes
from vmixjax.data.writing import Shard
from vmixjax.errors import ImageError


class YoloSink(SidecarSink):
    """Writes `images/SPLIT`, `labels/SPLIT` and `data.yaml`; images are PNG.

    Args:
      root: Folder to write to.
      schema: What is to be held.

    Raises:
      RunError: There are other fields than YOLO has.
    """

    def __init__(self, root: Path, schema: Schema) -> None:
        super().__init__(root, schema, "yolo")

    def place(self, split: str, stem: str) -> str:
        return f"{IMAGES}/{split}/{stem.removeprefix(f'{split}/')}"

    def sidecar_of(self, output: str) -> str:
        return labels_of(PurePath(output)).as_posix()

    def number(self, shard: Shard, number: str) -> str:
        return number

    def output(self, example: Example, shard: Shard, index: int, names: bool) -> str:
        if shard.split in description.NO_SPLITS:
            raise ImageError(
                f"{example.name} is in the split {shard.split}, which has a meaning in "
                f"data.yaml; rename the split"
            )
        return super().output(example, shard, index, names)

    def render(self, boxes: Boxes, shape: Sequence[int], output: str) -> bytes:
        return render(boxes)

    def parse(self, sidecar: bytes, shape: Sequence[int], output: str) -> Boxes:
        try:
            boxes = parse(sidecar)
        except ValueError as error:
            raise ImageError(f"{self.sidecar_of(output)} {error}") from error
        return check_boxes(boxes, self.field, output)

    def meaning(self, boxes: Boxes, shape: Sequence[int]) -> bytes:
        """It has the names of classes, whose numbers say nothing alone."""
        return meaning(boxes, self.names)

    def finish(self, counts: Mapping[str, list[tuple[int, int]]]) -> dict[str, str]:
        """Writes `data.yaml`."""
        check_splits(counts)
        content = description.render(self.names, list(counts))
        return write_last(self.root, {description.NAMES[0]: [content]})

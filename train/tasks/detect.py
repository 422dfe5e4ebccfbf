"""Boxes of objects, each with its class."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from PIL import Image, ImageDraw

from train.drawing import coloured, palette
from train.geometry import Move
from train.models import build_dense
from train.tasks.task import Letterbox, Targets, Task
from vmixjax.command_line import counted
from vmixjax.data import Boxes, Field, Objects
from vmixjax.dense import average_precision, centres
from vmixjax.dense.boxes import areas, shared
from vmixjax.errors import RunError

_LEFT = 0.25
"""Share of a box that must still be in the image that was moved; else it is gone."""

_FOUND = 100
"""Boxes of an image that tests look at, as COCO's metrics do."""

_SURE = 0.3
"""Score from which on people are told of a box."""


@dataclasses.dataclass(frozen=True)
class ObjectsFound:
    """What a model finds in one image, the likeliest first.

    Boxes are [top, left, bottom, right], in pixels of the image.
    """

    path: str
    classes: tuple[str, ...]
    scores: tuple[float, ...]
    boxes: tuple[tuple[float, ...], ...]

    def line(self, most: int) -> str:
        """See `Answer.line`: how many of each class, and the likeliest of all."""
        counts = counted(Counter(self.classes))
        each = zip(self.classes, self.scores, self.boxes, strict=True)
        told = [
            f"{name} {score:.0%} at [{', '.join(f'{x:.0f}' for x in box)}]"
            for name, score, box in list(each)[:most]
        ]
        return f"{counts or 'nothing'}{': ' if told else ''}{', '.join(told)}"


class Detect(Task):
    """Images have boxes: `boxes`, float32 (N, 4), in pixels; `box_labels`, int32 (N,).

    N is the config's `data.boxes`; the labels of those that are none are -1.
    """

    fields = ("objects",)
    kind = Objects
    needs = "boxes with classes"
    score = "ap50"
    title = "AP at IoU 0.5"
    # The reflection of an object is one that no box is around.
    fills = True

    @classmethod
    def classes_of(cls, field: Field) -> tuple[str, ...] | None:
        """See `Task.classes_of`."""
        return field.names if isinstance(field, Objects) else None

    @classmethod
    def greatest(cls, value: Any) -> int:
        """See `Task.greatest`."""
        return int(value.labels.max(initial=0))

    @classmethod
    def field_of(cls, classes: tuple[str, ...]) -> Field:
        """See `Task.field_of`."""
        return Objects(classes)

    @classmethod
    def learned(cls, value: Any, field: Field) -> Any:
        """Boxes and classes, and nothing else that is known of objects."""
        return Boxes(value.corners, value.labels)

    @classmethod
    def resized(cls, value: Any, box: Letterbox) -> Any:
        """As shares of the larger image."""
        share = np.tile(np.divide(box.inside, box.shape), 2).astype(np.float32)
        return Boxes(value.corners * share, value.labels)

    def counts(self, values: Sequence[Any]) -> np.ndarray | None:
        """Objects."""
        labels = np.concatenate([one.labels for one in values])
        return np.bincount(labels, minlength=self.classes)

    def targets(self, value: Any, index: int) -> dict[str, np.ndarray]:
        """See `Task.targets`; where there are too many boxes, the largest are taken."""
        if len(value) and not 0 <= value.labels.min() <= value.labels.max() < (
            self.classes
        ):
            raise RunError(
                f"image {index} has objects of the classes {value.labels.min()} to "
                f"{value.labels.max()}: with {self.classes} classes, they must be 0 to "
                f"{self.classes - 1}"
            )
        corners, labels = value.padded(self.config.data.boxes)
        sides = np.tile(self.shape[:2], 2).astype(np.float32)
        return {"boxes": corners * sides, "box_labels": labels}

    def blank(self) -> dict[str, np.ndarray]:
        """See `Task.blank`."""
        count = self.config.data.boxes
        return {
            "boxes": np.zeros((count, 4), np.float32),
            "box_labels": np.full(count, -1, np.int32),
        }

    def moved(self, targets: Targets, move: Move) -> Targets:
        """Boxes are cut to the image; those of which little is left are gone."""
        corners = move.boxes(targets["boxes"])
        inside = jnp.asarray([0, 0, *self.shape[:2]], corners.dtype)
        left = shared(corners, inside)
        stays = left >= _LEFT * areas(corners)
        return {
            "boxes": jnp.clip(corners, jnp.zeros(4), jnp.tile(inside[2:], 2)),
            "box_labels": jnp.where(stays, targets["box_labels"], -1),
        }

    def build(self, shape: tuple[int, int, int], **options: Any) -> nnx.Module:
        """See `Task.build`."""
        outputs = {"heat": self.classes, "sides": 4}
        return build_dense(self.config.model, shape, outputs, **options)

    def loss(self, outputs: Any, asked: Targets) -> jax.Array:
        """Of heat and of sides."""
        return centres.detection_loss(
            outputs["heat"],
            outputs["sides"],
            asked["boxes"],
            asked["box_labels"],
            size=self._size,
        )

    def likely(self, outputs: Any) -> Any:
        """Heat (B, h, w, classes) and boxes (B, h, w, 4)."""
        heat = centres.likely_heat(outputs["heat"])
        sides = outputs["sides"].astype(jnp.float32)
        boxes = centres.sides_to_boxes(sides, centres.cell_of(self._size, heat))
        return {"heat": heat, "boxes": boxes}

    def told(self, likely: Any, targets: Targets) -> dict[str, jax.Array]:
        """See `answers`."""
        del targets
        return self.answers(likely)

    def answer(
        self, path: str, answer: Any, classes: Sequence[str], box: Letterbox
    ) -> ObjectsFound:
        """See `Task.answer`."""
        sure = _sure(answer)
        scale = np.divide(box.size, box.inside)
        boxes = answer["corners"][sure] * np.tile(box.shape * scale, 2)
        boxes = np.clip(boxes, 0, np.tile(box.size, 2))
        return ObjectsFound(
            path,
            tuple(classes[i] for i in answer["labels"][sure]),
            tuple(map(float, answer["scores"][sure])),
            tuple(tuple(map(float, one)) for one in boxes),
        )

    def drawn(self, image: np.ndarray, answer: Any) -> Image.Image:
        """See `Task.drawn`: boxes in colours of their classes."""
        picture = coloured(image)
        draw = ImageDraw.Draw(picture)
        sides = np.tile(picture.size[::-1], 2)
        sure = _sure(answer)
        # The likeliest on top.
        for corners, label in zip(
            answer["corners"][sure][::-1], answer["labels"][sure][::-1], strict=True
        ):
            top, left, bottom, right = corners * sides
            colour = tuple(palette()[label % len(palette())])
            draw.rectangle((left, top, right, bottom), outline=colour, width=2)
        return picture

    def answers(self, likely: Any) -> dict[str, jax.Array]:
        """What is found in each image; boxes as shares of its sides."""
        return centres.detections(
            likely["heat"], likely["boxes"], size=self._size, count=_FOUND
        )

    def scores(
        self, parts: Iterable[Mapping[str, Any]], values: Iterable[Any]
    ) -> dict[str, float]:
        """COCO's metrics; see `Task.scores`."""
        every, wanted = list(parts), list(values)
        found = {
            name: np.concatenate([np.asarray(part[name]) for part in every])
            for name in ("corners", "scores", "labels", "id")
        }
        order = np.argsort(found.pop("id"))[: len(wanted)]
        found = {name: values[order] for name, values in found.items()}
        return average_precision(wanted, found, self._size, classes=self.classes)

    @property
    def _size(self) -> tuple[int, int]:
        """Height and width of the images."""
        height, width, _ = self.shape
        return height, width


def _sure(answer: Any) -> np.ndarray:
    """Places of what people are told of, the likeliest first."""
    there = (answer["labels"] >= 0) & (answer["scores"] >= _SURE)
    order = np.argsort(-answer["scores"], stable=True)
    return order[there[order]]

"""A class for each pixel."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from PIL import Image

from train.drawing import coloured, palette
from train.geometry import Move
from train.models import build_dense
from train.tasks.task import Letterbox, Targets, Task
from vmixjax.data import Field, Mask
from vmixjax.dense import masks
from vmixjax.dense.masks import IGNORED
from vmixjax.errors import RunError


@dataclasses.dataclass(frozen=True)
class Shares:
    """What a model sees in one image: classes, and the share of its pixels of each."""

    path: str
    classes: tuple[str, ...]
    shares: tuple[float, ...]

    def line(self, most: int) -> str:
        """See `Answer.line`."""
        largest = zip(self.classes, self.shares, strict=True)
        return ", ".join(f"{name} {share:.1%}" for name, share in list(largest)[:most])


class Segment(Task):
    """Each pixel has a class: `mask`, uint8 (H, W); `IGNORED` for none.

    Classes that are called unlabelled, void or the like are none.
    """

    fields = ("segmentation_mask", "segmentation_label", "mask", "label_map")
    kind = Mask
    needs = "an image of the classes of pixels"
    score = "mean_iou"
    title = "mean IoU"
    options = ("dice",)

    @classmethod
    def classes_of(cls, field: Field) -> tuple[str, ...] | None:
        """See `Task.classes_of`."""
        return masks.mask_classes(field) if isinstance(field, Mask) else None

    @classmethod
    def greatest(cls, value: Any) -> int:
        """See `Task.greatest`."""
        return int(np.where(value == IGNORED, 0, value).max(initial=0))

    @classmethod
    def field_of(cls, classes: tuple[str, ...]) -> Field:
        """See `Task.field_of`."""
        # One more, for what is ignored.
        return Mask(count=len(classes) + 1, names=(*classes, "unlabelled"))

    @classmethod
    def learned(cls, value: Any, field: Field) -> Any:
        """Classes count from 0 without those that are none."""
        assert isinstance(field, Mask)
        return masks.known_classes(value, field)

    def stored(self, value: Any) -> Any:
        """See `Task.stored`."""
        return np.where(value == IGNORED, self.classes, value).astype(np.uint8)

    @classmethod
    def resized(cls, value: Any, box: Letterbox) -> Any:
        """The nearest pixels; what is not of the image is ignored."""
        height, width = box.inside
        picture = Image.fromarray(value).resize(
            (width, height), Image.Resampling.NEAREST
        )
        mask = np.full(box.shape, IGNORED, np.uint8)
        mask[:height, :width] = np.asarray(picture)
        return mask

    def targets(self, value: Any, index: int) -> dict[str, np.ndarray]:
        """See `Task.targets`; masks of cells become as large as their image."""
        height, width = self.shape[:2]
        rows, columns = value.shape
        if height % rows or width % columns or height // rows != width // columns:
            raise RunError(
                f"image {index} is {height} x {width} and its mask {rows} x {columns}: "
                f"masks have as many pixels, or one for each cell of so many"
            )
        side = height // rows
        mask = np.repeat(np.repeat(value, side, 0), side, 1) if side > 1 else value
        found = np.unique(mask)
        strange = found[(found >= self.classes) & (found != IGNORED)]
        if len(strange):
            raise RunError(
                f"image {index} has the class {strange[0]} in its mask: with "
                f"{self.classes} classes, they must be 0 to {self.classes - 1}"
            )
        return {"mask": mask}

    def blank(self) -> dict[str, np.ndarray]:
        """See `Task.blank`."""
        return {"mask": np.full(self.shape[:2], IGNORED, np.uint8)}

    def moved(self, targets: Targets, move: Move) -> Targets:
        """Masks move as images do, reflections included."""
        return {"mask": move.mask(targets["mask"], IGNORED)}

    def build(self, shape: tuple[int, int, int], **options: Any) -> nnx.Module:
        """See `Task.build`."""
        outputs = {"classes": self.classes}
        return build_dense(self.config.model, shape, outputs, **options)

    def loss(self, outputs: Any, asked: Targets) -> jax.Array:
        """Cross-entropy of pixels whose class is known, and Dice's loss beside it."""
        logits = self._enlarged(outputs["classes"])
        dice = self.config.optimizer.dice
        loss = masks.pixel_loss(logits, asked["mask"])
        return loss + dice * masks.dice_loss(logits, asked["mask"]) if dice else loss

    def noted(self, outputs: Any, targets: Targets) -> dict[str, jax.Array]:
        """The share of pixels that are right, of those whose class is known."""
        mask = targets["mask"]
        found = self._enlarged(outputs["classes"]).argmax(-1)
        known = mask != IGNORED
        right = jnp.sum(known & (found == mask)) / jnp.maximum(1, jnp.sum(known))
        return {"accuracy": right}

    def likely(self, outputs: Any) -> Any:
        """Probabilities of each class in each pixel, (B, H, W, classes)."""
        return jax.nn.softmax(self._enlarged(outputs["classes"]))

    def answers(self, likely: Any) -> Any:
        """The likeliest class of each pixel, uint8 (B, H, W)."""
        return likely.argmax(-1).astype(jnp.uint8)

    def answer(
        self, path: str, answer: Any, classes: Sequence[str], box: Letterbox
    ) -> Shares:
        """See `Task.answer`: the largest first."""
        height, width = box.inside
        inside = answer[:height, :width]
        shares = np.bincount(inside.ravel(), minlength=len(classes)) / inside.size
        order = [i for i in np.argsort(-shares, stable=True) if shares[i] > 0]
        names = tuple(classes[i] for i in order)
        return Shares(path, names, tuple(float(shares[i]) for i in order))

    def drawn(self, image: np.ndarray, answer: Any) -> Image.Image:
        """See `Task.drawn`: classes as colours over the image."""
        picture = coloured(image)
        colours = palette()[answer % len(palette())].astype(np.uint8)
        over = Image.fromarray(colours).resize(picture.size, Image.Resampling.NEAREST)
        return Image.blend(picture, over, 0.5)

    def told(self, likely: Any, targets: Targets) -> dict[str, jax.Array]:
        """How many pixels of each class are taken for each: (classes, classes)."""
        mask = targets["mask"]
        known = mask != IGNORED
        labels = jnp.where(known, mask, 0).astype(jnp.int32)
        right = jnp.take_along_axis(likely, labels[..., None], -1)[..., 0]
        # What is 0 in float32 is not impossible.
        loss = -jnp.log(jnp.maximum(right, 1e-30))
        return {
            "confusion": masks.confusion(likely.argmax(-1), mask, self.classes),
            "loss": jnp.sum(jnp.where(known, loss, 0)),
        }

    def scores(
        self, parts: Iterable[Mapping[str, Any]], values: Iterable[Any]
    ) -> dict[str, float]:
        """Mean IoU over the classes that tests have; see `Task.scores`."""
        del values
        confusion = np.zeros((self.classes, self.classes), np.int64)
        loss = 0.0
        for part in parts:
            confusion += np.asarray(part["confusion"], np.int64)
            loss += float(part["loss"])
        count = max(1, int(confusion.sum()))
        return {
            "loss": loss / count,
            self.score: masks.mean_iou(confusion),
            "pixel_accuracy": float(np.trace(confusion)) / count,
        }

    def _enlarged(self, logits: jax.Array) -> jax.Array:
        """As large as the images, float32."""
        height, width, _ = self.shape
        return masks.enlarged(logits, (height, width))

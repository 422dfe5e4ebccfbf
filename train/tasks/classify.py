"""One class for the whole image."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from train.augmentations import blended
from train.config import Optimizer
from train.models import build
from train.tasks.task import Letterbox, Targets, Task
from vmixjax.data import Field, Label
from vmixjax.errors import RunError


@dataclasses.dataclass(frozen=True)
class Classes:
    """What a model says of one image: classes and probabilities, likeliest first."""

    path: str
    classes: tuple[str, ...]
    probabilities: tuple[float, ...]

    def line(self, most: int) -> str:
        """See `Answer.line`."""
        likeliest = zip(self.classes, self.probabilities, strict=True)
        return ", ".join(f"{name} {p:.1%}" for name, p in list(likeliest)[:most])


class Classify(Task):
    """Images have one class each: `label`, int32; -1 for none."""

    fields = ("label", "cls")
    kind = Label
    needs = "the label a class (cls in a WebDataset)"
    score = "accuracy"
    title = "accuracy"
    # They blend or soften classes of whole images.
    options = ("label_smoothing", "mixup", "cutmix", "distill")

    @classmethod
    def classes_of(cls, field: Field) -> tuple[str, ...] | None:
        """See `Task.classes_of`."""
        return field.names if isinstance(field, Label) else None

    @classmethod
    def greatest(cls, value: Any) -> int:
        """See `Task.greatest`."""
        return int(value)

    @classmethod
    def field_of(cls, classes: tuple[str, ...]) -> Field:
        """See `Task.field_of`."""
        return Label(classes)

    def counts(self, values: Sequence[Any]) -> np.ndarray | None:
        """Images."""
        return np.bincount(np.asarray(values), minlength=self.classes)

    def targets(self, value: Any, index: int) -> dict[str, np.ndarray]:
        """See `Task.targets`."""
        if not 0 <= value < self.classes:
            raise RunError(
                f"image {index} has the label {value}: with {self.classes} classes, "
                f"labels must be 0 to {self.classes - 1}"
            )
        return {"label": np.asarray(value, np.int32)}

    def blank(self) -> dict[str, np.ndarray]:
        """See `Task.blank`."""
        return {"label": np.asarray(-1, np.int32)}

    def build(self, shape: tuple[int, int, int], **options: Any) -> nnx.Module:
        """See `Task.build`."""
        return build(self.config.model, shape, self.classes, **options)

    def asked(
        self, key: jax.Array, unit: int, x: jax.Array, targets: Targets
    ) -> tuple[jax.Array, Targets]:
        """Blends by mixup and CutMix, smooths labels; see `Task.asked`."""
        options = self.config.optimizer
        y = jax.nn.one_hot(targets["label"], self.classes)
        names = ["label"]
        asked = [optax.smooth_labels(y, options.label_smoothing)]
        if options.distill:
            names.append("soft_label")
            asked.append(targets["soft_label"])
        x, *asked = blended(key, options, unit, x, *asked)
        return x, dict(zip(names, asked, strict=True))

    def loss(self, outputs: Any, asked: Targets) -> jax.Array:
        """See `Task.loss`."""
        return loss_for(
            self.config.optimizer, outputs, asked["label"], asked.get("soft_label")
        )

    def noted(self, outputs: Any, targets: Targets) -> dict[str, jax.Array]:
        """The share of right answers."""
        return {"accuracy": jnp.mean(outputs.argmax(-1) == targets["label"])}

    def likely(self, outputs: Any) -> Any:
        """Probabilities (B, classes)."""
        return jax.nn.softmax(outputs)

    def answer(
        self, path: str, answer: Any, classes: Sequence[str], box: Letterbox
    ) -> Classes:
        """See `Task.answer`."""
        del box
        order = np.argsort(-answer, stable=True)
        names = tuple(classes[i] for i in order)
        return Classes(path, names, tuple(map(float, answer[order])))

    def told(self, likely: Any, targets: Targets) -> dict[str, jax.Array]:
        """Sums over a batch `loss`, `right` answers and `count` of labelled images."""
        label = targets["label"]
        loss = -jnp.log(jnp.take_along_axis(likely, label[:, None], 1)[:, 0])
        known = label >= 0
        return {
            "loss": jnp.sum(jnp.where(known, loss, 0)),
            "right": jnp.sum(known & (likely.argmax(-1) == label)),
            "count": jnp.sum(known),
        }

    def scores(
        self, parts: Iterable[Mapping[str, Any]], values: Iterable[Any]
    ) -> dict[str, float]:
        """See `Task.scores`."""
        del values
        sums = list(parts)
        loss, right, count = (
            sum(float(one[name]) for one in sums) for name in ("loss", "right", "count")
        )
        return {"loss": loss / count, self.score: right / count}


def loss_for(
    options: Optimizer,
    logits: jax.Array,
    labels: jax.Array,
    soft_labels: jax.Array | None = None,
) -> jax.Array:
    """Computes the mean loss of a batch; all but the options are (B, classes).

    References:
      With soft labels: Hinton et al., "Distilling the Knowledge in a Neural Network"
      (2015, arXiv 1503.02531), section 2.
    """
    loss = optax.softmax_cross_entropy(logits, labels)
    if soft_labels is not None:
        warmth = options.temperature
        # What is 0 in float32 is not impossible.
        softened = jax.nn.softmax(jnp.log(soft_labels + 1e-7) / warmth)
        taught = optax.softmax_cross_entropy(logits / warmth, softened)
        # Gradients fall by the square of the temperature.
        loss = (1 - options.distill) * loss + options.distill * warmth**2 * taught
    return loss.mean()

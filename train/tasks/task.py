"""What a task is to everything else: what is learned of images, and how it is told."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Protocol

import jax
import numpy as np
from flax import nnx
from PIL import Image

from train.config import Config
from train.geometry import Move
from vmixjax.data import Field
from vmixjax.errors import RunError

Targets = dict[str, Any]
"""What is to be learned of an image, or of each of a batch: arrays by name."""


class Task:
    """What is learned of images of one shape.

    Args:
      config: The config of the run.
      shape: (H, W, C) of the images.
      classes: Number of classes.

    Attributes:
      fields: Names of the fields that may hold it, the likeliest first.
      kind: What such a field is.
      needs: What such a field must be, for people.
      score: What tests come to, 0 to 1; the best checkpoint has the highest.
      title: The same for people.
      options: Of the optimizer, those that other tasks refuse.
      fills: Whether what lies beyond an image that is shifted is of its mean colour,
        instead of its reflection.
    """

    fields: ClassVar[tuple[str, ...]]
    kind: ClassVar[type]
    needs: ClassVar[str]
    score: ClassVar[str]
    title: ClassVar[str]
    options: ClassVar[tuple[str, ...]] = ()
    fills: ClassVar[bool] = False

    def __init__(
        self, config: Config, shape: tuple[int, int, int], classes: int
    ) -> None:
        self.config, self.shape, self.classes = config, shape, classes

    @classmethod
    def classes_of(cls, field: Field) -> tuple[str, ...] | None:
        """Names the classes of a field; None where it does not say."""
        raise NotImplementedError

    @classmethod
    def greatest(cls, value: Any) -> int:
        """Gives the greatest number of a class in the value of a field; 0 for none."""
        raise NotImplementedError

    @classmethod
    def field_of(cls, classes: tuple[str, ...]) -> Field:
        """Makes the field that holds what `stored` gives."""
        raise NotImplementedError

    @classmethod
    def learned(cls, value: Any, field: Field) -> Any:
        """Gives what is learned of the value of a field: its classes count from 0."""
        del field
        return value

    def stored(self, value: Any) -> Any:
        """Gives the value of the field that `field_of` makes."""
        return value

    @classmethod
    def resized(cls, value: Any, box: "Letterbox") -> Any:
        """Gives what is learned of an image once that has another size."""
        del box
        return value

    def counts(self, values: Sequence[Any]) -> np.ndarray | None:
        """Counts, for each class, what there is of it; None for what is not counted."""
        del values
        return None

    def targets(self, value: Any, index: int) -> dict[str, np.ndarray]:
        """Gives the arrays that a value is in a batch; the image is number `index`.

        Raises:
          RunError: It does not fit the image, or the classes.
        """
        raise NotImplementedError

    def blank(self) -> dict[str, np.ndarray]:
        """Gives the arrays of an image that counts for nothing."""
        raise NotImplementedError

    def moved(self, targets: Targets, move: Move) -> Targets:
        """Moves what is to be learned of one image with it."""
        del move
        return targets

    def build(self, shape: tuple[int, int, int], **options: Any) -> nnx.Module:
        """Builds the model that the config names.

        Args:
          shape: (H, W, C) of its inputs.
          options: As of `train.models.build`.

        Raises:
          RunError: As `train.models.build`.
        """
        raise NotImplementedError

    def asked(
        self, key: jax.Array, unit: int, x: jax.Array, targets: Targets
    ) -> tuple[jax.Array, Targets]:
        """Gives a training batch's inputs, and what the model is asked to say of them.

        Args:
          key: Of the batch.
          unit: Side of squares of whole regions, in places of the inputs.
          x: Inputs of the model (B, H, W, C).
          targets: What is to be learned of them.
        """
        del key, unit
        return x, targets

    def loss(self, outputs: Any, asked: Targets) -> jax.Array:
        """Computes the mean loss of a batch: a scalar."""
        raise NotImplementedError

    def noted(self, outputs: Any, targets: Targets) -> dict[str, jax.Array]:
        """Computes what is noted of a training batch beside its loss."""
        del outputs, targets
        return {}

    def likely(self, outputs: Any) -> Any:
        """Gives what a model's outputs say, so that means of several make sense."""
        raise NotImplementedError

    def answers(self, likely: Any) -> Any:
        """Computes what people are to know of each image, on the device."""
        return likely

    def answer(
        self, path: str, answer: Any, classes: Sequence[str], box: "Letterbox"
    ) -> "Answer":
        """Puts what `answers` gave of one image into words.

        Args:
          path: Path of the image.
          answer: Arrays of that image.
          classes: Names of the classes.
          box: How the image lies in what the model was given.
        """
        raise NotImplementedError

    def drawn(self, image: np.ndarray, answer: Any) -> Image.Image:
        """Draws what `answers` gave of one image onto it, uint8 (H, W, C).

        Raises:
          RunError: There is nothing that could be drawn.
        """
        raise RunError("--draw is for boxes and masks: leave it out")

    def told(self, likely: Any, targets: Targets) -> dict[str, jax.Array]:
        """Computes what the tests need of a batch, on the device."""
        raise NotImplementedError

    def scores(
        self, parts: Iterable[Mapping[str, Any]], values: Iterable[Any]
    ) -> dict[str, float]:
        """Gives what tests came to: `score`, `loss` and others.

        Args:
          parts: What `told` gave of each batch, and the `id` of each image: its place
            in the data set, or one behind that for images that count for nothing.
          values: What is to be learned of each image of the data set.
        """
        raise NotImplementedError


class Answer(Protocol):
    """What is said of an image; a dataclass, so that it can be printed as JSON."""

    @property
    def path(self) -> str:
        """Path of the image."""
        ...

    def line(self, most: int) -> str:
        """Says it in a line, no more than so many parts of it."""
        ...


class Letterbox:
    """How images lie inside a shape, scaled or as they are, the rest filled.

    Args:
      size: Height and width of an image.
      shape: Those of what it is to be inside of.
      mixed: Whether it is mixed already, and so cannot be scaled: that would blend
        pixels of which nobody knows where they belong.

    Raises:
      RunError: It is mixed and too large.
    """

    def __init__(
        self, size: tuple[int, int], shape: tuple[int, int], *, mixed: bool = False
    ) -> None:
        if mixed and (size[0] > shape[0] or size[1] > shape[1]):
            raise RunError(
                f"an image of {size[0]} x {size[1]} is mixed already, and cannot be "
                f"made smaller: use --data.image-shape {max(size[0], shape[0])} "
                f"{max(size[1], shape[1])}, or resize before mixing"
            )
        scale = 1.0 if mixed else min(shape[0] / size[0], shape[1] / size[1])
        self.size, self.shape = size, shape
        self.inside = tuple(
            min(whole, max(1, round(side * scale)))
            for side, whole in zip(size, shape, strict=True)
        )
        """Height and width that the image has then; it is at the top and left."""

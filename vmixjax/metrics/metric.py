"""What a metric is to an audit: the entry that each has in `METRICS`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

import jax
import numpy as np

from vmixjax import _validate

if TYPE_CHECKING:
    from vmixjax.networks import Classifier

Measure = Callable[[np.ndarray], "float | np.ndarray"]
"""What came back, uint8 (B, H, W, C) -> a value of all, or of each, (B,)."""


@dataclasses.dataclass(frozen=True)
class Reference:
    """What reconstructions are measured by.

    Attributes:
      originals: Their images, uint8 (B, H, W, C).
      labels: Classes of these, int32 (B,), where there are any.
      classifier: Trained on clean public images; None without labels.
    """

    originals: np.ndarray
    labels: np.ndarray | None = None
    classifier: Classifier | None = None


@dataclasses.dataclass(frozen=True)
class Metric:
    """A number that says how much of images came back: the higher, the more.

    Attributes:
      name: Of its values in `audit.json`.
      prepare: Looks at the originals once, and gives what measures reconstructions of
        them; None where it cannot be measured on these. Of values of each image an
        audit takes the mean.
      about: What the report says above its table, a format string: `images`, how many
        there are; `chance`, one among all of them; `guess`, the value of somebody who
        saw nothing; and, where there are classes, `clean`, the classifier's accuracy on
        the originals, and `luck`, one among all classes.
      number: Format of its values, such as `".0%"`.
      missing: What the report says where it cannot be measured; empty for nothing.
      rank: Where the report shows it: by ascending rank.
    """

    name: str
    prepare: Callable[[Reference], Measure | None]
    about: str
    number: str
    missing: str = ""
    rank: int = 100


def batch(name: str, value: jax.typing.ArrayLike) -> np.ndarray:
    """A uint8 batch (B, H, W, C) on the host, or an error that says what is wrong."""
    return np.asarray(_validate.images(name, value))


def pair(
    originals: jax.typing.ArrayLike, images: jax.typing.ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    """Two such batches of one shape, or an error that says what is wrong."""
    a, b = batch("originals", originals), batch("images", images)
    if a.shape != b.shape:
        raise ValueError(
            f"images of shape {b.shape} cannot be compared with originals of "
            f"{a.shape}; they must be the same images in the same order"
        )
    return a, b

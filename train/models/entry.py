"""What is known of a model before it is built."""

import dataclasses
from collections.abc import Callable
from typing import Literal

from flax import nnx


@dataclasses.dataclass(frozen=True)
class ModelEntry:
    """A model by name.

    Attributes:
      name: What users call it.
      make: Makes it: `(shape, classes, *, dtype, rngs, and the options that it takes)`.
      takes: Options of `train.config.Model` that fit it; with `"stem"`, `make` takes
        `skipped_strides` and the stem's `patch_size` too.
    """

    name: str
    make: Callable[..., nnx.Module]
    takes: tuple[Literal["stem", "patch_size", "width"], ...] = ()

"""Fields that are measured by their image: boxes as parts of it, masks of its size."""

from collections.abc import Mapping, Sequence

import numpy as np

from vmixjax.data.example import Example, Field, Raw
from vmixjax.data.masks import Mask
from vmixjax.data.objects import Objects
from vmixjax.errors import RunError


def placed_fields(fields: Mapping[str, Field]) -> list[str]:
    """Lists the names of those that are measured by the image."""
    return [
        name
        for name, field in fields.items()
        if (isinstance(field, Raw) and field.placed)
        or isinstance(field, Objects | Mask)
    ]


def check_placed(placed: Sequence[str], example: Example, fitted: np.ndarray) -> None:
    """Refuses to change the size of an image that fields are measured by.

    Args:
      placed: What `placed_fields` gave.
      example: The image as it is.
      fitted: The same as whole tiles.

    Raises:
      RunError: It has another size.
    """
    sizes = [one.shape[:2] for one in (example.image, fitted)]
    if placed and sizes[0] != sizes[1]:
        was, becomes = (f"{height} x {width}" for height, width in sizes)
        names = " ".join(placed)
        raise RunError(
            f"{example.name} is {was} and becomes {becomes}, which is whole tiles, so "
            f"that {names} would no longer fit it: leave that behind with --drop "
            f"{names}, or choose a --tile-size that divides all images"
        )

"""Fields that are measured by their image: boxes as shares of it, masks of its size."""

from collections.abc import Mapping
from typing import Any

from vmixjax.data.example import Field
from vmixjax.data.masks import Mask, check_mask
from vmixjax.data.objects import Objects, check_boxes


def check_placed(
    fields: Mapping[str, Field],
    values: Mapping[str, Any],
    name: str,
    size: tuple[int, int] | None,
) -> None:
    """Checks what an image has for each field that is measured by it.

    Args:
      fields: What belongs to each image.
      values: What belongs to this one.
      name: Name of the image in complaints.
      size: Its height and width; None where they are not known, nor masks checked.

    Raises:
      ImageError: See `check_boxes`, `check_mask`.
    """
    for key, field in fields.items():
        if isinstance(field, Objects):
            check_boxes(values[key], field, name)
        elif isinstance(field, Mask) and size is not None:
            check_mask(values[key], field, *size, f"{name}: {key}")

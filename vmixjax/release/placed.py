"""Fields that are measured by their image: how they go with it, and come back.

Boxes are shares of an image, and masks of its size, or that of its cells.
"""

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from vmixjax.data.example import Example, Field, Raw
from vmixjax.data.mask_files import decode_mask, encode_mask
from vmixjax.data.masks import Mask, mask_shape, resize_mask, to_cells
from vmixjax.data.objects import Objects, resize_boxes
from vmixjax.data.objects_json import encode_objects, parse_objects
from vmixjax.data.placed import check_placed
from vmixjax.data.writing import Sink
from vmixjax.errors import RunError


class Placed(NamedTuple):
    """What belongs to an image that was made whole tiles.

    Attributes:
      values: As of `Example.values`.
      cut_off: How many boxes are gone, with the edge that they were in.
    """

    values: Mapping[str, Any]
    cut_off: int


def released_fields(
    fields: Mapping[str, Field], whole: Collection[str], cells: int | None
) -> Mapping[str, Field]:
    """Gives what a release holds of each image.

    Args:
      fields: What its source holds.
      whole: Names of masks that go as they are.
      cells: Side of the cells of all other masks.

    Raises:
      RunError: Masks have cells already, which others cannot be made of.
    """
    released = {}
    for name, field in fields.items():
        if isinstance(field, Mask) and name not in whole and cells is not None:
            if cells % field.cells:
                raise RunError(
                    f"--mask-cells must be a multiple of {field.cells}, as {name} has "
                    f"cells of so many pixels already; got {cells}"
                )
            field = dataclasses.replace(field, cells=cells)
        released[name] = field
    return released


def place(
    fields: Mapping[str, Field],
    released: Mapping[str, Field],
    example: Example,
    fitted: tuple[int, int],
) -> Placed:
    """Gives what belongs to an image once that is whole tiles.

    Args:
      fields: What belongs to each image.
      released: What the release holds of it; see `released_fields`.
      example: The image as it is.
      fitted: Its height and width as whole tiles.

    Raises:
      ImageError: It has a box or a mask that is none.
      RunError: Its size is another, and a field would no longer fit it.
    """
    size = example.image.shape[0], example.image.shape[1]
    check_placed(fields, example.values, example.name, size)
    _check_raw(fields, example.name, size, fitted)
    values, cut_off = dict(example.values), 0
    for name, field in fields.items():
        if isinstance(field, Objects):
            values[name], gone = resize_boxes(values[name], size, fitted)
            cut_off += gone
        elif isinstance(field, Mask):
            values[name] = _celled(field, released[name], values[name], fitted)
    return Placed(values, cut_off)


def lost(
    fields: Mapping[str, Field],
    released: Mapping[str, Field],
    example: Example,
    placed: Mapping[str, Any],
    sink: Sink,
) -> dict[str, bytes]:
    """Gives what `restore` cannot tell from what is released, for the vault.

    Args:
      fields: As of `place`.
      released: As of `place`.
      example: The image as it is.
      placed: What `place` made of what belongs to it.
      sink: Sink of the release.
    """
    size = example.image.shape[0], example.image.shape[1]
    texts = {}
    for name, field in fields.items():
        value = example.values[name]
        if isinstance(field, Objects):
            if not placed[name].alike(value):
                texts[sink.called(name)] = encode_objects(field, value)
        elif isinstance(field, Mask):
            # A mask of cells comes back as one.
            cells = _cells(released[name])
            rows, columns = mask_shape(*size, cells)
            there = placed[name]
            if there.shape[0] < rows or there.shape[1] < columns:
                whole = rows * cells, columns * cells
                right = _celled(field, released[name], value, whole)
                texts[sink.called(name)] = encode_mask(right)
    return texts


def restore(
    fields: Mapping[str, Field],
    values: Mapping[str, Any],
    size: tuple[int, int],
    kept: Mapping[str, bytes],
) -> Mapping[str, Any]:
    """Gives what belonged to an image, from what belongs to the released one.

    Args:
      fields: What belongs to each image of the release.
      values: What belongs to this one.
      size: Height and width of the original.
      kept: What `lost` gave.

    Raises:
      ValueError, ImageError: That is damaged.
    """
    restored = dict(values)
    for name, field in fields.items():
        if isinstance(field, Objects) and name in kept:
            _, restored[name] = parse_objects(kept[name])
        elif isinstance(field, Mask):
            mask = decode_mask(kept[name], name) if name in kept else values[name]
            restored[name] = resize_mask(mask, mask_shape(*size, field.cells))
    return restored


def _check_raw(
    fields: Mapping[str, Field],
    name: str,
    size: tuple[int, int],
    fitted: tuple[int, int],
) -> None:
    """Refuses to change the size of an image that other fields are measured by."""
    raw = [key for key, one in fields.items() if isinstance(one, Raw) and one.placed]
    if raw and size != fitted:
        was, becomes = (f"{height} x {width}" for height, width in (size, fitted))
        names = " ".join(raw)
        raise RunError(
            f"{name} is {was} and becomes {becomes}, which is whole tiles, so that "
            f"{names} would no longer fit it: leave that behind with --drop {names}, "
            f"or choose a --tile-size that divides all images"
        )


def _celled(field: Mask, released: Field, mask: Any, fitted: tuple[int, int]) -> Any:
    """A mask of an image that has another size now, in the cells of the release."""
    resized = resize_mask(mask, mask_shape(*fitted, field.cells))
    side = _cells(released) // field.cells
    return resized if side == 1 else to_cells(resized, field, side)


def _cells(field: Field) -> int:
    return field.cells if isinstance(field, Mask) else 1

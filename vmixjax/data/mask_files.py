"""Files of masks: PNG of one channel, as large as the image or less."""

from collections.abc import Collection

import numpy as np

from vmixjax.data.codecs.codec import PER_PIXEL, Refusal
from vmixjax.data.codecs.images import decode_image
from vmixjax.data.codecs.png import PNG, encode_png, png_form
from vmixjax.data.masks import find_cells
from vmixjax.data.room import MAX_PIXELS
from vmixjax.errors import ImageError


def encode_mask(mask: np.ndarray) -> bytes:
    """Gives the PNG file of a mask (h, w)."""
    return encode_png(mask[..., np.newaxis])


def mask_bytes(mask: np.ndarray) -> bytes:
    """Gives bytes that tell a mask (h, w) from others: files depend on libraries."""
    return repr(mask.shape).encode() + mask.tobytes()


def decode_mask(
    data: bytes,
    name: str,
    *,
    codecs: Collection[str] | None = None,
    most: int = MAX_PIXELS,
) -> np.ndarray:
    """Decodes the file of a mask.

    Args:
      data: Bytes of the file.
      name: Name of the mask in complaints.
      codecs: As of `read_image`.
      most: Most pixels that it may have: as many as its image.

    Returns:
      uint8 (h, w).

    Raises:
      ImageError: It is damaged, larger, or has not one channel of 8 bits.
    """

    def claim(size: int) -> None:
        if size > most * PER_PIXEL:
            raise Refusal("has more pixels than its image", "make them fit")

    image = decode_image(data, name, codecs=codecs, claim=claim)
    if image.shape[2] != 1 or image.dtype != np.uint8:
        raise ImageError(
            f"{name} has {image.shape[2]} channels of {image.dtype}, and a mask has "
            f"one of uint8, numbers of classes; save it so"
        )
    return image[..., 0]


def cells_of(image: bytes, mask: bytes) -> int:
    """Tells the side of the cells of a mask by the PNG files of it and its image.

    Returns:
      The side in pixels; 1 where one is no PNG file, or they do not fit.
    """
    if not all(PNG.magic.match(one[:16]) and len(one) > 32 for one in (image, mask)):
        return 1
    (*size, _), (*cells, _) = png_form(image)[0], png_form(mask)[0]
    return find_cells((size[0], size[1]), (cells[0], cells[1]))

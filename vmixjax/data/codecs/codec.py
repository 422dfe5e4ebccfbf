"""What a codec is, and why it refuses a file: common ground of the decoders."""

import dataclasses
import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from vmixjax.data.room import MAX_PIXELS, Claim, at_once

COPY_AGAIN = "copy it again from its source"
TO_PNG = "save it as an 8 or 16 bit PNG"
ONE_PICTURE = "save the picture you want as a file of its own"

PER_PIXEL = 8
"""Bytes that decoding takes: four of Pillow's, and as many of an array."""


class Small(NamedTuple):
    """An image, perhaps at a fraction of its size.

    Attributes:
      image: uint8 or uint16 (h, w, C); grey, perhaps, where the whole one is not.
      height: Height of the whole image.
      width: Width of the whole image.
    """

    image: np.ndarray
    height: int
    width: int


@dataclasses.dataclass(frozen=True)
class Codec:
    """One kind of image files.

    Attributes:
      name: Name in capitals, as Pillow has it.
      title: Name as people write it.
      magic: Matches the first 16 bytes of its files.
      decode: Gives the upright (H, W, C) array of the bytes of a file. Raises
        `Refusal`, and on damaged files anything else.
      decode_small: Does so at a fraction of the size, as `Small`, where that is cheaper
        than to decode it whole; is also given the longer side that is enough.
      orientation: Gives the EXIF orientation by which `decode` turns what is in a file,
        where it does; others mean 1.
    """

    name: str
    title: str
    magic: re.Pattern[bytes]
    decode: Callable[[bytes, Claim], np.ndarray]
    decode_small: Callable[[bytes, Claim, int], Small] | None = None
    orientation: Callable[[bytes], object] | None = None


class Refusal(Exception):
    """A fault and its mend, not yet naming the file."""

    def __init__(self, fault: str, mend: str) -> None:
        super().__init__(f"{fault}; {mend}")


def check_size(width: int, height: int, claim: Claim = at_once) -> None:
    """Refuses sizes that are empty or beyond the limit, before any decoding.

    Args:
      width: Width of the image in pixels.
      height: Height of the image in pixels.
      claim: Asks for the room that it takes, if it is not refused.

    Raises:
      Refusal: The size is empty or beyond the limit.
    """
    if width < 1 or height < 1:
        raise Refusal(f"has no pixels ({width} x {height})", COPY_AGAIN)
    if width * height > MAX_PIXELS:
        raise Refusal(
            f"has {width} x {height} pixels, over the limit of {MAX_PIXELS}",
            "scale it down or cut it up",
        )
    claim(PER_PIXEL * width * height)

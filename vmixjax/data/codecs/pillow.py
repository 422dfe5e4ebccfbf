"""JPEG, WebP, BMP and GIF files: decoded by Pillow, without its warnings, upright."""

import contextlib
import io
import re
import threading
import warnings
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

from vmixjax.data.codecs.codec import (
    ONE_PICTURE,
    TO_PNG,
    Codec,
    Refusal,
    Small,
    check_size,
)
from vmixjax.data.room import Claim, at_once

_ORIENTATION = 274  # in EXIF
_TURNED = (5, 6, 7, 8)

# What a Pillow mode becomes. Modes not listed (I, F, ...) are 32 bit or stranger.
_TARGET_MODES = {
    "1": "L",
    "L": "L",
    "LA": "LA",
    "La": "LA",
    "PA": "RGBA",
    "RGB": "RGB",
    "RGBX": "RGB",
    "RGBA": "RGBA",
    "RGBa": "RGBA",
    "CMYK": "RGB",
    "YCbCr": "RGB",
    "LAB": "RGB",
}

_warnings_lock = threading.Lock()


def upright(image: np.ndarray, orientation: object) -> np.ndarray:
    """Turns a (H, W, C) image as its EXIF orientation says; unknown ones mean 1."""
    if orientation in _TURNED:
        image = image.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return image


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps Pillow's warnings (oversized, odd EXIF) from escaping or being raised.

    `catch_warnings` swaps state of the whole process: two threads in it at once could
    leave the wrong filters behind. Hence the lock, and hence its narrow use, around
    header and metadata parsing only; pixels of most formats are decoded in parallel.
    """
    with _warnings_lock, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def decode_pillow(
    data: bytes, kind: str, claim: Claim = at_once
) -> tuple[Image.Image, object]:
    """Decodes a file with Pillow.

    Args:
      data: Bytes of the file.
      kind: Name of its codec, as Pillow has it.
      claim: Asks for the room that it takes.

    Returns:
      The loaded image, not turned yet, and its EXIF orientation.
    """
    image = _open(data, kind, claim)
    # Loading a TIFF parses metadata again, and may warn.
    with quiet() if kind == "TIFF" else contextlib.nullcontext():
        image.load()
    return image, _orientation(image)


def _open(data: bytes, kind: str, claim: Claim) -> Image.Image:
    """Opens a file, and checks it so far as can be done before it is decoded."""
    try:
        with quiet():
            image = Image.open(io.BytesIO(data), formats=[kind])
    except Image.DecompressionBombError as error:
        raise Refusal("has too many pixels", "scale it down or cut it up") from error
    check_size(*image.size, claim)
    # Phones write their photos as MPO: a JPEG with a second picture (depth map, gain
    # map, the other eye) behind it. The first, which is open now, is the photo; all
    # plain JPEG readers show just that one.
    if image.format != "MPO":
        with quiet():
            animated = getattr(image, "is_animated", False)
        if animated:
            raise Refusal("holds more than one picture", ONE_PICTURE)
    return image


def _orientation(image: Image.Image) -> object:
    """The EXIF orientation of a loaded image.

    After loading: EXIF may come behind the pixels, and Pillow turns TIFF files itself
    as it loads them, taking the tag away.
    """
    with quiet():
        return image.getexif().get(_ORIENTATION)


def pillow_array(image: Image.Image, orientation: object) -> np.ndarray:
    """Converts a loaded Pillow image to an upright (H, W, C) array."""
    if image.mode.startswith("I;16"):
        return upright(np.array(image, np.uint16)[:, :, None], orientation)
    if image.mode == "P":
        target = "RGBA" if "transparency" in image.info else "RGB"
    elif image.mode == "L" and image.format == "GIF" and "transparency" in image.info:
        target = "LA"
    elif image.mode in _TARGET_MODES:
        target = _TARGET_MODES[image.mode]
    else:
        raise Refusal(f"has samples of the kind {image.mode!r}", TO_PNG)
    if image.mode != target:
        image = image.convert(target)
    array = np.array(image)
    return upright(array if array.ndim == 3 else array[:, :, None], orientation)


def _decode_jpeg_small(data: bytes, claim: Claim, enough: int) -> Small:
    """Decodes a JPEG to grey, at the least of the sizes that its blocks allow."""
    image = _open(data, "JPEG", claim)
    width, height = image.size
    longer = max(width, height)
    image.draft("L", (width * enough // longer, height * enough // longer))
    image.load()
    orientation = _orientation(image)
    small = pillow_array(image, orientation)
    if orientation in _TURNED:
        width, height = height, width
    return Small(small, height, width)


def _codec(
    title: str,
    magic: bytes,
    decode_small: Callable[[bytes, Claim, int], Small] | None = None,
) -> Codec:
    kind = title.upper()
    return Codec(
        kind,
        title,
        re.compile(magic, re.DOTALL),
        lambda data, claim: pillow_array(*decode_pillow(data, kind, claim)),
        decode_small,
    )


JPEG = _codec("JPEG", rb"\xff\xd8\xff", _decode_jpeg_small)
WEBP = _codec("WebP", rb"RIFF....WEBP")
BMP = _codec("BMP", rb"BM")
GIF = _codec("GIF", rb"GIF8[79]a")

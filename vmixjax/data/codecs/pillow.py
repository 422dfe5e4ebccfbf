"""JPEG, WebP, BMP and GIF files: decoded by Pillow, without its warnings, upright."""

import contextlib
import io
import re
import threading
import warnings
from collections.abc import Callable, Iterator

import numpy as np
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    WebPImagePlugin,
)

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

_STRIP = 2**18
"""Pixels that are converted at once."""

_warnings_lock = threading.RLock()

Opener = Callable[[io.BytesIO], ImageFile.ImageFile]
"""Opens the files of one codec, as a class of Pillow's does."""


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
    data: bytes, opener: Opener, claim: Claim = at_once
) -> tuple[Image.Image, object]:
    """Decodes a file with Pillow.

    Args:
      data: Bytes of the file.
      opener: Opens it.
      claim: Asks for the room that it takes.

    Returns:
      The loaded image, not turned yet, and its EXIF orientation.
    """
    image = _open(data, opener, claim)
    image.load()
    return image, _orientation(image)


def _open(data: bytes, opener: Opener, claim: Claim) -> ImageFile.ImageFile:
    """Opens a file, and checks it so far as can be done before it is decoded.

    Not by `Image.open`, which warns of images that are smaller than our limit, and
    refuses some, by a limit that is the whole process's.
    """
    with quiet():
        image = opener(io.BytesIO(data))
    check_size(*image.size, claim)
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
        target = image.mode
    elif image.mode == "P":
        target = "RGBA" if "transparency" in image.info else "RGB"
    elif image.mode == "L" and image.format == "GIF" and "transparency" in image.info:
        target = "LA"
    elif image.mode in _TARGET_MODES:
        target = _TARGET_MODES[image.mode]
    else:
        raise Refusal(f"has samples of the kind {image.mode!r}", TO_PNG)
    return upright(_converted(image, target), orientation)


def _converted(image: Image.Image, target: str) -> np.ndarray:
    """Converts an image to an (H, W, C) array, of another mode where it has another.

    In strips: at once, Pillow would copy it two times on the way.
    """
    width, height = image.size
    shape = height, width, Image.getmodebands(target)
    dtype = np.uint16 if target.startswith("I;16") else np.uint8
    if width * height <= _STRIP:
        return np.array(_in_mode(image, target), dtype).reshape(shape)
    array = np.empty(shape, dtype)
    rows = max(1, _STRIP // width)
    for top in range(0, height, rows):
        for left in range(0, width, _STRIP):
            right, bottom = min(left + _STRIP, width), min(top + rows, height)
            strip = _in_mode(image.crop((left, top, right, bottom)), target)
            values = array[top:bottom, left:right]
            values[...] = np.asarray(strip).reshape(values.shape)
    return array


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    return image if image.mode == mode else image.convert(mode)


def _decode_jpeg_small(data: bytes, claim: Claim, enough: int) -> Small:
    """Decodes a JPEG to grey, at the least of the sizes that its blocks allow."""
    image = _open(data, JpegImagePlugin.JpegImageFile, claim)
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
    opener: Opener,
    decode_small: Callable[[bytes, Claim, int], Small] | None = None,
    *,
    copies: int = 1,
) -> Codec:
    """Makes a codec whose decoder takes so many times the memory of others."""

    def decode(data: bytes, claim: Claim) -> np.ndarray:
        loaded = decode_pillow(data, opener, lambda size: claim(copies * size))
        return pillow_array(*loaded)

    def find_orientation(data: bytes) -> object:
        return _orientation(_open(data, opener, at_once))

    name, pattern = title.upper(), re.compile(magic, re.DOTALL)
    return Codec(name, title, pattern, decode, decode_small, find_orientation)


# Phones write their photos as MPO: a JPEG with a second picture (depth map, gain map,
# the other eye) behind it. The first is the photo, which all plain JPEG readers show.
JPEG = _codec(
    "JPEG", rb"\xff\xd8\xff", JpegImagePlugin.JpegImageFile, _decode_jpeg_small
)
WEBP = _codec("WebP", rb"RIFF....WEBP", WebPImagePlugin.WebPImageFile, copies=2)
BMP = _codec("BMP", rb"BM", BmpImagePlugin.BmpImageFile)
GIF = _codec("GIF", rb"GIF8[79]a", GifImagePlugin.GifImageFile)

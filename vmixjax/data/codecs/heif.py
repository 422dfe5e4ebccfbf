"""HEIC and AVIF files, as phones and cameras write them: one container, two codecs."""

import io
import re

import numpy as np
from PIL import features

from vmixjax.data.codecs.codec import (
    COPY_AGAIN,
    ONE_PICTURE,
    TO_PNG,
    Codec,
    Refusal,
    check_size,
)
from vmixjax.data.codecs.pillow import decode_pillow, pillow_array
from vmixjax.data.room import Claim

_CHANNELS = {"L": 1, "RGB": 3, "RGBA": 4, "I;16": 1, "RGB;16": 3, "RGBA;16": 4}
"""By the modes in which an image may be decoded."""

_COPIES = 2
"""Times that decoding takes the memory of other decoders."""

_AV1 = b"av1C"
_HIGH_BIT_DEPTH = 0x40
"""In the third byte of what that box holds."""


def _decode_heic(data: bytes, claim: Claim) -> np.ndarray:
    """Decodes a HEIC file, which says itself how it is turned: EXIF does not count."""
    try:
        from pillow_heif import HeifFile
    except ModuleNotFoundError as error:
        raise Refusal(
            "is a HEIC image, and pillow-heif, which reads such, is not installed",
            f"pip install 'vmixjax[heic]' and run again, or {TO_PNG}",
        ) from error
    file = HeifFile(io.BytesIO(data), convert_hdr_to_8bit=False)
    if len(file) != 1:
        raise Refusal("holds more than one picture", ONE_PICTURE)
    width, height = file.size
    check_size(width, height, lambda size: claim(_COPIES * size))
    array = np.array(file)
    if file.mode not in _CHANNELS or file.size != (width, height):
        raise Refusal(f"has samples of the kind {file.mode!r}", TO_PNG)
    return array.reshape(height, width, _CHANNELS[file.mode])


def _decode_avif(data: bytes, claim: Claim) -> np.ndarray:
    """Decodes an AVIF file of 8 bits; of more, Pillow would keep 8."""
    if not features.check("avif"):
        raise Refusal(
            "is an AVIF image, and this Pillow reads no such",
            f"pip install --upgrade pillow and run again, or {TO_PNG}",
        )
    from PIL import AvifImagePlugin

    config = data.find(_AV1) + len(_AV1)
    if config < len(_AV1) or config + 3 > len(data):
        raise Refusal("is damaged (no header)", COPY_AGAIN)
    if data[config + 2] & _HIGH_BIT_DEPTH:
        raise Refusal("has samples of more than 8 bits in AVIF", TO_PNG)
    opener = AvifImagePlugin.AvifImageFile
    image, orientation = decode_pillow(data, opener, lambda size: claim(_COPIES * size))
    return pillow_array(image, orientation)


def _avif_orientation(data: bytes) -> object:
    from PIL import AvifImagePlugin

    return decode_pillow(data, AvifImagePlugin.AvifImageFile)[1]


HEIC = Codec(
    "HEIC",
    "HEIC",
    re.compile(rb"....ftyp(hei[cxms]|hev[cxms]|mif1|msf1)", re.DOTALL),
    _decode_heic,
)
AVIF = Codec(
    "AVIF",
    "AVIF",
    re.compile(rb"....ftypavi[fs]", re.DOTALL),
    _decode_avif,
    orientation=_avif_orientation,
)

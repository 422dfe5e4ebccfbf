"""TIFF files: what their tags say, and 16 bits where Pillow would keep 8."""

import io
import logging
import math
import re
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import tifffile
from PIL import Image, ImageFile, TiffImagePlugin

from vmixjax.data.codecs.codec import (
    COPY_AGAIN,
    ONE_PICTURE,
    TO_PNG,
    Codec,
    Refusal,
    check_size,
)
from vmixjax.data.codecs.libtiff import silence
from vmixjax.data.codecs.pillow import decode_pillow, pillow_array, quiet, upright
from vmixjax.data.codecs.png import check_inflated
from vmixjax.data.room import Claim, at_once

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_FILL_ORDER, _ORIENTATION, _SAMPLES, _PREDICTOR = 266, 274, 277, 317
_EXTRA_SAMPLES, _SAMPLE_FORMAT = 338, 339
_NEW_SUBFILE, _SUBFILE, _SUB_DIRECTORIES = 254, 255, 330
_MOST_DIRECTORIES = 64
_MOST_CHANNELS = 4  # of PNG, which releases hold
_SEGMENTS = (273, 279, 324, 325)  # starts and sizes, of strips and of tiles
_KNOWN_BITS: tuple[set[int], ...] = ({1}, {2}, {4}, {8}, {16})
# Compressions of what Pillow does not decode whole: none, and deflate under its two
# numbers. Others need tifffile's codecs, a large package of its own.
_COMPRESSIONS = (1, 8, 32946)
_BY_IMAGECODECS = {5: "LZW", 34926: "zstd", 50000: "zstd"}

# tifffile logs what it finds odd, and may quote the file. With no handler anywhere
# that would go to standard error; an application's own handlers still get it.
logging.getLogger("tifffile").addHandler(logging.NullHandler())
silence()


@dataclass
class _Tiff:
    """What the one directory of a TIFF file says, and the bytes of the file.

    The tags are read by Pillow, and so even where it cannot decode the pixels. Tags
    that may have several values are tuples. In a damaged file any value may be of
    another type; what that raises in use, `read_image` turns into a refusal.
    """

    data: bytes
    tags: TiffImagePlugin.ImageFileDirectory_v2

    def numbers(self, tag: int, *default: int) -> tuple[int, ...]:
        """Gives the values of a tag, or the default if it is not there."""
        with quiet():  # values are decoded as they are first asked for
            value = self.tags.get(tag, default)
        return value if isinstance(value, tuple) else (value,)

    def number(self, tag: int, *default: int) -> int:
        """Gives the one value of a tag, or the default if it is not there."""
        (value,) = self.numbers(tag, *default)
        return value


class _TiffFile(TiffImagePlugin.TiffImageFile):
    """A TIFF file as Pillow reads it, with our limit of pixels instead of Pillow's."""

    def load_prepare(self) -> None:
        """Makes room for the pixels."""
        if self._im is None:
            # Not yet turned, which swaps width and height of `size`.
            check_size(*self._tile_size)
            self.im = Image.new(self.mode, self._tile_size).im
        ImageFile.ImageFile.load_prepare(self)


def _load(
    data: bytes, offset: int | None = None
) -> TiffImagePlugin.ImageFileDirectory_v2:
    """Reads the first directory of a TIFF file, or the one at an offset."""
    with quiet():
        big = 43 in data[2:4]
        tags = TiffImagePlugin.ImageFileDirectory_v2(data[: 16 if big else 8])
        file = io.BytesIO(data)
        file.seek(tags.next if offset is None else offset)
        tags.load(file)
    return tags


def _parse(data: bytes) -> _Tiff:
    """Reads the tags of a TIFF file, which must have one page."""
    tags = _load(data)
    if tags.next:
        raise Refusal("holds more than one page", ONE_PICTURE)
    tiff = _Tiff(data, tags)
    reduced = tiff.number(_NEW_SUBFILE, 0) & 1 or tiff.number(_SUBFILE, 1) == 2
    if reduced or _has_larger(tiff):
        raise Refusal(
            "begins with a small copy of its picture, as raw files of cameras do",
            "export the picture itself as TIFF or PNG",
        )
    return tiff


def _has_larger(tiff: _Tiff) -> bool:
    """Tells whether directories below the first one hold larger pictures."""
    offsets = tiff.numbers(_SUB_DIRECTORIES)
    if len(offsets) > _MOST_DIRECTORIES:
        raise Refusal("holds more than one picture", ONE_PICTURE)
    size = tiff.number(_WIDTH) * tiff.number(_HEIGHT)
    for offset in offsets:
        below = _Tiff(tiff.data, _load(tiff.data, offset))
        if below.number(_WIDTH, 0) * below.number(_HEIGHT, 0) > size:
            return True
    return False


def decode_tiff(data: bytes, claim: Claim = at_once) -> np.ndarray:
    """Decodes a TIFF file of one page to an upright (H, W, C) array."""
    tiff = _parse(data)
    check_size(tiff.number(_WIDTH), tiff.number(_HEIGHT), claim)
    samples = tiff.number(_SAMPLES, 1)
    bits = set(tiff.numbers(_BITS, 1))
    if set(tiff.numbers(_SAMPLE_FORMAT, 1)) != {1} or bits not in _KNOWN_BITS:
        raise Refusal(
            "has samples that are not unsigned numbers of up to 8 or of 16 bits",
            TO_PNG,
        )
    # Pillow drops what is said to be no alpha; it may be infrared.
    if 0 in tiff.numbers(_EXTRA_SAMPLES) and samples > _MOST_CHANNELS:
        raise Refusal(
            f"has {samples} channels, more than the {_MOST_CHANNELS} of PNG",
            f"save those that you want, {_MOST_CHANNELS} at most, as a file",
        )
    dropped = 0 in tiff.numbers(_EXTRA_SAMPLES) and bits in ({8}, {16})
    grey_16 = samples == 1 and tiff.number(_PHOTOMETRIC) == 1
    if not dropped and (bits != {16} or grey_16):
        with quiet():  # loading parses metadata again, and may warn
            image, orientation = decode_pillow(data, _TiffFile)
        return pillow_array(image, orientation)
    return upright(_decode_all(tiff, max(bits)), tiff.number(_ORIENTATION, 1))


def _decode_all(tiff: _Tiff, bits: int) -> np.ndarray:
    """Decodes a TIFF page of 8 or 16 bits to (H, W, C), not turned yet.

    For what Pillow cannot do in 16 bits: colour, alpha, and grey where 0 is white. And
    for channels that are said to be neither colours nor alpha, which are kept.
    """
    photometric, extra = tiff.number(_PHOTOMETRIC), tiff.numbers(_EXTRA_SAMPLES)
    colours = {0: 1, 1: 1, 2: 3}.get(photometric, 0)
    channels = colours + len(extra)
    if not colours or tiff.number(_SAMPLES, 1) != channels or channels > _MOST_CHANNELS:
        raise Refusal(f"has {bits} bit samples neither grey nor RGB", TO_PNG)
    if 1 in extra:
        raise Refusal(f"has premultiplied {bits} bit alpha", "save it without alpha")
    compression, predictor = tiff.number(_COMPRESSION, 1), tiff.number(_PREDICTOR, 1)
    if compression in _BY_IMAGECODECS and find_spec("imagecodecs") is None:
        raise Refusal(
            f"has {bits} bit channels in {_BY_IMAGECODECS[compression]}, and "
            f"imagecodecs, which reads such, is not installed",
            "pip install 'vmixjax[tiff]' and run again, or save it with deflate "
            "compression",
        )
    if compression not in (*_COMPRESSIONS, *_BY_IMAGECODECS) or predictor not in (1, 2):
        raise Refusal(
            f"has {bits} bit channels in a compression that is not supported",
            "save it uncompressed, with deflate compression, or as PNG",
        )
    if tiff.number(_FILL_ORDER, 1) != 1:
        raise Refusal("has an unusual bit order", TO_PNG)
    shape = tiff.number(_HEIGHT), tiff.number(_WIDTH), channels
    with tifffile.TiffFile(io.BytesIO(tiff.data)) as file:
        page = file.pages.first
        # A tag given twice may be read otherwise by tifffile than by Pillow.
        if page.compression != compression or page.planarconfig not in (1, 2):
            raise Refusal("is damaged (wrong tags)", COPY_AGAIN)
        _check_segments(tiff.data, page, bits // 8 * math.prod(shape))
        array = page.asarray(squeeze=False)
    # (separate samples, 1, H, W, interleaved samples): all of them are in one place.
    array = np.moveaxis(array[:, 0], 0, 2).reshape(shape)
    array = np.require(array, f"u{bits // 8}", ["C", "W"])
    if photometric == 0:
        array[:, :, 0] = 2**bits - 1 - array[:, :, 0]
    return array


def _check_segments(data: bytes, page: tifffile.TiffPage, needed: int) -> None:
    """Refuses strips or tiles that are not all there, or inflate beyond measure.

    tifffile itself puts zeros where a segment is missing, and inflates without bound.
    """
    if page.is_tiled:
        check_size(page.tilewidth, page.tilelength)
    # As stored: tifffile drops those that are too many for the height.
    counts = {page.tags[tag].count for tag in _SEGMENTS if tag in page.tags}
    if counts != {math.prod(page.chunked)}:
        raise Refusal("is damaged (wrong number of strips or tiles)", COPY_AGAIN)
    total = 0
    for start, size in zip(page.dataoffsets, page.databytecounts, strict=True):
        if start < 1 or size < 1 or start + size > len(data):
            raise Refusal("is truncated", COPY_AGAIN)
        # The last tiles go on beyond the image, by less than a tile.
        limit = 64 * needed + 2**24 if page.is_tiled else 2 * needed + 2**20
        segment = data[start : start + size]
        if page.compression == 1:
            total += size
        elif page.compression in _BY_IMAGECODECS:
            total += _decompressed(page, segment)
        else:
            total += check_inflated([segment], limit)
    if total < needed:
        raise Refusal("is truncated", COPY_AGAIN)


def _decompressed(page: tifffile.TiffPage, segment: bytes) -> int:
    """Gives the bytes of a segment, at most those of a whole one."""
    import imagecodecs

    assert page.dtype is not None
    lzw = _BY_IMAGECODECS[page.compression] == "LZW"
    decode = imagecodecs.lzw_decode if lzw else imagecodecs.zstd_decode
    return len(decode(segment, out=math.prod(page.chunks) * page.dtype.itemsize))


def _orientation(data: bytes) -> object:
    return _parse(data).number(_ORIENTATION, 1)


TIFF = Codec(
    "TIFF",
    "TIFF",
    re.compile(rb"II[*+]\0|MM\0[*+]"),
    decode_tiff,
    orientation=_orientation,
)

"""PNG files: checked whole, which Pillow does not, and with all their 16 bits."""

import io
import itertools
import math
import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import png
from PIL import PngImagePlugin

from vmixjax.atomic import atomic_path
from vmixjax.data.codecs.chunks import SIGNATURE as SIGNATURE
from vmixjax.data.codecs.chunks import Png, parse, without
from vmixjax.data.codecs.codec import (
    COPY_AGAIN,
    Codec,
    Refusal,
    check_size,
)
from vmixjax.data.codecs.pillow import decode_pillow, pillow_array, upright
from vmixjax.data.room import Claim, at_once

_COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}
"""PNG's colour type by the number of channels."""

_CHANNELS = {2: 3, 4: 2, 6: 4}
"""Channels by the colour types that have several; Pillow cuts them to 8 bits."""

_NONE, _UP = 0, 2
"""PNG's filters: rows as they are, and as differences to the row above."""


class _Way(NamedTuple):
    """How rows are filtered and deflated: level and strategy of zlib."""

    filter: int
    level: int
    strategy: int


_STORED = _Way(_NONE, 0, zlib.Z_DEFAULT_STRATEGY)
_RUNS = _Way(_UP, 1, 3)
"""By zlib's Z_RLE, which its Python module does not name: a third of Pillow's time, and
no larger, for photographs neither."""

_WORTHWHILE = 0.75
"""Compressed size, of the whole, below which rows are compressed. That takes 8 ms a MB,
and to read them 5 ms, in which a line of 20 MB/s carries the quarter that is saved."""

_PIECE, _SAMPLE = 2**20, 2**13
"""Bytes that are stored or compressed together, and of them those that are tried."""

_ZLIB_HEADER = b"\x78\x01"
"""Of a zlib stream with the usual window, made by the fastest level."""

_PIXELS = {"IHDR", "IDAT", "IEND"}
"""The chunks of a released image: all others tell something else."""


def chunk_names(data: bytes) -> Iterator[str]:
    """Lists what a PNG file consists of: chunks, and what comes behind the last."""
    name, offset = b"", len(SIGNATURE)
    while name != b"IEND" and offset + 8 <= len(data):
        length, name = struct.unpack(">I4s", data[offset : offset + 8])
        yield name.decode("latin-1")
        if name == b"IEND" and length:
            yield "other data"
        offset += length + 12
    if offset != len(data) or not data.startswith(SIGNATURE):
        yield "other data"


def png_extras(data: bytes) -> Iterator[str]:
    """Says in words what a PNG file carries beside the pixels of a release."""
    seen: set[str] = set()
    for name in chunk_names(data):
        if name not in _PIXELS or (name in seen and name != "IDAT"):
            yield name
        seen.add(name)
    try:
        parts = parse(data)
        width, height, depth, colour, *_, interlaced = struct.unpack(
            ">IIBBBBB", parts.header
        )
        row = (width * depth * _CHANNELS.get(colour, 1) + 7) // 8
        needed, inflated = height * (1 + row), 0
        stream = zlib.decompressobj()
        for piece in parts.pixels:
            if stream.eof:
                yield "data behind its pixels"
                return
            inflated += len(stream.decompress(piece, needed - inflated + 1))
            if stream.unused_data or stream.unconsumed_tail or inflated > needed:
                yield "data behind its pixels"
                return
        if interlaced or inflated < needed or not stream.eof:
            yield "pixels in another form than a release has"
    except (Refusal, struct.error, zlib.error):
        # What cannot be read is no image, and said to be none elsewhere.
        return


def decode_png(data: bytes, claim: Claim = at_once) -> np.ndarray:
    """Decodes a PNG file to an upright (H, W, C) array."""
    parts = parse(data)
    width, height, depth, colour = struct.unpack(">IIBB", parts.header[:10])
    check_size(width, height, claim)
    rest = without(data, parts.others)
    image, orientation = decode_pillow(rest, PngImagePlugin.PngImageFile)
    if depth == 16 and colour in _CHANNELS:
        # Pillow has cut these to 8 bits; what it knows of the orientation holds.
        del image
        array = upright(_decode_16(data, parts, width, height, colour), orientation)
    else:
        array = pillow_array(image, orientation)
    if parts.transparent is not None and colour in (0, 2):
        # Not by Pillow, which compares grey values of 2 and 4 bits unscaled.
        array = _with_alpha(array, parts.transparent, depth)
    return array


def _decode_16(
    data: bytes, parts: Png, width: int, height: int, colour: int
) -> np.ndarray:
    """Decodes a 16 bit PNG of any colour type but grey to (H, W, C) uint16."""
    array = np.empty((height, width * _CHANNELS[colour]), np.uint16)
    # pypng inflates without bound, and what is inflated can be a thousand times what
    # is stored. Interlacing adds less than the factor here.
    check_inflated(parts.pixels, 2 * (array.nbytes + height) + 1024)
    file = io.BytesIO(data)
    if not _PIXELS.issuperset(chunk_names(data)):
        # Nothing but pixels goes to pypng: it would scale by sBIT, and warn of others.
        chunks = [(b"IHDR", parts.header), *((b"IDAT", body) for body in parts.pixels)]
        file = io.BytesIO()
        png.write_chunks(file, [*chunks, (b"IEND", b"")])
        file.seek(0)
    rows = png.Reader(file=file).read()[2]
    count = 0
    for count, row in enumerate(rows, start=1):
        array[count - 1] = row
    if count != height:
        raise Refusal(f"is damaged ({count} of {height} rows)", COPY_AGAIN)
    return array.reshape(height, width, -1)


def check_inflated(blocks: Iterable[bytes | memoryview], limit: int) -> int:
    """Measures a zlib stream, given in blocks; one over the limit is refused."""
    stream, total = zlib.decompressobj(), 0
    for block in blocks:
        rest: bytes | memoryview = block
        while rest and not stream.eof:
            total += len(stream.decompress(rest, 1 << 20))
            if total > limit:
                raise Refusal("is damaged (more data than pixels)", COPY_AGAIN)
            rest = stream.unconsumed_tail
    return total


def _with_alpha(array: np.ndarray, transparent: bytes, depth: int) -> np.ndarray:
    """Makes the one transparent colour of a grey or RGB PNG an alpha channel.

    Args:
      array: (H, W, 1) or (H, W, 3), uint8 or uint16.
      transparent: The tRNS chunk: one big-endian 16 bit number per channel.
      depth: Bits per sample in the file; fewer than 8 have been scaled up to 8.

    Returns:
      (H, W, 2) or (H, W, 4): the same pixels and 0 or the highest value.
    """
    if len(transparent) != 2 * array.shape[2]:
        raise Refusal("is damaged (wrong transparent colour)", COPY_AGAIN)
    highest = np.iinfo(array.dtype).max
    key = np.frombuffer(transparent, ">u2") & (2**depth - 1)
    clear = (array == key * (highest // (2**depth - 1))).all(axis=2, keepdims=True)
    alpha = np.where(clear, 0, highest).astype(array.dtype)
    return np.concatenate([array, alpha], axis=2)


def write_png(path: Path, image: np.ndarray) -> None:
    """Writes what `encode_png` gives, whole or not at all.

    Whatever was at `path` is replaced, a link included, once the new file is
    complete.

    Args:
      path: Path of the file; its folder must exist.
      image: As of `encode_png`.

    Raises:
      ValueError: As of `encode_png`.
      OSError: The file cannot be written; nothing has changed then.
    """
    # Encoding in memory first means that no encoder failure can touch the disk.
    data = encode_png(image)
    with atomic_path(path) as file:
        file.write(data)


def encode_png(image: np.ndarray) -> bytes:
    """Encodes pixels as a PNG file, and nothing else.

    It has the chunks IHDR, IDAT and IEND only. Where pixels are nearly noise, as those
    of mixed photographs are, they are stored as they are, elsewhere compressed. Beside
    the image and the result, this takes memory for some rows.

    Args:
      image: A (H, W, C) uint8 or uint16 array, C from 1 to 4 as in `read_image`.

    Returns:
      The bytes of the file.

    Raises:
      ValueError: The array has another shape or dtype, or no pixels.
    """
    if image.ndim != 3 or not 1 <= image.shape[2] <= 4 or image.size == 0:
        raise ValueError(
            f"image must have shape (H, W, C) with C in 1..4 and at least one pixel, "
            f"got shape {image.shape}"
        )
    if image.dtype.newbyteorder("=") not in (np.uint8, np.uint16):
        raise ValueError(f"image must be uint8 or uint16, got {image.dtype}")
    height, width, channels = image.shape
    depth, colour = 8 * image.itemsize, _COLOURS[channels]
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    pixels = ((b"IDAT", piece) for piece in _pieces(image))
    buffer = io.BytesIO()
    png.write_chunks(
        buffer, itertools.chain([(b"IHDR", header)], pixels, [(b"IEND", b"")])
    )
    return buffer.getvalue()


def _pieces(image: np.ndarray) -> Iterator[bytes]:
    """Makes the zlib stream of an image's rows, some rows at a time."""
    height, row = len(image), image[0].nbytes
    count = math.ceil(height / min(height, math.ceil(height * row / _PIECE)))
    # Odd, and from an odd row: or all of the sample might be first rows of regions.
    step = min(count, count * row // _SAMPLE | 1)
    start, checksum = _ZLIB_HEADER, zlib.adler32(b"")
    for top in range(0, height, count):
        bottom = min(top + count, height)
        first = min(top + (step // 2 | 1), bottom - 1)
        sample = _filtered(image, slice(first, bottom, step), _RUNS.filter)
        pays = len(_deflated(sample, _RUNS)) < _WORTHWHILE * sample.size
        way = _RUNS if pays else _STORED
        rows = _filtered(image, slice(top, bottom, 1), way.filter)
        checksum = zlib.adler32(rows.data, checksum)
        last = bottom == height
        end = struct.pack(">I", checksum) if last else b""
        yield start + _deflated(rows, way, last=last) + end
        start = b""


def _filtered(image: np.ndarray, rows: slice, filter: int) -> np.ndarray:
    """Gives rows of an image as PNG has them, each behind the number of its filter."""
    values = _stored_bytes(image[rows])
    filtered = np.empty((len(values), 1 + values.shape[1]), np.uint8)
    filtered[:, 0] = filter
    if filter == _NONE:
        filtered[:, 1:] = values
        return filtered
    # Above the first row of an image are zeros.
    first = int(rows.start == 0)
    filtered[:first, 1:] = values[:first]
    above = slice(rows.start - 1 + first * rows.step, rows.stop - 1, rows.step)
    np.subtract(values[first:], _stored_bytes(image[above]), out=filtered[first:, 1:])
    return filtered


def _stored_bytes(rows: np.ndarray) -> np.ndarray:
    """Gives the bytes of rows (N, W, C) as (N, bytes), the upper of 16 bits first."""
    big = np.ascontiguousarray(rows, rows.dtype.newbyteorder(">")).view(np.uint8)
    return big.reshape(len(big), big.shape[1] * big.shape[2])


def _deflated(rows: np.ndarray, way: _Way, *, last: bool = True) -> bytes:
    """Gives rows as blocks of deflate; unless last, others can follow them."""
    stream = zlib.compressobj(way.level, zlib.DEFLATED, -15, 9, way.strategy)
    return stream.compress(rows.data) + stream.flush(
        zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH
    )


def png_form(data: bytes) -> tuple[tuple[int, int, int], np.dtype[np.generic]]:
    """Tells the shape and type of what `decode_png` makes of what `encode_png` gave."""
    width, height, depth, colour = struct.unpack_from(">IIBB", data, 16)
    return (height, width, _CHANNELS.get(colour, 1)), np.dtype(f"u{depth // 8}")


def _orientation(data: bytes) -> object:
    # Metadata may come behind the pixels, but most have none.
    if _PIXELS.issuperset(chunk_names(data)):
        return 1
    rest = without(data, parse(data).others)
    return decode_pillow(rest, PngImagePlugin.PngImageFile)[1]


PNG = Codec(
    "PNG",
    "PNG",
    re.compile(re.escape(SIGNATURE)),
    decode_png,
    orientation=_orientation,
)

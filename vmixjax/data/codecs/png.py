"""PNG files: checked whole, which Pillow does not, and with all their 16 bits."""

import io
import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import png

from vmixjax.atomic import atomic_path
from vmixjax.data.codecs.codec import (
    COPY_AGAIN,
    ONE_PICTURE,
    Codec,
    Refusal,
    check_size,
)
from vmixjax.data.codecs.pillow import decode_pillow, pillow_array, upright
from vmixjax.data.room import Claim, at_once

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}
"""PNG's colour type by the number of channels."""

_CHANNELS = {2: 3, 4: 2, 6: 4}
"""Channels by the colour types that have several; Pillow cuts them to 8 bits."""

_RUNS_ONLY = 3
"""zlib's Z_RLE, which its Python module does not name."""

_UP = 2
"""PNG's filter that stores differences to the row above."""

_PIXELS = {"IHDR", "IDAT", "IEND"}
"""The chunks of a released image: all others tell something else."""


@dataclass
class _Png:
    """What a PNG file says about its pixels.

    Attributes:
      header: The IHDR chunk, 13 bytes.
      transparent: The tRNS chunk, or None.
      pixels: The IDAT chunks.
    """

    header: bytes
    transparent: bytes | None
    pixels: list[bytes]


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
        parts = _parse(data)
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
    parts = _parse(data)
    width, height, depth, colour = struct.unpack(">IIBB", parts.header[:10])
    check_size(width, height, claim)
    image, orientation = decode_pillow(data, "PNG")
    if depth == 16 and colour in _CHANNELS:
        # Pillow has cut these to 8 bits; what it knows of the orientation holds.
        array = upright(_decode_16(parts, width, height, colour), orientation)
    else:
        array = pillow_array(image, orientation)
    if parts.transparent is not None and colour in (0, 2):
        # Not by Pillow, which compares grey values of 2 and 4 bits unscaled.
        array = _with_alpha(array, parts.transparent, depth)
    return array


def _parse(data: bytes) -> _Png:
    """Checks all chunks of a PNG file up to IEND, and picks out those with pixels.

    Pillow checks neither the sums of IDAT chunks nor that the file has its end.
    """
    parts = _Png(b"", None, [])
    name, offset = b"", len(SIGNATURE)
    while name != b"IEND":
        if offset + 12 > len(data):
            raise Refusal("is truncated", COPY_AGAIN)
        length, name = struct.unpack_from(">I4s", data, offset)
        end = offset + 12 + length
        if end > len(data):
            raise Refusal("is truncated", COPY_AGAIN)
        (checksum,) = struct.unpack_from(">I", data, end - 4)
        if zlib.crc32(memoryview(data)[offset + 4 : end - 4]) != checksum:
            raise Refusal("is damaged (wrong checksum)", COPY_AGAIN)
        body = data[offset + 8 : end - 4]
        if offset == len(SIGNATURE):
            if name != b"IHDR" or length != 13:
                raise Refusal("is damaged (no header)", COPY_AGAIN)
            parts.header = body
        elif name == b"IDAT":
            parts.pixels.append(body)
        elif name == b"tRNS":
            parts.transparent = body
        elif name in (b"acTL", b"fcTL", b"fdAT"):
            raise Refusal("is an animated PNG", ONE_PICTURE)
        offset = end
    return parts


def _decode_16(parts: _Png, width: int, height: int, colour: int) -> np.ndarray:
    """Decodes a 16 bit PNG of any colour type but grey to (H, W, C) uint16."""
    array = np.empty((height, width * _CHANNELS[colour]), np.uint16)
    # pypng inflates without bound, and what is inflated can be a thousand times what
    # is stored. Interlacing adds less than the factor here.
    check_inflated(parts.pixels, 2 * (array.nbytes + height) + 1024)
    # Nothing but pixels goes to pypng: it would scale by sBIT and warn about others.
    chunks = [(b"IHDR", parts.header), *((b"IDAT", body) for body in parts.pixels)]
    stripped = io.BytesIO()
    png.write_chunks(stripped, [*chunks, (b"IEND", b"")])
    stripped.seek(0)
    rows = png.Reader(file=stripped).read()[2]
    count = 0
    for count, row in enumerate(rows, start=1):
        array[count - 1] = row
    if count != height:
        raise Refusal(f"is damaged ({count} of {height} rows)", COPY_AGAIN)
    return array.reshape(height, width, -1)


def check_inflated(blocks: Iterable[bytes], limit: int) -> int:
    """Measures a zlib stream, given in blocks; one over the limit is refused."""
    stream, total = zlib.decompressobj(), 0
    for block in blocks:
        rest = block
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

    It has the chunks IHDR, IDAT and IEND only.

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
    native = image.dtype.newbyteorder("=")
    if native not in (np.uint8, np.uint16):
        raise ValueError(f"image must be uint8 or uint16, got {image.dtype}")
    height, width, channels = image.shape
    depth = 8 * native.itemsize
    samples = np.ascontiguousarray(image, native.newbyteorder(">")).view(np.uint8)
    above = samples.reshape(height, -1)
    # Each row as its difference to the one above, runs only: a third of Pillow's time,
    # since mixed pixels are nearly noise, and no larger, for photographs neither.
    rows = np.empty((height, 1 + above.shape[1]), np.uint8)
    rows[:, 0] = _UP
    rows[0, 1:] = above[0]
    np.subtract(above[1:], above[:-1], out=rows[1:, 1:])
    compressor = zlib.compressobj(1, zlib.DEFLATED, 15, 9, _RUNS_ONLY)
    pixels = compressor.compress(rows.data) + compressor.flush()
    header = struct.pack(">IIBBBBB", width, height, depth, _COLOURS[channels], 0, 0, 0)
    buffer = io.BytesIO()
    png.write_chunks(buffer, [(b"IHDR", header), (b"IDAT", pixels), (b"IEND", b"")])
    return buffer.getvalue()


def png_form(data: bytes) -> tuple[tuple[int, int, int], np.dtype[np.generic]]:
    """Tells the shape and type of what `decode_png` makes of what `encode_png` gave."""
    width, height, depth, colour = struct.unpack_from(">IIBB", data, 16)
    return (height, width, _CHANNELS.get(colour, 1)), np.dtype(f"u{depth // 8}")


PNG = Codec("PNG", "PNG", re.compile(re.escape(SIGNATURE)), decode_png)

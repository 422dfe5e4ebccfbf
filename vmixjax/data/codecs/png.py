"""PNG files: checked whole, which Pillow does not, and with all their 16 bits."""

import io
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import png

from vmixjax.data.codecs.pillow import decode_pillow, pillow_array, upright
from vmixjax.data.codecs.refusal import COPY_AGAIN, ONE_PICTURE, Refusal, check_size
from vmixjax.data.room import Claim, at_once

SIGNATURE = b"\x89PNG\r\n\x1a\n"

# Colour types that Pillow cuts from 16 bits to 8, to channels.
_CHANNELS = {2: 3, 4: 2, 6: 4}


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
    """What a PNG file consists of: chunks, and whatever comes behind the last."""
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
    """What a PNG file carries beside the pixels of a release, in words."""
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
        row = (width * depth * {0: 1, 2: 3, 4: 2, 6: 4}.get(colour, 1) + 7) // 8
        needed, found = height * (1 + row), 0
        stream = zlib.decompressobj()
        for piece in parts.pixels:
            if stream.eof:
                yield "data behind its pixels"
                return
            found += len(stream.decompress(piece, needed - found + 1))
            if stream.unused_data or stream.unconsumed_tail or found > needed:
                yield "data behind its pixels"
                return
        if interlaced or found < needed or not stream.eof:
            yield "pixels in another form than a release has"
    except (Refusal, struct.error, zlib.error):
        # What cannot be read is no image, and said to be none elsewhere.
        return


def decode_png(data: bytes, claim: Claim = at_once) -> np.ndarray:
    """Decode a PNG file to an upright (H, W, C) array."""
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
    """Check all chunks of a PNG file up to IEND, and pick out those with pixels.

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
    """Decode a 16 bit PNG of any colour type but grey to (H, W, C) uint16."""
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
    """Size of a zlib stream, given in blocks; one over the limit is refused."""
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
    """Make the one transparent colour of a grey or RGB PNG an alpha channel.

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

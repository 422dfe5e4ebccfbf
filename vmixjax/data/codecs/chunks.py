"""Chunks of PNG files: checked, and those left out that tell nothing of pixels."""

import itertools
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from vmixjax.data.codecs.codec import COPY_AGAIN, ONE_PICTURE, Refusal

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_TURNED_BY = (b"Raw profile type exif", b"XML:com.adobe.xmp")
"""Keywords of texts that may tell how a picture is turned."""

_MOST_TEXT = 2**20
"""Bytes of an inflated text that Pillow takes."""

_ONE_FRAME = b"\0\0\0\1"


@dataclass
class Png:
    """What a PNG file says about its pixels.

    Attributes:
      header: The IHDR chunk, 13 bytes.
      transparent: The tRNS chunk, or None.
      pixels: The IDAT chunks, as views of the file.
      others: Where chunks start and end that tell nothing of pixels.
    """

    header: bytes
    transparent: bytes | None
    pixels: list[memoryview]
    others: list[tuple[int, int]]


def parse(data: bytes) -> Png:
    """Checks all chunks of a PNG file up to IEND, and picks out those with pixels.

    Pillow checks neither the sums of IDAT chunks nor that the file has its end.
    """
    parts, view = Png(b"", None, [], []), memoryview(data)
    before: list[bytes] = []
    name, offset = b"", len(SIGNATURE)
    while name != b"IEND":
        if offset + 12 > len(data):
            raise Refusal("is truncated", COPY_AGAIN)
        length, name = struct.unpack_from(">I4s", data, offset)
        end = offset + 12 + length
        if end > len(data):
            raise Refusal("is truncated", COPY_AGAIN)
        (checksum,) = struct.unpack_from(">I", data, end - 4)
        if zlib.crc32(view[offset + 4 : end - 4]) != checksum:
            raise Refusal("is damaged (wrong checksum)", COPY_AGAIN)
        body = view[offset + 8 : end - 4]
        if offset == len(SIGNATURE):
            if name != b"IHDR" or length != 13:
                raise Refusal("is damaged (no header)", COPY_AGAIN)
            parts.header = bytes(body)
        elif name == b"IDAT":
            parts.pixels.append(body)
            before.append(name)
        elif name == b"tRNS":
            parts.transparent = bytes(body)
        elif name in (b"acTL", b"fcTL", b"fdAT"):
            if not _is_of_one_picture(name, body, before):
                raise Refusal("is an animated PNG", ONE_PICTURE)
            parts.others.append((offset, end))
            before.append(name)
        elif _tells_nothing(name, body):
            parts.others.append((offset, end))
        offset = end
    return parts


def _tells_nothing(name: bytes, body: memoryview) -> bool:
    """Tells whether a chunk has nothing to say of pixels, nor of how they are turned.

    Pillow reads such all the same, and takes no file in which one is large.

    Args:
      name: Name of the chunk.
      body: What it holds.

    Raises:
      Refusal: It does have something to say, and is too large for Pillow.
    """
    if name == b"iCCP":
        return True
    if name not in _TEXTS:
        return False
    keyword, _, rest = bytes(body[: max(map(len, _TURNED_BY)) + 3]).partition(b"\0")
    if keyword not in _TURNED_BY:
        return True
    # The text itself follows a byte of flags and, in one kind, two more names.
    deflated = name == b"zTXt" or (name == b"iTXt" and rest[:1] == b"\1")
    if deflated and _is_large(bytes(body[len(keyword) + 1 :]), name):
        raise Refusal(
            "has more than 1 MB of EXIF or XMP",
            "turn it as it should be, and save it without them",
        )
    return False


def _is_large(text: bytes, name: bytes) -> bool:
    if name == b"zTXt":
        text = text[1:]
    else:
        *_, text = text[2:].split(b"\0", 2)
    try:
        return len(zlib.decompressobj().decompress(text, _MOST_TEXT)) >= _MOST_TEXT
    except zlib.error:
        # Pillow says what is wrong with it.
        return False


def _is_of_one_picture(name: bytes, body: memoryview, before: Sequence[bytes]) -> bool:
    """Tells whether a chunk of an animation leaves it at the one picture that all see.

    Args:
      name: Name of the chunk.
      body: What it holds.
      before: Names of the chunks before it that matter: `IDAT`, and those of animation.
    """
    if name == b"acTL":
        return body[:4] == _ONE_FRAME and name not in before
    return name == b"fcTL" and name not in before and b"IDAT" not in before


def without(data: bytes, chunks: Sequence[tuple[int, int]]) -> bytes:
    """Gives a PNG file without some of its chunks.

    Args:
      data: The file.
      chunks: Where they start and end, in their order.
    """
    if not chunks:
        return data
    ends = itertools.chain([0], (end for _, end in chunks))
    starts = itertools.chain((start for start, _ in chunks), [len(data)])
    view = memoryview(data)
    return b"".join(view[end:start] for end, start in zip(ends, starts, strict=True))

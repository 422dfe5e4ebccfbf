"""Image files to arrays and back, without loss and without metadata.

Reading keeps every bit of the samples and nothing else: orientation is applied to
the pixels, and EXIF, ICC, XMP, text and thumbnails are left behind. Sample values
are taken as stored; no colour management is done.
"""

import io
import stat
import struct
import zlib
from collections.abc import Collection
from pathlib import Path

import numpy as np
import png

from vmixjax._printable import printable
from vmixjax.atomic import atomic_path
from vmixjax.data.codecs.pillow import decode_pillow, pillow_array
from vmixjax.data.codecs.png import SIGNATURE, decode_png
from vmixjax.data.codecs.refusal import COPY_AGAIN, TO_PNG, Refusal
from vmixjax.data.codecs.tiff import decode_tiff
from vmixjax.data.room import Claim, NoRoom, at_once
from vmixjax.errors import ImageError

_RUNS_ONLY = 3
"""zlib's Z_RLE, which its Python module does not name."""

_UP = 2
"""PNG's filter that stores differences to the row above."""

_COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}
"""PNG's colour type by the number of channels."""


FORMATS = frozenset({"JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF"})
"""All that can be read."""

RELEASED = frozenset({"PNG"})
"""All that a release holds: what reads one needs no other decoder."""

_MOST_BYTES = 2**30
"""Of a file: more than any image of so many pixels takes, uncompressed."""


def read_image(
    path: Path, *, formats: Collection[str] = FORMATS, claim: Claim = at_once
) -> np.ndarray:
    """Read one picture from a JPEG, PNG, WebP, BMP, TIFF or GIF file.

    The format is told by the content, not by the suffix. EXIF orientation is applied.
    Palettes become RGB, or RGBA if any entry is transparent; a transparent colour
    becomes an alpha channel; CMYK, YCbCr and LAB become RGB; bilevel becomes grey.

    Args:
        path: The file; a symlink is followed.
        formats: Those that are read, among `FORMATS`.
        claim: Asks for the room that decoding takes.

    Returns:
        A (H, W, C) array, contiguous and writable: uint16 if the file has 16 bit
        samples, else uint8. C is 1 for grey, 2 for grey and alpha, 3 for RGB, 4 for
        RGBA.

    Raises:
        ImageError: The file is missing, unreadable, empty, no image, damaged,
            truncated, animated or multi-page, has samples of another kind (float,
            signed, 32 bit), or has more pixels than `PIL.Image.MAX_IMAGE_PIXELS`.
    """
    try:
        data = _read_bytes(path, formats)
    except Refusal as refusal:
        raise ImageError(printable(f"{path} {refusal}")) from refusal
    return decode_image(data, str(path), formats=formats, claim=claim)


def decode_image(
    data: bytes,
    name: str,
    *,
    formats: Collection[str] = FORMATS,
    claim: Claim = at_once,
) -> np.ndarray:
    """Decode the content of an image file, as `read_image` does.

    Args:
        data: The bytes of the file.
        name: What complaints call it.
        formats: As `read_image`.
        claim: As `read_image`.

    Returns:
        As `read_image`.

    Raises:
        ImageError: As `read_image`, but for what concerns reading files.
    """
    try:
        return _decode(data, formats, claim)
    except NoRoom:
        raise
    except Refusal as refusal:
        raise ImageError(printable(f"{name} {refusal}")) from refusal
    except MemoryError as error:
        text = f"{name} does not fit in memory; scale it down or free some memory"
        raise ImageError(printable(text)) from error
    except Exception as error:
        # On damaged input the decoders raise nearly every type there is (SyntaxError,
        # struct.error, zlib.error, KeyError, ...), so none can be left out here. Their
        # own words may quote what is in the file, so they stay out of the message.
        mend = f"{COPY_AGAIN}, or {TO_PNG}"
        text = f"{name} is damaged or of an unsupported kind; {mend}"
        raise ImageError(printable(text)) from error


def write_png(path: Path, image: np.ndarray) -> None:
    """Write what `encode_png` gives, whole or not at all.

    Whatever was at `path` is replaced, a symlink included, once the new file is
    complete.

    Args:
        path: The file to write; its folder must exist.
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
    """A PNG file that holds pixels and nothing else.

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


def _read_bytes(path: Path, formats: Collection[str]) -> bytes:
    """Read a file whole, so that all decoders and checks see the same bytes."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise Refusal("is a folder", "name an image file in it")
        # Opening a pipe would wait for ever, and /dev/zero never ends.
        if not stat.S_ISREG(status.st_mode):
            raise Refusal("is no ordinary file", "name an image file")
        with path.open("rb") as file:
            start = file.read(16)
            if not start:
                raise Refusal("is empty (0 bytes)", COPY_AGAIN)
            # Before the rest: it may be a huge file of another kind.
            _format_of(start, formats)
            if status.st_size > _MOST_BYTES:
                raise Refusal(
                    f"has {status.st_size} bytes, over the limit of {_MOST_BYTES}",
                    "scale it down or cut it up",
                )
            file.seek(0)
            return file.read(status.st_size)
    except FileNotFoundError as error:
        raise Refusal("does not exist", "check the path") from error
    except PermissionError as error:
        mend = "change its permissions or those of its folder"
        raise Refusal("may not be read", mend) from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise Refusal(f"cannot be read ({reason})", COPY_AGAIN) from error


def _format_of(start: bytes, formats: Collection[str]) -> str:
    """Name the format, as Pillow does, of a file that begins with `start`."""
    kind = _known_format(start)
    if kind not in formats:
        raise Refusal(
            f"is {kind}, where only {' or '.join(sorted(formats))} can be",
            "use the file as it was written",
        )
    return kind


def _known_format(start: bytes) -> str:
    if start.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if start.startswith(SIGNATURE):
        return "PNG"
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return "WEBP"
    if start.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "TIFF"
    if start.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if start.startswith(b"BM"):
        return "BMP"
    raise Refusal(
        "is not a JPEG, PNG, WebP, BMP, TIFF or GIF image", f"{TO_PNG} or take it out"
    )


def _decode(data: bytes, formats: Collection[str], claim: Claim) -> np.ndarray:
    """Decode the content of an image file, see `read_image`."""
    kind = _format_of(data[:16], formats)
    if kind == "PNG":
        image = decode_png(data, claim)
    elif kind == "TIFF":
        image = decode_tiff(data, claim)
    else:
        image = pillow_array(*decode_pillow(data, kind, claim))
    return np.ascontiguousarray(image)

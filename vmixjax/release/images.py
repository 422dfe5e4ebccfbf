"""Image files to arrays and back, without loss and without metadata.

Reading keeps every bit of the samples and nothing else: orientation is applied to
the pixels, and EXIF, ICC, XMP, text and thumbnails are left behind. Sample values
are taken as stored; no colour management is done.
"""

import contextlib
import io
import math
import stat
import struct
import threading
import warnings
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import png
from PIL import Image, TiffImagePlugin

from vmixjax.release.atomic import atomic_path

__all__ = ["ImageError", "read_image", "write_png"]

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_ORIENTATION = 274  # in EXIF and in TIFF

_COPY_AGAIN = "copy it again from its source"
_TO_PNG = "save it as an 8 or 16 bit PNG"
_ONE_PICTURE = "save the picture you want as a file of its own"

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

# PNG colour types that Pillow cuts from 16 bits to 8, to channels.
_PNG_CHANNELS = {2: 3, 4: 2, 6: 4}

# TIFF tags.
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_FILL_ORDER, _SAMPLES, _PLANAR, _PREDICTOR = 266, 277, 284, 317
_STRIP_STARTS, _ROWS_PER_STRIP, _STRIP_SIZES = 273, 278, 279
_TILE_WIDTH, _TILE_HEIGHT, _TILE_STARTS, _TILE_SIZES = 322, 323, 324, 325
_EXTRA_SAMPLES, _SAMPLE_FORMAT = 338, 339
_TIFF_BITS: tuple[set[int], ...] = ({1}, {2}, {4}, {8}, {16})
# Compressions of 16 bit colour: none, and deflate under its two numbers.
_TIFF16_COMPRESSIONS = (1, 8, 32946)

_warnings_lock = threading.Lock()


class ImageError(ValueError):
    """An image file that is refused: one line with the file, the fault, the mend."""


class _RefusalError(Exception):
    """A fault and its mend, not yet naming the file."""

    def __init__(self, fault: str, mend: str) -> None:
        super().__init__(f"{fault}; {mend}")


def read_image(path: Path) -> np.ndarray:
    """Read one picture from a JPEG, PNG, WebP, BMP, TIFF or GIF file.

    The format is told by the content, not by the suffix. EXIF orientation is applied.
    Palettes become RGB, or RGBA if any entry is transparent; a transparent colour
    becomes an alpha channel; CMYK, YCbCr and LAB become RGB; bilevel becomes grey.

    Args:
        path: The file; a symlink is followed.

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
        return _decode(_read_bytes(path))
    except _RefusalError as refusal:
        raise ImageError(_one_line(f"{path} {refusal}")) from refusal
    except MemoryError as error:
        text = f"{path} does not fit in memory; scale it down or free some memory"
        raise ImageError(_one_line(text)) from error
    except Exception as error:
        # On damaged input the decoders raise nearly every type there is (SyntaxError,
        # struct.error, zlib.error, KeyError, ...), so none can be left out here. Their
        # own words may quote what is in the file, so they stay out of the message.
        mend = f"{_COPY_AGAIN}, or {_TO_PNG}"
        text = f"{path} is damaged or of an unsupported kind; {mend}"
        raise ImageError(_one_line(text)) from error


def write_png(path: Path, image: np.ndarray) -> None:
    """Write a PNG file that holds pixels and nothing else, whole or not at all.

    The file has the chunks IHDR, IDAT and IEND only. Whatever was at `path` is
    replaced, a symlink included, once the new file is complete.

    Args:
        path: The file to write; its folder must exist.
        image: A (H, W, C) uint8 or uint16 array, C from 1 to 4 as in `read_image`.

    Raises:
        ValueError: The array has another shape or dtype, or no pixels.
        OSError: The file cannot be written; nothing has changed then.
    """
    if image.ndim != 3 or not 1 <= image.shape[2] <= 4 or image.size == 0:
        raise ValueError(
            f"image must have shape (H, W, C) with C in 1..4 and at least one pixel, "
            f"got shape {image.shape}"
        )
    native = image.dtype.newbyteorder("=")
    if native not in (np.uint8, np.uint16):
        raise ValueError(f"image must be uint8 or uint16, got {image.dtype}")
    # Encoding in memory first means that no encoder failure can touch the disk.
    buffer = io.BytesIO()
    if native == np.uint16 and image.shape[2] > 1:
        _encode_png16(buffer, image)
    else:
        pixels = image[:, :, 0] if image.shape[2] == 1 else image
        pixels = np.ascontiguousarray(pixels, native)
        # Mixed pixels are nearly noise: more effort would not make the file smaller.
        Image.fromarray(pixels).save(buffer, format="PNG", compress_level=1)
    with atomic_path(path) as file:
        file.write(buffer.getbuffer())


def _encode_png16(buffer: io.BytesIO, image: np.ndarray) -> None:
    """Write a (H, W, C) uint16 image, C from 2 to 4: Pillow has no such mode."""
    height, width, channels = image.shape
    writer = png.Writer(
        width=width,
        height=height,
        greyscale=channels == 2,
        alpha=channels in (2, 4),
        bitdepth=16,
        compression=1,
    )
    rows = image.reshape(height, width * channels).astype(">u2")
    writer.write_packed(buffer, (row.tobytes() for row in rows))


def _one_line(text: str) -> str:
    """Escape what would break the line or the terminal; file names may hold it."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )


def _read_bytes(path: Path) -> bytes:
    """Read a file whole, so that all decoders and checks see the same bytes."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise _RefusalError("is a folder", "name an image file in it")
        # Opening a pipe would wait for ever, and /dev/zero never ends.
        if not stat.S_ISREG(status.st_mode):
            raise _RefusalError("is no ordinary file", "name an image file")
        with path.open("rb") as file:
            start = file.read(16)
            if not start:
                raise _RefusalError("is empty (0 bytes)", _COPY_AGAIN)
            _format_of(start)  # before the rest: it may be a huge file of another kind
            file.seek(0)
            return file.read()
    except FileNotFoundError as error:
        raise _RefusalError("does not exist", "check the path") from error
    except PermissionError as error:
        mend = "change its permissions or those of its folder"
        raise _RefusalError("may not be read", mend) from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise _RefusalError(f"cannot be read ({reason})", _COPY_AGAIN) from error


def _format_of(start: bytes) -> str:
    """Name the format, as Pillow does, of a file that begins with `start`."""
    if start.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if start.startswith(_PNG_SIGNATURE):
        return "PNG"
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return "WEBP"
    if start.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "TIFF"
    if start.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if start.startswith(b"BM"):
        return "BMP"
    raise _RefusalError(
        "is not a JPEG, PNG, WebP, BMP, TIFF or GIF image", f"{_TO_PNG} or take it out"
    )


def _decode(data: bytes) -> np.ndarray:
    """Decode the content of an image file, see `read_image`."""
    kind = _format_of(data[:16])
    if kind == "PNG":
        image = _decode_png(data)
    elif kind == "TIFF":
        image = _decode_tiff(data)
    else:
        image = _pillow_array(*_decode_pillow(data, kind))
    return np.ascontiguousarray(image)


def _check_size(width: int, height: int) -> None:
    """Refuse sizes that are empty or beyond Pillow's limit, before any decoding.

    Pillow itself only warns up to twice its limit, and the other decoders have none.
    """
    if width < 1 or height < 1:
        raise _RefusalError(f"has no pixels ({width} x {height})", _COPY_AGAIN)
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and width * height > limit:
        raise _RefusalError(
            f"has {width} x {height} pixels, over the limit of {limit}",
            "scale it down or cut it up",
        )


def _upright(image: np.ndarray, orientation: object) -> np.ndarray:
    """Turn a (H, W, C) image as its EXIF orientation says; unknown ones mean 1."""
    if orientation in (5, 6, 7, 8):
        image = image.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return image


# --- Pillow ---


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Pillow's warnings (oversized, odd EXIF) from escaping or being raised.

    `catch_warnings` swaps state of the whole process: two threads in it at once could
    leave the wrong filters behind. Hence the lock, and hence its narrow use, around
    header and metadata parsing only; pixels of most formats are decoded in parallel.
    """
    with _warnings_lock, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def _decode_pillow(data: bytes, kind: str) -> tuple[Image.Image, object]:
    """Decode a file of the format `kind` with Pillow.

    Returns:
        The loaded image, not turned yet, and its EXIF orientation.
    """
    try:
        with _quiet():
            image = Image.open(io.BytesIO(data), formats=[kind])
    except Image.DecompressionBombError as error:
        raise _RefusalError(
            "has too many pixels", "scale it down or cut it up"
        ) from error
    _check_size(*image.size)
    # Phones write their photos as MPO: a JPEG with a second picture (depth map, gain
    # map, the other eye) behind it. The first, which is open now, is the photo; all
    # plain JPEG readers show just that one.
    if image.format != "MPO":
        with _quiet():
            animated = getattr(image, "is_animated", False)
        if animated:
            raise _RefusalError("holds more than one picture", _ONE_PICTURE)
    # Loading a TIFF parses metadata again, and may warn.
    with _quiet() if kind == "TIFF" else contextlib.nullcontext():
        image.load()
    # After loading: EXIF may come behind the pixels, and Pillow turns TIFF files
    # itself as it loads them, taking the tag away.
    with _quiet():
        orientation = image.getexif().get(_ORIENTATION)
    return image, orientation


def _pillow_array(image: Image.Image, orientation: object) -> np.ndarray:
    """Convert a loaded Pillow image to an upright (H, W, C) array."""
    if image.mode.startswith("I;16"):
        return _upright(np.array(image, np.uint16)[:, :, None], orientation)
    if image.mode == "P":
        target = "RGBA" if "transparency" in image.info else "RGB"
    elif image.mode == "L" and image.format == "GIF" and "transparency" in image.info:
        target = "LA"
    elif image.mode in _TARGET_MODES:
        target = _TARGET_MODES[image.mode]
    else:
        raise _RefusalError(f"has samples of the kind {image.mode!r}", _TO_PNG)
    if image.mode != target:
        image = image.convert(target)
    array = np.array(image)
    return _upright(array if array.ndim == 3 else array[:, :, None], orientation)


# --- PNG ---


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


def _decode_png(data: bytes) -> np.ndarray:
    """Decode a PNG file to an upright (H, W, C) array."""
    parts = _parse_png(data)
    width, height, depth, colour = struct.unpack(">IIBB", parts.header[:10])
    _check_size(width, height)
    image, orientation = _decode_pillow(data, "PNG")
    if depth == 16 and colour in _PNG_CHANNELS:
        # Pillow has cut these to 8 bits; what it knows of the orientation holds.
        array = _upright(_decode_png16(parts, width, height, colour), orientation)
    else:
        array = _pillow_array(image, orientation)
    if parts.transparent is not None and colour in (0, 2):
        # Not by Pillow, which compares grey values of 2 and 4 bits unscaled.
        array = _with_alpha(array, parts.transparent, depth)
    return array


def _parse_png(data: bytes) -> _Png:
    """Check all chunks of a PNG file up to IEND, and pick out those with pixels.

    Pillow checks neither the sums of IDAT chunks nor that the file has its end.
    """
    parts = _Png(b"", None, [])
    name, offset = b"", len(_PNG_SIGNATURE)
    while name != b"IEND":
        if offset + 12 > len(data):
            raise _RefusalError("is truncated", _COPY_AGAIN)
        length, name = struct.unpack_from(">I4s", data, offset)
        end = offset + 12 + length
        if end > len(data):
            raise _RefusalError("is truncated", _COPY_AGAIN)
        (checksum,) = struct.unpack_from(">I", data, end - 4)
        if zlib.crc32(memoryview(data)[offset + 4 : end - 4]) != checksum:
            raise _RefusalError("is damaged (wrong checksum)", _COPY_AGAIN)
        body = data[offset + 8 : end - 4]
        if offset == len(_PNG_SIGNATURE):
            if name != b"IHDR" or length != 13:
                raise _RefusalError("is damaged (no header)", _COPY_AGAIN)
            parts.header = body
        elif name == b"IDAT":
            parts.pixels.append(body)
        elif name == b"tRNS":
            parts.transparent = body
        elif name in (b"acTL", b"fcTL", b"fdAT"):
            raise _RefusalError("is an animated PNG", _ONE_PICTURE)
        offset = end
    return parts


def _decode_png16(parts: _Png, width: int, height: int, colour: int) -> np.ndarray:
    """Decode a 16 bit PNG of any colour type but grey to (H, W, C) uint16."""
    array = np.empty((height, width * _PNG_CHANNELS[colour]), np.uint16)
    # pypng inflates without bound, and what is inflated can be a thousand times what
    # is stored. Interlacing adds less than the factor here.
    _check_inflated(parts.pixels, 2 * (array.nbytes + height) + 1024)
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
        raise _RefusalError(f"is damaged ({count} of {height} rows)", _COPY_AGAIN)
    return array.reshape(height, width, -1)


def _check_inflated(blocks: Iterable[bytes], limit: int) -> None:
    """Refuse a zlib stream, given in blocks, that inflates to more than `limit`."""
    stream, total = zlib.decompressobj(), 0
    for block in blocks:
        rest = block
        while rest and not stream.eof:
            total += len(stream.decompress(rest, 1 << 20))
            if total > limit:
                raise _RefusalError("is damaged (more data than pixels)", _COPY_AGAIN)
            rest = stream.unconsumed_tail


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
        raise _RefusalError("is damaged (wrong transparent colour)", _COPY_AGAIN)
    highest = np.iinfo(array.dtype).max
    key = np.frombuffer(transparent, ">u2") & (2**depth - 1)
    clear = (array == key * (highest // (2**depth - 1))).all(axis=2, keepdims=True)
    alpha = np.where(clear, 0, highest).astype(array.dtype)
    return np.concatenate([array, alpha], axis=2)


# --- TIFF ---


@dataclass
class _Tiff:
    """What the one directory of a TIFF file says, and the bytes of the file.

    The tags are read by Pillow, and so even where it cannot decode the pixels. Tags
    that may have several values are tuples. In a damaged file any value may be of
    another type; what that raises in use, `read_image` turns into a refusal.
    """

    data: bytes
    byteorder: str
    tags: TiffImagePlugin.ImageFileDirectory_v2

    def numbers(self, tag: int, *default: int) -> tuple[int, ...]:
        """Return the values of a tag, or the default if it is not there."""
        with _quiet():  # values are decoded as they are first asked for
            value = self.tags.get(tag, default)
        return value if isinstance(value, tuple) else (value,)

    def number(self, tag: int, *default: int) -> int:
        """Return the one value of a tag, or the default if it is not there."""
        (value,) = self.numbers(tag, *default)
        return value


def _parse_tiff(data: bytes) -> _Tiff:
    """Read the tags of a TIFF file, which must have one page."""
    with _quiet():
        big = 43 in data[2:4]
        tags = TiffImagePlugin.ImageFileDirectory_v2(data[: 16 if big else 8])
        file = io.BytesIO(data)
        file.seek(tags.next)
        tags.load(file)
    if tags.next:
        raise _RefusalError("holds more than one page", _ONE_PICTURE)
    return _Tiff(data, "<" if data.startswith(b"II") else ">", tags)


def _decode_tiff(data: bytes) -> np.ndarray:
    """Decode a TIFF file of one page to an upright (H, W, C) array."""
    tiff = _parse_tiff(data)
    _check_size(tiff.number(_WIDTH), tiff.number(_HEIGHT))
    samples = tiff.number(_SAMPLES, 1)
    bits = set(tiff.numbers(_BITS, 1))
    if set(tiff.numbers(_SAMPLE_FORMAT, 1)) != {1} or bits not in _TIFF_BITS:
        raise _RefusalError(
            "has samples that are not unsigned numbers of up to 8 or of 16 bits",
            _TO_PNG,
        )
    if bits != {16} or (samples == 1 and tiff.number(_PHOTOMETRIC) == 1):
        return _pillow_array(*_decode_pillow(data, "TIFF"))
    return _upright(_decode_tiff16(tiff), tiff.number(_ORIENTATION, 1))


def _decode_tiff16(tiff: _Tiff) -> np.ndarray:
    """Decode a 16 bit TIFF page to (H, W, C) uint16, not turned yet.

    For what Pillow cannot do in 16 bits: colour, alpha, and grey where 0 is white.
    """
    photometric, extra = tiff.number(_PHOTOMETRIC), tiff.numbers(_EXTRA_SAMPLES)
    colours = {0: 1, 1: 1, 2: 3}.get(photometric, 0)
    channels = colours + len(extra)
    if not colours or tiff.number(_SAMPLES, 1) != channels or len(extra) > 1:
        raise _RefusalError("has 16 bit samples neither grey nor RGB", _TO_PNG)
    if extra == (1,):
        raise _RefusalError("has premultiplied 16 bit alpha", "save it without alpha")
    compression, predictor = tiff.number(_COMPRESSION, 1), tiff.number(_PREDICTOR, 1)
    if compression not in _TIFF16_COMPRESSIONS or predictor not in (1, 2):
        raise _RefusalError(
            "has 16 bit colour in a compression that is not supported",
            "save it uncompressed, with deflate compression, or as PNG",
        )
    if tiff.number(_FILL_ORDER, 1) != 1:
        raise _RefusalError("has an unusual bit order", _TO_PNG)
    array = _decode_segments(tiff, channels, compression != 1, predictor == 2)
    if photometric == 0:
        array[:, :, 0] = 65535 - array[:, :, 0]
    # An extra sample that is said to be no alpha is padding; Pillow drops it too.
    return array[:, :, :colours] if extra == (0,) else array


def _decode_segments(
    tiff: _Tiff, channels: int, deflated: bool, differences: bool
) -> np.ndarray:
    """Put the strips or tiles of a 16 bit TIFF file together.

    Args:
        tiff: The file.
        channels: Samples per pixel.
        deflated: Whether the segments are zlib streams.
        differences: Whether samples are stored as differences to their left.

    Returns:
        A (H, W, channels) uint16 array.
    """
    height, width = tiff.number(_HEIGHT), tiff.number(_WIDTH)
    tiled = _TILE_WIDTH in tiff.tags
    if tiled:
        rows, columns = tiff.number(_TILE_HEIGHT), tiff.number(_TILE_WIDTH)
        starts, sizes = tiff.numbers(_TILE_STARTS), tiff.numbers(_TILE_SIZES)
    else:
        rows, columns = min(tiff.number(_ROWS_PER_STRIP, height), height), width
        starts, sizes = tiff.numbers(_STRIP_STARTS), tiff.numbers(_STRIP_SIZES)
    _check_size(columns, rows)
    # Planes are interleaved in each segment, or have segments of their own.
    depth = channels if tiff.number(_PLANAR, 1) == 1 else 1
    corners = (
        (plane, top, left)
        for plane in range(0, channels, depth)
        for top in range(0, height, rows)
        for left in range(0, width, columns)
    )
    image = np.empty((height, width, channels), np.uint16)
    segments = zip(starts, sizes, strict=True)
    for (plane, top, left), (start, size) in zip(corners, segments, strict=True):
        # The last strip ends with the image; the last tiles go on beyond it.
        shape = (rows if tiled else min(rows, height - top), columns, depth)
        needed = 2 * math.prod(shape)
        body = tiff.data[start : start + size]
        if deflated:
            # No more than is needed, however much it would inflate to. The stream's
            # checksum is compared as its end is met.
            stream = zlib.decompressobj()
            body = stream.decompress(body, needed + 1)
            if len(body) == needed and not stream.eof:
                raise _RefusalError("is truncated", _COPY_AGAIN)
        if len(body) < needed:
            raise _RefusalError("is truncated", _COPY_AGAIN)
        block = np.frombuffer(body[:needed], f"{tiff.byteorder}u2").reshape(shape)
        if differences:
            block = np.cumsum(block, axis=1, dtype=np.uint16)
        target = image[top : top + rows, left : left + columns, plane : plane + depth]
        target[...] = block[: target.shape[0], : target.shape[1]]
    return image

"""Image files to arrays, without loss and without metadata.

Reading keeps every bit of the samples and nothing else: orientation is applied to
the pixels, and EXIF, ICC, XMP, text and thumbnails are left behind. Sample values
are taken as stored; no colour management is done.
"""

import re
import stat
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TypeVar

import numpy as np

from vmixjax._printable import printable
from vmixjax.data.codecs.codec import COPY_AGAIN, TO_PNG, Codec, Refusal, Small
from vmixjax.data.codecs.heif import AVIF, HEIC
from vmixjax.data.codecs.pillow import BMP, GIF, JPEG, WEBP
from vmixjax.data.codecs.png import PNG
from vmixjax.data.codecs.tiff import TIFF
from vmixjax.data.room import Claim, NoRoom, at_once
from vmixjax.errors import ImageError

CODECS = {codec.name: codec for codec in (JPEG, PNG, WEBP, BMP, TIFF, GIF, HEIC, AVIF)}
"""All that can be read."""

RELEASED_CODECS = frozenset({PNG.name})
"""All that a release holds: what reads one needs no other decoder."""

_UNPACK = "unpack it, and name the folder of what was in it"
_OTHERS = {
    re.compile(rb"\x1f\x8b|BZh|\xfd7zXZ|\x28\xb5\x2f\xfd"): (
        "is a compressed file",
        "decompress it; tar files are then named by themselves",
    ),
    re.compile(rb"PK\x03\x04|7z\xbc\xaf|Rar!"): ("is an archive", _UNPACK),
    re.compile(rb"%PDF|%!PS"): ("is a document", "save the picture in it as a PNG"),
    re.compile(rb"\s*<(\?xml|svg)"): ("is a drawing (SVG)", "save it as a PNG"),
    re.compile(rb"\x00\x05\x16\x07"): ("is a note of macOS", "take it out"),
    re.compile(rb"version https:/"): (
        "is a pointer of Git LFS, not the picture",
        "run `git lfs pull`",
    ),
}
"""What else people have, by how it begins: what it is, and what to do."""

_T = TypeVar("_T")

_START = 16
"""Bytes by which a codec knows its files."""

_MOST_BYTES = 2**30
"""Of a file: it is read whole, before its size in pixels is known."""


def read_image(
    path: Path,
    *,
    codecs: Collection[str] | None = None,
    claim: Claim = at_once,
) -> np.ndarray:
    """Reads one picture from a file of one of the `CODECS`.

    The codec is told by the content, not by the suffix. EXIF orientation is applied.
    Palettes become RGB, or RGBA if any entry is transparent; a transparent colour
    becomes an alpha channel; CMYK, YCbCr and LAB become RGB; bilevel becomes grey.

    Args:
      path: Path of the file; a link is followed.
      codecs: Names of the codecs that are read, among `CODECS`; None for all.
      claim: Asks for the room that decoding takes.

    Returns:
      A (H, W, C) array, contiguous and writable: uint16 if the file has 16 bit
      samples, else uint8. C is 1 for grey, 2 for grey and alpha, 3 for RGB, 4 for
      RGBA.

    Raises:
      ImageError: The file is missing, unreadable, empty, no image, damaged,
        truncated, animated or multi-page, has samples of another kind (float,
        signed, 32 bit), or has more than `MAX_PIXELS` pixels.
    """
    data = _named(str(path), lambda: _read_bytes(path, codecs))
    return decode_image(data, str(path), codecs=codecs, claim=claim)


def decode_image(
    data: bytes,
    name: str,
    *,
    codecs: Collection[str] | None = None,
    claim: Claim = at_once,
) -> np.ndarray:
    """Decodes the content of an image file, as `read_image` does.

    Args:
      data: Bytes of the file.
      name: Name of the image in complaints.
      codecs: As of `read_image`.
      claim: As of `read_image`.

    Returns:
      As `read_image`.

    Raises:
      ImageError: As `read_image`, but for what concerns reading files.
    """
    return _named(name, lambda: _decode(data, codecs, claim))


def read_small(
    path: Path,
    enough: int,
    *,
    codecs: Collection[str] | None = None,
    claim: Claim = at_once,
) -> Small:
    """Reads one picture at a fraction of its size, where that is cheaper.

    Args:
      path: As of `read_image`.
      enough: Longer side in pixels that is enough.
      codecs: As of `read_image`.
      claim: As of `read_image`; room for the whole image is asked for.

    Returns:
      A picture, with the size of the whole one; that one where nothing is saved.

    Raises:
      ImageError: As `read_image`.
    """
    data = _named(str(path), lambda: _read_bytes(path, codecs))
    return decode_small(data, str(path), enough, codecs=codecs, claim=claim)


def decode_small(
    data: bytes,
    name: str,
    enough: int,
    *,
    codecs: Collection[str] | None = None,
    claim: Claim = at_once,
) -> Small:
    """Decodes the content of an image file, as `read_small` does.

    Args:
      data: Bytes of the file.
      name: Name of the image in complaints.
      enough: As of `read_small`.
      codecs: As of `read_small`.
      claim: As of `read_small`.

    Returns:
      As `read_small`.

    Raises:
      ImageError: As `read_small`, but for what concerns reading files.
    """

    def decode() -> Small:
        small = _codec_of(data[:_START], codecs).decode_small
        if small is not None:
            return small(data, claim, enough)
        image = _decode(data, codecs, claim)
        return Small(image, *image.shape[:2])

    return _named(name, decode)


def read_orientation(path: Path) -> int:
    """Tells how a file says that its pixels are to be turned, as `read_image` does.

    Args:
      path: Path of a file that `read_image` has read.

    Returns:
      The orientation of EXIF: 1 for upright pixels, up to 8.

    Raises:
      ImageError: As `read_image`.
    """

    def find() -> int:
        data = _read_bytes(path, None)
        orientation = _codec_of(data[:_START], None).orientation
        said = None if orientation is None else orientation(data)
        return said if isinstance(said, int) and 1 <= said <= 8 else 1

    return _named(str(path), find)


def _named(name: str, work: Callable[[], _T]) -> _T:
    """Gives what some work gives; its complaints name the image."""
    try:
        return work()
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


def _read_bytes(path: Path, codecs: Collection[str] | None) -> bytes:
    """Reads a file whole, so that all decoders and checks see the same bytes."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise Refusal("is a folder", "name an image file in it")
        # Opening a pipe would wait for ever, and /dev/zero never ends.
        if not stat.S_ISREG(status.st_mode):
            raise Refusal("is no ordinary file", "name an image file")
        with path.open("rb") as file:
            start = file.read(_START)
            if not start:
                raise Refusal("is empty (0 bytes)", COPY_AGAIN)
            # Before the rest: it may be a huge file of another kind.
            _codec_of(start, codecs)
            _check_length(status.st_size)
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


def check_length(data: bytes) -> None:
    """Refuses the bytes of a file that are more than will be read.

    Raises:
      ImageError: They are.
    """
    _named("an image", lambda: _check_length(len(data)))


def _check_length(length: int) -> None:
    if length > _MOST_BYTES:
        raise Refusal(
            f"has {length} bytes, over the limit of {_MOST_BYTES}",
            "scale it down or cut it up",
        )


def looks_like_image(path: Path) -> bool:
    """Tells whether a file begins as an image does, or cannot be asked."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return False
        with path.open("rb") as file:
            start = file.read(_START)
    except OSError:
        return True
    return any(codec.magic.match(start) for codec in CODECS.values())


def _codec_of(start: bytes, codecs: Collection[str] | None) -> Codec:
    """Finds the codec of a file that begins with `start`."""
    for codec in CODECS.values():
        if codec.magic.match(start):
            break
    else:
        *titles, last = (codec.title for codec in CODECS.values())
        for what, mend in _OTHERS.items():
            if what.match(start):
                raise Refusal(*mend)
        raise Refusal(
            f"is not a {', '.join(titles)} or {last} image", f"{TO_PNG} or take it out"
        )
    if codecs is not None and codec.name not in codecs:
        raise Refusal(
            f"is {codec.name}, where only {' or '.join(sorted(codecs))} can be",
            "use the file as it was written",
        )
    return codec


def _decode(data: bytes, codecs: Collection[str] | None, claim: Claim) -> np.ndarray:
    codec = _codec_of(data[:_START], codecs)
    return np.ascontiguousarray(codec.decode(data, claim))

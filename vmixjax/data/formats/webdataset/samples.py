"""One sample of a tar file: its members, and what they say."""

import tarfile
from collections.abc import Collection, Iterable, Mapping
from typing import BinaryIO

from vmixjax.data.example import Field, Label
from vmixjax.data.formats.webdataset.names import parse
from vmixjax.errors import ImageError

IMAGES = {
    "png",
    "jpg",
    "jpeg",
    "webp",
    "bmp",
    "tif",
    "tiff",
    "gif",
    "heic",
    "heif",
    "avif",
}
"""Suffixes of images."""

LABEL = "cls"
"""Suffix of what holds the number of a class."""

_MOST = 2**63
"""Numbers of classes have 64 bits."""

_MOST_BYTES = 2**30
"""Of all members of a sample."""


def read_sample(
    following: Iterable[tarfile.TarInfo],
    content: BinaryIO,
    where: str,
    unwanted: Collection[str] = (),
) -> tuple[str, dict[str, bytes]]:
    """Reads the sample that a tar file goes on with.

    Args:
      following: The members from where it begins, as of `walk`.
      content: The file, to read them from.
      where: What the file is called in complaints.
      unwanted: Members that are passed over.

    Returns:
      Its key and its members.

    Raises:
      ImageError: It is not fit to be read.
      ValueError: Nothing is, from there on.
    """
    members: dict[str, bytes] = {}
    sample: str | None = None
    left = _MOST_BYTES
    for member in following:
        if member.isdir():
            continue
        key, suffix = parse(member.name)
        if sample is not None and key != sample:
            break
        sample = key
        if not member.isfile():
            raise ImageError(
                f"{where}: {member.name} is a link, or no file; store files in its "
                f"place, as tar --dereference --hard-dereference does"
            )
        left -= member.size
        if left < 0:
            raise ImageError(
                f"{where}: {key} has more than {_MOST_BYTES} bytes; cut it up"
            )
        if suffix in unwanted:
            continue
        if suffix in members:
            raise ImageError(
                f"{where}: {key} has two members .{suffix}; give one another name, or "
                f"take it out"
            )
        content.seek(member.offset_data)
        members[suffix] = content.read(member.size)
    return sample or "", members


def values_of(
    where: str, members: Mapping[str, bytes], fields: Mapping[str, Field]
) -> Mapping[str, int | str]:
    """Gives what the members of a sample have for each field.

    Raises:
      ImageError: They have nothing, or nothing that it can have.
    """
    values: dict[str, int | str] = {}
    for name, field in fields.items():
        try:
            text = members[name].decode("utf-8", "surrogateescape")
            values[name] = _class(text) if isinstance(field, Label) else text
        except KeyError as error:
            raise ImageError(
                f"{where} has no .{name}; add it, or drop all with --drop {name}"
            ) from error
        except ValueError as error:
            raise ImageError(
                f"{where} has a .{name} that is no number of a class, which has 64 "
                f"bits; mend it, or drop all with --drop {name}"
            ) from error
    return values


def image_of(where: str, members: Mapping[str, bytes], kinds: Collection[str]) -> bytes:
    """Gives the image file of a sample, which has one of some suffixes.

    Raises:
      ImageError: It has none, or several.
    """
    images = sorted(set(kinds) & set(members))
    if not images:
        raise ImageError(
            f"{where} has no image, but {', '.join(sorted(members)) or 'nothing'}; add "
            f"one, or take the sample out"
        )
    if len(images) > 1:
        raise ImageError(
            f"{where} has several images, {', '.join(images)}; choose one, as by "
            f"--image {images[0]} --drop {' '.join(images[1:])}"
        )
    return members[images[0]]


def _class(text: str) -> int:
    number = int(text)
    if not -_MOST <= number < _MOST:
        raise ValueError(f"{number} is no number of a class")
    return number

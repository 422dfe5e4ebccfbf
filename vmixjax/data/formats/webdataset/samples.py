"""One sample of a tar file: its members, and what they say."""

import tarfile
from collections.abc import Collection, Iterable, Mapping
from typing import Any, BinaryIO

from vmixjax.data.arrays import parse_npy
from vmixjax.data.example import Field, Label, Probabilities
from vmixjax.data.formats.webdataset.names import parse
from vmixjax.data.probabilities import SOFT_LABEL, check_probabilities
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

SOFT_LABEL_FILE = f"{SOFT_LABEL}.npy"
"""Suffix of what holds probabilities of classes, as a NumPy array."""

_MOST = 2**63
"""Numbers of classes have 64 bits."""

_MOST_BYTES = 2**30
"""Of all members of a sample."""


def parse_member(name: str) -> tuple[str, str]:
    """Gives the key of the sample that a member is of, and the field that it holds."""
    key, suffix = parse(name)
    return key, SOFT_LABEL if suffix == SOFT_LABEL_FILE else suffix


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
        key, suffix = parse_member(member.name)
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
) -> Mapping[str, Any]:
    """Gives what the members of a sample have for each field.

    Raises:
      ImageError: They have nothing, or nothing that it can have.
    """
    values: dict[str, Any] = {}
    for name, field in fields.items():
        try:
            values[name] = _value(members[name], field)
        except KeyError as error:
            raise ImageError(
                f"{where} has no .{name}; add it, or drop all with --drop {name}"
            ) from error
        except ValueError as error:
            what = "number of a class, which has 64 bits"
            if isinstance(field, Probabilities):
                what = f"probabilities of {field.count} classes, a float32 array"
            raise ImageError(
                f"{where} has a .{name} that is no {what}; mend it, or drop all with "
                f"--drop {name}"
            ) from error
    return values


def count_classes(where: str, members: Mapping[str, bytes]) -> int:
    """Tells of how many classes a sample has probabilities.

    Raises:
      ImageError: It has none.
    """
    try:
        return int(parse_npy(members[SOFT_LABEL]).size)
    except (KeyError, ValueError) as error:
        raise ImageError(
            f"{where} has no .{SOFT_LABEL_FILE}, or one that is no NumPy array; mend "
            f"it, or drop all with --drop {SOFT_LABEL}"
        ) from error


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


def _value(content: bytes, field: Field) -> Any:
    if isinstance(field, Probabilities):
        return check_probabilities(parse_npy(content), field.count)
    text = content.decode("utf-8", "surrogateescape")
    return _class(text) if isinstance(field, Label) else text


def _class(text: str) -> int:
    number = int(text)
    if not -_MOST <= number < _MOST:
        raise ValueError(f"{number} is no number of a class")
    return number

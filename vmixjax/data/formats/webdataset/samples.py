"""One sample of a tar file: its members, and what they say."""

import tarfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, BinaryIO

from vmixjax.data.arrays import encode_npy, parse_npy
from vmixjax.data.codecs.png import PNG, png_extras
from vmixjax.data.example import Field, Label, Probabilities
from vmixjax.data.formats.webdataset.names import parse
from vmixjax.data.mask_files import decode_mask
from vmixjax.data.masks import Mask, names_mask
from vmixjax.data.objects import OBJECTS, Objects
from vmixjax.data.objects_json import encode_objects, parse_objects
from vmixjax.data.placed import check_placed
from vmixjax.data.probabilities import SOFT_LABEL, check_probabilities
from vmixjax.data.room import MAX_PIXELS
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

OBJECTS_FILE = f"{OBJECTS}.json"
"""Suffix of what holds boxes of objects; see `data.objects_json`."""

_MASK = ".png"
"""How the suffix of what holds a mask ends, behind its name."""

_FIELDS = {SOFT_LABEL_FILE: SOFT_LABEL, OBJECTS_FILE: OBJECTS}
"""Suffixes of what is called otherwise in all data sets."""

_MOST = 2**63
"""Numbers of classes have 64 bits."""

_MOST_BYTES = 2**30
"""Of all members of a sample."""


def parse_member(name: str) -> tuple[str, str]:
    """Gives the key of the sample that a member is of, and the field that it holds."""
    key, suffix = parse(name)
    return key, _FIELDS.get(suffix, suffix)


def mask_suffix(field: str) -> str:
    """Gives the suffix of what holds a mask."""
    return f"{field}{_MASK}"


def mask_name(suffix: str) -> str | None:
    """Gives the name of the mask that a suffix is of; None where it is of none."""
    name = suffix.removesuffix(_MASK)
    return name if name != suffix and names_mask(name) else None


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
    where: str,
    members: Mapping[str, bytes],
    fields: Mapping[str, Field],
    size: tuple[int, int] | None = None,
) -> Mapping[str, Any]:
    """Gives what the members of a sample have for each field.

    Args:
      where: What the sample is called in complaints.
      members: Its members.
      fields: What is wanted of them.
      size: Height and width of the image, where they are known.

    Raises:
      ImageError: They have nothing, or nothing that it can have.
    """
    values: dict[str, Any] = {}
    for name, field in fields.items():
        suffix = mask_suffix(name) if isinstance(field, Mask) else name
        try:
            content = members[suffix]
        except KeyError as error:
            raise ImageError(
                f"{where} has no .{suffix}; add it, or drop all with --drop {name}"
            ) from error
        try:
            values[name] = _value(content, field, f"{where}.{suffix}", size)
        except ImageError:
            raise
        except ValueError as error:
            raise ImageError(
                f"{where} has a .{name} that is no {_what(field)}; mend it, or drop "
                f"all with --drop {name}"
            ) from error
    check_placed(fields, values, where, size)
    return values


def extras_in(
    members: Mapping[str, bytes], fields: Mapping[str, Field]
) -> Iterator[str]:
    """Says in words what members that hold fields carry beyond these."""
    for name, field in fields.items():
        if isinstance(field, Probabilities):
            content = members[name]
            if encode_npy(parse_npy(content)) != content:
                yield f"more than numbers in .{SOFT_LABEL_FILE}"
        elif isinstance(field, Objects):
            content = members[name]
            if encode_objects(*parse_objects(content)) != content:
                yield f"more than boxes in .{OBJECTS_FILE}"
        elif isinstance(field, Mask):
            extras = png_extras(members[mask_suffix(name)])
            yield from (f"{what} in .{mask_suffix(name)}" for what in extras)


def objects_in(members: Mapping[str, bytes]) -> Objects | None:
    """Tells what a sample knows of its objects; None where it says that otherwise."""
    try:
        return parse_objects(members[OBJECTS])[0]
    except (KeyError, ValueError):
        return None


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


def _what(field: Field) -> str:
    if isinstance(field, Probabilities):
        return f"probabilities of {field.count} classes, a float32 array"
    if isinstance(field, Objects):
        return "JSON of boxes, of the same classes as all others"
    return "number of a class, which has 64 bits"


def _value(
    content: bytes, field: Field, where: str, size: tuple[int, int] | None
) -> Any:
    if isinstance(field, Objects):
        found, boxes = parse_objects(content)
        if found != field:
            raise ValueError("is of other classes")
        return boxes
    if isinstance(field, Mask):
        most = MAX_PIXELS if size is None else size[0] * size[1]
        return decode_mask(content, where, codecs={PNG.name}, most=most)
    if isinstance(field, Probabilities):
        return check_probabilities(parse_npy(content), field.count)
    text = content.decode("utf-8", "surrogateescape")
    return _class(text) if isinstance(field, Label) else text


def _class(text: str) -> int:
    number = int(text)
    if not -_MOST <= number < _MOST:
        raise ValueError(f"{number} is no number of a class")
    return number

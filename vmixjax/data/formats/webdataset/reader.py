"""A WebDataset: tar files of samples, each some files that differ in the suffix."""

import array
import tarfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from vmixjax.data.codecs.codec import Small
from vmixjax.data.codecs.images import decode_image, decode_small
from vmixjax.data.codecs.png import png_extras
from vmixjax.data.example import (
    Example,
    Field,
    Label,
    Pixels,
    Source,
    Text,
)
from vmixjax.data.formats.format import SourceOptions, existing
from vmixjax.data.formats.webdataset.names import name_of, parse
from vmixjax.data.formats.webdataset.tar import loose, open_tar, walk
from vmixjax.data.room import Claim, at_once
from vmixjax.errors import ImageError, RunError

IMAGES = {"png", "jpg", "jpeg", "webp", "bmp", "tif", "tiff", "gif"}
LABEL, _TEXT = "cls", "txt"
_MOST = 2**63
"""Numbers of classes have 64 bits."""

_MOST_BYTES = 2**30
"""Of all members of a sample."""


class WebDatasetSource(Source):
    """Reads samples of tar files, in their order.

    Memory holds where in its file each sample begins, and nothing else.

    Args:
      name: Path of a tar file, of a list of them, or of a folder of them.
      options: What is wanted of it: fields are suffixes of members; those other than
        cls and txt are let through as text.

    Raises:
      RunError: It is not there, a file is no tar, two samples have the same key, a
        sample has no image or several, or members that may show what the image shows.
    """

    name = "mixed"
    pixels: Pixels | None = None

    def __init__(self, name: str, options: SourceOptions) -> None:
        tars = list_tars(existing(name))
        if not tars:
            raise RunError(f"SRC {name} is no tar file, nor a list or folder of them")
        self._tars = tuple(tars)
        self._codecs = options.codecs
        self.places: Sequence[Path] = self._tars
        self._drop = frozenset(options.drop)
        self._starts = [array.array("q") for _ in tars]
        suffixes: set[str] = set()
        seen: set[int] = set()
        for tar, starts in zip(tars, self._starts, strict=True):
            previous = None
            for member in _members(tar):
                key, suffix = parse(member.name)
                if key != previous:
                    if hash(key) in seen:
                        raise RunError(
                            f"two samples in SRC have the key {key!r}; rename one"
                        )
                    seen.add(hash(key))
                    starts.append(member.offset)
                    previous = key
                suffixes.add(suffix)
        if not seen:
            raise RunError(f"SRC {tars[0]} holds no samples")
        there = f"the samples have {', '.join(sorted(suffixes))}"
        options.check_fields(suffixes, there)
        keep = options.keep
        fields: dict[str, Field] = {}
        for suffix in sorted(suffixes - IMAGES - self._drop):
            if suffix == LABEL:
                fields[suffix] = Label()
            elif suffix == _TEXT or keep is None or suffix in keep:
                fields[suffix] = Text()
            else:
                raise RunError(
                    f"the samples have members .{suffix}, which may show what the "
                    f"images show: leave them behind with --drop {suffix}, or let them "
                    f"through with --keep {suffix}"
                )
        self.fields: Mapping[str, Field] = fields
        self.splits: Mapping[str, int] = {"train": sum(map(len, self._starts))}

    def read(self, split: str, index: int, claim: Claim = at_once) -> Example:
        del split
        path, key, members = self._sample(index)
        where = f"{path}: {key}"
        content = image_of(where, members)
        values = self._values(where, members)
        return Example(
            name=key,
            folder=str(values.get(LABEL, "")),
            stem=name_of(key),
            image=decode_image(content, where, codecs=self._codecs, claim=claim),
            values=values,
        )

    def look(
        self, split: str, index: int, enough: int, claim: Claim = at_once
    ) -> Small:
        del split
        path, key, members = self._sample(index)
        where = f"{path}: {key}"
        content = image_of(where, members)
        return decode_small(content, where, enough, codecs=self._codecs, claim=claim)

    def values(self, split: str, index: int) -> Mapping[str, int | str]:
        del split
        path, key, members = self._sample(index, IMAGES)
        return self._values(f"{path}: {key}", members)

    def extras(self, split: str, index: int) -> Iterator[str]:
        """Members that are declared are checked elsewhere."""
        del split
        _, _, members = self._sample(index)
        for suffix in sorted(IMAGES & set(members)):
            yield from png_extras(members[suffix])

    def loose(self) -> Iterator[str]:
        """Owners, times, other members, and what lies between."""
        for tar in self._tars:
            for what in loose(tar):
                yield f"{tar.name}: {what}"

    def traces(self) -> Iterator[str]:
        """They are sizes of files, and their samples."""
        for tar, starts in zip(self._tars, self._starts, strict=True):
            yield f"{tar.name}\0{tar.stat().st_size}\0{len(starts)}"

    def _values(
        self, where: str, members: Mapping[str, bytes]
    ) -> Mapping[str, int | str]:
        return values_of(where, members, self.fields)

    def _sample(
        self, index: int, unwanted: Collection[str] = ()
    ) -> tuple[Path, str, dict[str, bytes]]:
        """Where a sample is, its key, and those of its members that are wanted."""
        tar = 0
        while index >= len(self._starts[tar]):
            index -= len(self._starts[tar])
            tar += 1
        path = self._tars[tar]
        unwanted = self._drop.union(unwanted)
        return path, *_sample(path, self._starts[tar][index], unwanted)


def list_tars(path: Path) -> list[Path]:
    """Lists the tar files that a path names; none if it is something else.

    Raises:
      RunError: A list names a file that is not there.
    """
    if path.is_dir():
        files = [p for p in sorted(path.iterdir()) if not p.name.startswith(".")]
        files = [p for p in files if p.is_file() and p.suffix != ".json"]
        only = [p for p in files if p.suffix == ".tar"]
        return only if len(only) == len(files) else []
    if path.suffix == ".tar":
        return [path]
    if path.suffix != ".txt":
        return []
    lines = path.read_text(errors="surrogateescape").splitlines()
    tars = [path.parent / line.strip() for line in lines if line.strip()]
    for tar in tars:
        if tar.suffix != ".tar" or not tar.is_file():
            raise RunError(f"SRC {path} lists {tar}, which is no tar file there")
    return tars


def read_sample(
    file: BinaryIO, content: BinaryIO, where: str, unwanted: Collection[str] = ()
) -> tuple[str, dict[str, bytes]]:
    """Reads the sample that a tar file goes on with.

    Args:
      file: The file, where the sample begins.
      content: The same once more.
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
    for member in walk(file):
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
        except (KeyError, ValueError) as error:
            raise ImageError(
                f"{where} has no .{name} that can be read; mend it, or drop all "
                f"with --drop {name}"
            ) from error
    return values


def image_of(where: str, members: Mapping[str, bytes]) -> bytes:
    """The image file of a sample, which has one."""
    images = sorted(IMAGES & set(members))
    if len(images) != 1:
        raise ImageError(
            f"{where} has {len(images)} images; it needs one, and others dropped "
            f"with --drop SUFFIX"
        )
    return members[images[0]]


def _members(path: Path) -> Iterator[tarfile.TarInfo]:
    """Each member that is no folder."""
    try:
        with open_tar(path) as file:
            for member in walk(file):
                if not member.isdir():
                    yield member
    except ValueError as error:
        raise RunError(f"{path} is no whole tar file; copy it again") from error


def _class(text: str) -> int:
    number = int(text)
    if not -_MOST <= number < _MOST:
        raise ValueError(f"{number} is no number of a class")
    return number


def _sample(
    path: Path, start: int, unwanted: Collection[str]
) -> tuple[str, dict[str, bytes]]:
    """The key and the members of the sample that begins at a place in a file."""
    try:
        with open_tar(path) as file, open_tar(path) as content:
            file.seek(start)
            return read_sample(file, content, str(path), unwanted)
    except FileNotFoundError as error:
        raise RunError(
            f"{path} was there and is gone; bring it back and run again"
        ) from error
    except ImageError:
        raise
    except ValueError as error:
        raise RunError(f"{path} has changed; bring it back and run again") from error

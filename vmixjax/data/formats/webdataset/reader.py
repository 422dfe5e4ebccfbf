"""A WebDataset: tar files of samples, each some files that differ in the suffix."""

import array
import re
import tarfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

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
from vmixjax.data.formats.webdataset.tar import loose, open_tar, walk
from vmixjax.data.room import Claim, at_once
from vmixjax.data.splits import split_of_file
from vmixjax.errors import ImageError, RunError

_IMAGES = {"png", "jpg", "jpeg", "webp", "bmp", "tif", "tiff", "gif"}
_LABEL, _TEXT = "cls", "txt"
_MOST = 2**63
"""Numbers of classes have 64 bits."""

_MOST_BYTES = 2**30
"""Of all members of a sample."""


class WebDatasetSource(Source):
    """Reads samples of tar files, in their order; names of files tell their splits.

    Memory holds where in its file each sample begins, and nothing else.

    Args:
      name: Path of a tar file, of a list of them, or of a folder of them.
      options: What is wanted of it: fields are suffixes of members; those other than
        cls and txt are let through as text.

    Raises:
      RunError: It is not there, a file is no tar, two samples have the same key, a
        sample has no image or several, or members that may show what the image shows;
        or names of files leave it open which split they are of.
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
        self._released = options.released
        self._starts = [array.array("q") for _ in tars]
        suffixes: set[str] = set()
        seen: set[int] = set()
        split_of = _splits(name, tars, released=options.released)
        for tar, split, starts in zip(tars, split_of, self._starts, strict=True):
            previous = None
            for member in _members(tar):
                key, suffix = _key(member.name)
                if key != previous:
                    if hash((split, key)) in seen:
                        raise RunError(
                            f"two samples in SRC have the key {key!r}; rename one"
                        )
                    seen.add(hash((split, key)))
                    starts.append(member.offset)
                    previous = key
                suffixes.add(suffix)
        if not seen:
            raise RunError(f"SRC {tars[0]} holds no samples")
        there = f"the samples have {', '.join(sorted(suffixes))}"
        options.check_fields(suffixes, there)
        keep = options.keep
        fields: dict[str, Field] = {}
        for suffix in sorted(suffixes - _IMAGES - self._drop):
            if suffix == _LABEL:
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
        # Where in the list each tar of a split is.
        self._tars_of = {
            split: [n for n, of in enumerate(split_of) if of == split]
            for split in dict.fromkeys(split_of)
        }
        self.splits: Mapping[str, int] = {
            split: sum(len(self._starts[number]) for number in numbers)
            for split, numbers in self._tars_of.items()
        }

    def read(self, split: str, index: int, claim: Claim = at_once) -> Example:
        path, key, members = self._sample(split, index)
        where = f"{path}: {key}"
        content = _image(where, members)
        values = self._values(where, members)
        folder, name = str(values.get(_LABEL, "")), key
        if len(self._tars_of) > 1:
            # Another split may have the same key.
            folder = f"{split}/{folder}".removesuffix("/")
            name = key if self._released else f"{split}/{key}"
        return Example(
            name=name,
            folder=folder,
            stem=key,
            image=decode_image(content, where, codecs=self._codecs, claim=claim),
            values=values,
        )

    def look(
        self, split: str, index: int, enough: int, claim: Claim = at_once
    ) -> Small:
        path, key, members = self._sample(split, index)
        where = f"{path}: {key}"
        content = _image(where, members)
        return decode_small(content, where, enough, codecs=self._codecs, claim=claim)

    def values(self, split: str, index: int) -> Mapping[str, int | str]:
        path, key, members = self._sample(split, index, _IMAGES)
        return self._values(f"{path}: {key}", members)

    def extras(self, split: str, index: int) -> Iterator[str]:
        """Members that are declared are checked elsewhere."""
        _, _, members = self._sample(split, index)
        for suffix in sorted(_IMAGES & set(members)):
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
        """What the members of a sample have for each field."""
        values: dict[str, int | str] = {}
        for name, field in self.fields.items():
            try:
                text = members[name].decode()
                values[name] = _class(text) if isinstance(field, Label) else text
            except KeyError as error:
                raise ImageError(
                    f"{where} has no .{name}; add it, or drop all with --drop {name}"
                ) from error
            except ValueError as error:
                is_class = isinstance(field, Label)
                what = "number of a class, which has 64 bits" if is_class else "text"
                raise ImageError(
                    f"{where} has a .{name} that is no {what}; mend it, or drop all "
                    f"with --drop {name}"
                ) from error
        return values

    def _sample(
        self, split: str, index: int, unwanted: Collection[str] = ()
    ) -> tuple[Path, str, dict[str, bytes]]:
        """Where a sample is, its key, and those of its members that are wanted."""
        for tar in self._tars_of[split]:
            if index < len(self._starts[tar]):
                break
            index -= len(self._starts[tar])
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


def _splits(name: str, tars: Sequence[Path], *, released: bool) -> list[str]:
    """The split that each tar file is of: where none says so, of the one there is.

    Raises:
      RunError: Some say so, and others do not.
    """
    if released:
        # As `Shard.name` has it.
        ours = [re.fullmatch(r"(.+)-\d{6}", tar.stem) for tar in tars]
        return [match[1] if match else "train" for match in ours]
    splits = [split_of_file(tar.stem) for tar in tars]
    if None not in splits:
        return [split for split in splits if split]
    for tar, split in zip(tars, splits, strict=True):
        if split:
            other = tars[splits.index(None)]
            raise RunError(
                f"SRC {name} has {tar.name}, which is called as the split {split}, and "
                f"{other.name}, which is not: name the tar files of one in a list, "
                f"a .txt file, or rename them"
            )
    return ["train"] * len(tars)


def _image(where: str, members: Mapping[str, bytes]) -> bytes:
    """The image file of a sample, which has one."""
    images = sorted(_IMAGES & set(members))
    if len(images) != 1:
        raise ImageError(
            f"{where} has {len(images)} images; it needs one, and others dropped "
            f"with --drop SUFFIX"
        )
    return members[images[0]]


def _members(path: Path) -> Iterator[tarfile.TarInfo]:
    """Each ordinary member."""
    try:
        with open_tar(path) as file:
            for member in walk(file):
                if member.isfile():
                    yield member
    except ValueError as error:
        raise RunError(f"{path} is no whole tar file; copy it again") from error


def _class(text: str) -> int:
    number = int(text)
    if not -_MOST <= number < _MOST:
        raise ValueError(f"{number} is no number of a class")
    return number


def _key(name: str) -> tuple[str, str]:
    """A sample's key is all up to the first dot of the file's own name."""
    path = PurePosixPath(name)
    stem, _, suffix = path.name.partition(".")
    return (path.parent / stem).as_posix(), suffix.lower()


def _sample(
    path: Path, start: int, unwanted: Collection[str]
) -> tuple[str, dict[str, bytes]]:
    """The key and the members of the sample that begins at a place in a file."""
    members: dict[str, bytes] = {}
    sample: str | None = None
    left = _MOST_BYTES
    try:
        with open_tar(path) as file, open_tar(path) as content:
            file.seek(start)
            for member in walk(file):
                if not member.isfile():
                    continue
                key, suffix = _key(member.name)
                if sample is not None and key != sample:
                    break
                left -= member.size
                if left < 0:
                    raise ImageError(
                        f"{path}: {key} has more than {_MOST_BYTES} bytes; cut it up"
                    )
                sample = key
                if suffix not in unwanted:
                    content.seek(member.offset_data)
                    members[suffix] = content.read(member.size)
    except FileNotFoundError as error:
        raise RunError(
            f"{path} was there and is gone; bring it back and run again"
        ) from error
    except ImageError:
        raise
    except ValueError as error:
        raise RunError(f"{path} has changed; bring it back and run again") from error
    return sample or "", members

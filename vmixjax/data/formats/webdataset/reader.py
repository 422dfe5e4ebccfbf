"""A WebDataset: tar files of samples, each some files that differ in the suffix."""

import array
import contextlib
import os
import tarfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from vmixjax.data.codecs.codec import Small
from vmixjax.data.codecs.images import decode_image, decode_small
from vmixjax.data.codecs.png import png_extras
from vmixjax.data.example import (
    Example,
    Field,
    Label,
    Pixels,
    Probabilities,
    Source,
    Text,
    Trace,
)
from vmixjax.data.formats.format import SourceOptions, existing
from vmixjax.data.formats.webdataset.finding import list_tars, splits_of, unsorted
from vmixjax.data.formats.webdataset.inflated import is_gzipped
from vmixjax.data.formats.webdataset.names import name_of
from vmixjax.data.formats.webdataset.samples import (
    IMAGES,
    LABEL,
    count_classes,
    extras_in,
    image_of,
    mask_name,
    objects_in,
    parse_member,
    read_sample,
    values_of,
)
from vmixjax.data.formats.webdataset.tar import loose, open_tar, walk
from vmixjax.data.mask_files import cells_of
from vmixjax.data.masks import Mask
from vmixjax.data.objects import OBJECTS
from vmixjax.data.probabilities import SOFT_LABEL
from vmixjax.data.room import Claim, at_once
from vmixjax.errors import ImageError, RunError

_TEXT = "txt"


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
        place = existing(name)
        self._base = place if place.is_dir() else place.parent
        tars = list_tars(place)
        if options.codecs is not None:
            # A release holds none that are gzipped, and others may inflate to much.
            tars = [tar for tar in tars if not is_gzipped(tar)]
        if not tars:
            raise RunError(f"SRC {name} is no tar file, nor a list or folder of them")
        self._tars = tuple(tars)
        self._codecs = options.codecs
        self.places: Sequence[Path] = self._tars
        self._released = options.released
        self._starts = [array.array("q") for _ in tars]
        self._split_of = splits_of(name, tars, released=options.released)
        suffixes = self._find_samples()
        if not suffixes:
            raise RunError(f"SRC {tars[0]} holds no samples")
        there = f"the samples have {', '.join(sorted(suffixes))}"
        masks = {
            mask: suffix
            for suffix in suffixes - {options.image or ""}
            if (mask := mask_name(suffix)) is not None
        }
        options.check_fields({*suffixes, *masks}, there)
        keep = options.keep
        self._drop = frozenset(masks.get(one, one) for one in options.drop)
        self._images = _chosen(suffixes - self._drop, options, there)
        left = suffixes - self._images - self._drop
        first = self._first()
        fields: dict[str, Field] = {}
        for suffix in sorted(left):
            if suffix in masks.values():
                fields[mask_name(suffix) or suffix] = Mask(
                    cells=self._cells(first, suffix)
                )
            elif suffix == OBJECTS and (objects := objects_in(first[1])) is not None:
                fields[suffix] = objects
            elif suffix == LABEL:
                fields[suffix] = Label()
            elif suffix == SOFT_LABEL:
                fields[suffix] = Probabilities(_count_classes(*first))
            elif keep is None or (
                not _is_image(suffix) and (suffix == _TEXT or suffix in keep)
            ):
                fields[suffix] = Text()
            else:
                through = f", or let them through with --keep {suffix}"
                raise RunError(
                    f"the samples have members .{suffix}, which may show what the "
                    f"images show: leave them behind with --drop {suffix}"
                    f"{'' if _is_image(suffix) else through}"
                )
        self.fields: Mapping[str, Field] = fields
        # Where in the list each tar of a split is.
        self._tars_of = {
            split: [n for n, of in enumerate(self._split_of) if of == split]
            for split in dict.fromkeys(self._split_of)
        }
        self.splits: Mapping[str, int] = {
            split: sum(len(self._starts[number]) for number in numbers)
            for split, numbers in self._tars_of.items()
        }

    def _find_samples(self) -> set[str]:
        """Notes where each sample begins; gives the suffixes of all members."""
        suffixes: set[str] = set()
        seen: set[int] = set()
        for tar, split, starts in zip(
            self._tars, self._split_of, self._starts, strict=True
        ):
            previous, here = None, set()
            for member in _members(tar):
                key, suffix = parse_member(member.name)
                if key != previous:
                    mark = hash((split, key))
                    if mark in here:
                        raise unsorted(tar, key)
                    if mark in seen:
                        raise RunError(
                            f"SRC has another sample with the key {key!r} in {tar}: "
                            f"rename one, or name the tar files one by one"
                        )
                    here.add(mark)
                    starts.append(member.offset)
                    previous = key
                suffixes.add(suffix)
            seen |= here
        return suffixes

    def read(self, split: str, index: int, claim: Claim = at_once) -> Example:
        path, key, members = self._sample(split, index)
        where = f"{path}: {key}"
        content = image_of(where, members, self._images)
        image = decode_image(content, where, codecs=self._codecs, claim=claim)
        size = image.shape[0], image.shape[1]
        values = values_of(where, members, self.fields, size)
        folder = str(values.get(LABEL, ""))
        if len(self._tars_of) > 1:
            folder = f"{split}/{folder}".removesuffix("/")
        return Example(
            name=self._called(split, key),
            folder=folder,
            stem=name_of(key),
            image=image,
            values=values,
        )

    def look(
        self, split: str, index: int, enough: int, claim: Claim = at_once
    ) -> Small:
        path, key, members = self._sample(split, index)
        where = f"{path}: {key}"
        content = image_of(where, members, self._images)
        return decode_small(content, where, enough, codecs=self._codecs, claim=claim)

    def name_of(self, split: str, index: int) -> str:
        path, start = self._place(split, index)
        with _opened(path, start) as file:
            for member in walk(file):
                if not member.isdir():
                    return self._called(split, parse_member(member.name)[0])
        raise _changed(path)

    def values(self, split: str, index: int) -> Mapping[str, Any]:
        path, key, members = self._sample(split, index, self._images)
        return values_of(f"{path}: {key}", members, self.fields)

    def extras(self, split: str, index: int) -> Iterator[str]:
        """Members that are declared are checked elsewhere."""
        _, _, members = self._sample(split, index)
        for suffix in sorted(self._images & set(members)):
            yield from png_extras(members[suffix])
        yield from extras_in(members, self.fields)

    def loose(self) -> Iterator[str]:
        """Owners, times, other members, and what lies between."""
        for tar in self._tars:
            for what in loose(tar):
                yield f"{tar.name}: {what}"

    def traces(self) -> Iterator[Trace]:
        """They are the tar files."""
        for split, numbers in self._tars_of.items():
            stop = 0
            for number in numbers:
                tar, start = self._tars[number], stop
                stop += len(self._starts[number])
                name = os.path.relpath(tar, self._base)
                yield Trace.of(tar, split, name, start, stop)

    def _called(self, split: str, key: str) -> str:
        """Another split may have the same key."""
        alone = len(self._tars_of) == 1 or self._released
        return key if alone else f"{split}/{key}"

    def _first(self) -> tuple[str, Mapping[str, bytes]]:
        """What the first sample is called, and what it has beside its image."""
        tar = next(number for number, starts in enumerate(self._starts) if starts)
        path = self._tars[tar]
        try:
            key, members = _sample(path, self._starts[tar][0], self._drop)
        except ImageError:
            # It is refused once it is read.
            return str(path), {}
        return f"{path}: {key}", members

    def _cells(self, first: tuple[str, Mapping[str, bytes]], suffix: str) -> int:
        """The side of the cells of masks, as the first sample has it."""
        members = first[1]
        image = next((members[one] for one in self._images if one in members), b"")
        return cells_of(image, members.get(suffix, b""))

    def _sample(
        self, split: str, index: int, unwanted: Collection[str] = ()
    ) -> tuple[Path, str, dict[str, bytes]]:
        """Where a sample is, its key, and those of its members that are wanted."""
        path, start = self._place(split, index)
        return path, *_sample(path, start, self._drop.union(unwanted))

    def _place(self, split: str, index: int) -> tuple[Path, int]:
        """The file that a sample is in, and where it begins there."""
        for tar in self._tars_of[split]:
            if index < len(self._starts[tar]):
                break
            index -= len(self._starts[tar])
        return self._tars[tar], self._starts[tar][index]


def _count_classes(where: str, members: Mapping[str, bytes]) -> int:
    """Of how many classes the first sample has probabilities; so have all."""
    try:
        return count_classes(where, members)
    except ImageError as error:
        raise RunError(str(error)) from error


def _is_image(suffix: str) -> bool:
    return suffix.rpartition(".")[2] in IMAGES


def _chosen(
    suffixes: Collection[str], options: SourceOptions, there: str
) -> frozenset[str]:
    """The suffixes that images have, of which each sample has one.

    Raises:
      RunError: It is left open which these are.
    """
    if options.image is not None:
        if options.image not in suffixes:
            raise RunError(f"--image {options.image}: {there}")
        return frozenset({options.image})
    plain = frozenset(IMAGES & set(suffixes))
    pictures = sorted(filter(_is_image, suffixes))
    others = [one for one in pictures if mask_name(one) is None] or pictures
    if plain or not others:
        return plain
    if len(others) > 1:
        rest = " ".join(others[1:])
        raise RunError(
            f"what follows the first dot of a name is the kind of a file, and the "
            f"samples have several kinds of images, {', '.join(others)}: choose one, "
            f"as by --image {others[0]} --drop {rest}, or rename the files without "
            f"such dots"
        )
    return frozenset(others)


def _members(path: Path) -> Iterator[tarfile.TarInfo]:
    """Each member that is no folder."""
    try:
        with open_tar(path) as file:
            for member in walk(file):
                if not member.isdir():
                    yield member
    except RunError:
        raise
    except ValueError as error:
        raise RunError(f"{path} is no whole tar file; copy it again") from error


def _sample(
    path: Path, start: int, unwanted: Collection[str]
) -> tuple[str, dict[str, bytes]]:
    """The key and the members of the sample that begins at a place in a file."""
    with _opened(path, start) as file, open_tar(path) as content:
        return read_sample(walk(file), content, str(path), unwanted)


@contextlib.contextmanager
def _opened(path: Path, start: int) -> Iterator[BinaryIO]:
    """Opens a tar file that was read before, at a place; it may have changed."""
    try:
        with open_tar(path) as file:
            file.seek(start)
            yield file
    except FileNotFoundError as error:
        raise RunError(
            f"{path} was there and is gone; bring it back and run again"
        ) from error
    except (ImageError, RunError):
        raise
    except ValueError as error:
        raise _changed(path) from error


def _changed(path: Path) -> RunError:
    return RunError(f"{path} has changed; bring it back and run again")

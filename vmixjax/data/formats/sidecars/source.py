"""Reads images that have a file of boxes each: what formats of such have in common."""

import abc
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from vmixjax.data.bounded import read_bounded
from vmixjax.data.codecs.codec import Small
from vmixjax.data.codecs.images import read_image, read_small
from vmixjax.data.codecs.png import png_extras, png_form
from vmixjax.data.example import Example, Field, Pixels, Source, Trace
from vmixjax.data.formats.format import SourceOptions, existing
from vmixjax.data.formats.image_files import listed_file
from vmixjax.data.formats.sidecars.pairs import Pair, Pairs
from vmixjax.data.objects import OBJECTS, Boxes, Objects
from vmixjax.data.room import Claim, at_once
from vmixjax.errors import ImageError, RunError

MOST_BYTES = 2**23
"""Of a sidecar: ten thousand objects take half of it."""


class SidecarSource(Source):
    """Reads image files, and boxes of their sidecars; subclasses find and parse these.

    Args:
      name: Path of the folder, or of a file in it.
      options: What is wanted of it.

    Attributes:
      root: Path of the folder.
      roots: It, and folders that links may lead into.
      pairs: What each split has.

    Raises:
      RunError: It is not there, is none of its format, or lacks a field that is named.
    """

    name = "mixed"
    pixels: Pixels | None = None
    pairs: Mapping[str, Pairs]

    def __init__(self, name: str, options: SourceOptions) -> None:
        path = existing(name)
        self._codecs = options.codecs
        self.root = path if path.is_dir() else path.parent
        self.places: Sequence[Path] = (self.root,)
        self.roots = (self.root, *options.follow_links)
        if options.image is not None:
            raise RunError(
                f"--image {options.image}: an image is a file of its own here; leave "
                f"it out"
            )

    def set_up(
        self, options: SourceOptions, pairs: Mapping[str, Pairs], field: Objects
    ) -> None:
        """Takes what was found.

        Args:
          options: What is wanted of it.
          pairs: What each split has.
          field: What is known of the objects.

        Raises:
          RunError: A field that is named is not there.
        """
        self.pairs = pairs
        self.splits: Mapping[str, int] = {
            split: len(some) for split, some in pairs.items()
        }
        parts = {f"{OBJECTS}/{other[0]}": other for other in field.others}
        known = [OBJECTS, *parts]
        options.check_fields(known, f"SRC {self.root} has {', '.join(known)}")
        others = tuple(one for part, one in parts.items() if part not in options.drop)
        self._field = Objects(field.names, others)
        self.fields: Mapping[str, Field] = (
            {} if OBJECTS in options.drop else {OBJECTS: self._field}
        )

    @abc.abstractmethod
    def boxes(self, pair: Pair, field: Objects, size: tuple[int, int] | None) -> Boxes:
        """Reads the boxes of an image.

        Args:
          pair: The image and its sidecar.
          field: What is known of the objects.
          size: Height and width of the image, where they are known.

        Raises:
          ImageError: They are none, or of another image.
        """

    @abc.abstractmethod
    def rendered(self, pair: Pair, boxes: Boxes, shape: Sequence[int]) -> bytes:
        """Gives what the sidecar of an image in a release has to be.

        Args:
          pair: The image and its sidecar.
          boxes: Its boxes.
          shape: (H, W, C) of the image.
        """

    @abc.abstractmethod
    def stem(self, split: str, image: PurePath) -> str:
        """Gives the path, without a suffix, of an image in a release."""

    def read(self, split: str, index: int, claim: Claim = at_once) -> Example:
        pair = self.pairs[split].pair(index)
        with listed_file(self.root, pair.image, self.roots) as path:
            image = read_image(path, codecs=self._codecs, claim=claim)
        height, width = image.shape[:2]
        return Example(
            name=self.name_of(split, index),
            folder=split,
            stem=self.stem(split, pair.image),
            image=image,
            values=self._values(pair, (height, width)),
        )

    def look(
        self, split: str, index: int, enough: int, claim: Claim = at_once
    ) -> Small:
        pair = self.pairs[split].pair(index)
        with listed_file(self.root, pair.image, self.roots) as path:
            return read_small(path, enough, codecs=self._codecs, claim=claim)

    def name_of(self, split: str, index: int) -> str:
        """It is the path."""
        return self.pairs[split].name(index)

    def values(self, split: str, index: int) -> Mapping[str, Any]:
        return self._values(self.pairs[split].pair(index), None)

    def candidates(self, name: str) -> Iterator[tuple[str, int]]:
        """Names are paths."""
        for split, pairs in self.pairs.items():
            for index in range(len(pairs)):
                if pairs.name(index) == name:
                    yield split, index

    def extras(self, split: str, index: int) -> Iterator[str]:
        """Those of the image, and whatever its sidecar would not have by itself."""
        pair = self.pairs[split].pair(index)
        image = (self.root / pair.image).read_bytes()
        yield from png_extras(image)
        boxes = self.boxes(pair, self._field, None)
        again = self.rendered(pair, boxes, png_form(image)[0])
        if pair.sidecar is None or self.content(pair.sidecar) != again:
            yield f"more than boxes in {pair.sidecar}, or less"

    def traces(self) -> Iterator[Trace]:
        """Each image is a file, and its sidecar a part of it."""
        for split, pairs in self.pairs.items():
            for index in range(len(pairs)):
                name = pairs.name(index)
                one = Trace.of(self.root / name, split, name, index, index + 1)
                try:
                    sidecar = pairs.pair(index).sidecar
                except ImageError:
                    sidecar = None
                if sidecar is not None:
                    path = self.root / sidecar
                    other = Trace.of(path, split, name, index, index + 1)
                    # Sums tell that either was changed, to whatever time.
                    one = one._replace(
                        size=one.size + other.size, time=one.time + other.time
                    )
                yield one

    def content(self, sidecar: PurePath) -> bytes:
        """Reads a sidecar.

        Raises:
          ImageError: It cannot be read, or is too large to be one.
          RunError: It is no longer there.
        """
        with listed_file(self.root, sidecar, self.roots, "file") as path:
            try:
                return read_bounded(path, MOST_BYTES, follow=True)
            except RunError as error:
                raise ImageError(str(error)) from error
            except OSError as error:
                reason = error.strerror or type(error).__name__
                raise ImageError(
                    f"{path} cannot be read ({reason}); copy it again from its source"
                ) from error

    def _values(self, pair: Pair, size: tuple[int, int] | None) -> Mapping[str, Any]:
        if not self.fields:
            return {}
        return {OBJECTS: self.boxes(pair, self._field, size)}


def unfit_text(path: PurePath, fault: str, what: str) -> ImageError:
    """Makes the complaint about a sidecar that is none, with what mends it."""
    return ImageError(f"{path} {fault}; mend it, or take {what} out")

"""A VOC data set: images, an XML file for each, and lists of which are in a split."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePath

from vmixjax.data.bounded import read_bounded
from vmixjax.data.formats.format import SourceOptions
from vmixjax.data.formats.sidecars.pairs import (
    Pair,
    Pairs,
    by_stem,
    is_image,
    list_folder,
    meeting,
    shared,
    stem_of,
)
from vmixjax.data.formats.sidecars.source import SidecarSource, unfit_text
from vmixjax.data.formats.voc.annotation import Annotation, boxes_of, parse, render
from vmixjax.data.formats.voc.classes import (
    CLASSES,
    find_objects,
    read_classes,
    render_classes,
)
from vmixjax.data.inside import inside
from vmixjax.data.objects import OBJECTS, Boxes, Objects, check_boxes
from vmixjax.data.splits import SPLIT_NAMES, find_splits
from vmixjax.errors import ImageError, RunError

IMAGES, ANNOTATIONS, LISTS = "JPEGImages", "Annotations", "ImageSets/Main"
"""Folders of a data set as Pascal VOC has them."""

_BOTH = "trainval"
_HALVES = ("train", "val")
_MOST_LIST = 2**28
"""Bytes of the list of a split."""


class VocSource(SidecarSource):
    """Reads images and boxes of a folder as Pascal VOC has them, or of one of both.

    Splits are the lists of `ImageSets/Main`; without such, and where XML files lie
    beside their images, they are the top folders that are called so.

    Args:
      name: Path of the folder.
      options: What is wanted of it: fields are `objects`, and what is known of each.

    Raises:
      RunError: It is not there, or holds no annotations; or a field, or a list of a
        split, is unfit.
    """

    def __init__(self, name: str, options: SourceOptions) -> None:
        super().__init__(name, options)
        self._needs_boxes = OBJECTS not in options.drop
        self._apart = (self.root / ANNOTATIONS).is_dir()
        self._remarks: list[str] = []
        images = list_folder(self.root, IMAGES if self._apart else ".", self.roots)
        notes = images
        if self._apart:
            notes = list_folder(self.root, ANNOTATIONS, self.roots)
        sidecars = {
            self._stem(note): note for note in notes if note.suffix.lower() == ".xml"
        }
        if not sidecars:
            raise RunError(
                f"SRC {self.root} has no XML files, in {ANNOTATIONS} or beside images; "
                f"name the folder that has {ANNOTATIONS} and {IMAGES}"
            )
        found = by_stem(image for image in images if is_image(self.root, image))
        of_stem = {self._stem(some[0]): some for some in found.values()}
        pairs = self._pairs(of_stem, sidecars, options)
        known = read_classes(self.root)
        self.set_up(options, pairs, find_objects(self._annotations(pairs), known))

    def boxes(self, pair: Pair, field: Objects, size: tuple[int, int] | None) -> Boxes:
        path = self.root / self._sidecar(pair)
        annotation = self._annotation(pair)
        there = annotation.height, annotation.width
        if size is not None and size != there:
            raise unfit_text(
                path,
                f"is of an image of {there[0]} x {there[1]}, and {pair.image} has "
                f"{size[0]} x {size[1]}",
                "both",
            )
        try:
            boxes = boxes_of(annotation, field)
        except ValueError as error:
            raise unfit_text(path, str(error), "the image") from error
        return check_boxes(boxes, field, str(path))

    def rendered(self, pair: Pair, boxes: Boxes, shape: Sequence[int]) -> bytes:
        name = pair.image.relative_to(IMAGES).as_posix()
        return render(boxes, self._field.names or (), shape, name)

    def stem(self, split: str, image: PurePath) -> str:
        return self._stem(image)

    def remarks(self) -> Iterator[str]:
        """Images that are in no list."""
        yield from self._remarks

    def loose(self) -> Iterator[str]:
        """Lists that say more than which images and classes there are."""
        path = self.root / CLASSES
        if path.is_file() and path.read_bytes() != render_classes(
            self._field.names or ()
        ):
            yield f"{CLASSES} lists more than classes"
        for split, pairs in self.pairs.items():
            path = self.root / LISTS / f"{split}.txt"
            names = [self._stem(pair.image) for pair in pairs.whole()]
            if path.is_file() and path.read_bytes() != render_list(names):
                yield f"{LISTS}/{split}.txt lists more than images"

    def _pairs(
        self,
        images: Mapping[str, Sequence[PurePath]],
        sidecars: Mapping[str, PurePath],
        options: SourceOptions,
    ) -> Mapping[str, Pairs]:
        """What each split has, in its order."""
        stems = sorted({*images, *sidecars})
        twins = meeting(stems)
        lists: Mapping[str, Iterable[str]] = self._lists(options)
        if not lists:
            lists = self._by_folders(stems, images, options)
        counts: Counter[str] = Counter()
        found = {}
        for split, names in lists.items():
            found[split] = Pairs()
            for name in names:
                counts[name] += 1
                self._add(found[split], name, images, sidecars, counts[name], twins)
        unlisted = sum(name not in counts for name in images)
        if unlisted:
            self._remarks.append(
                f"{unlisted} images of {self.root / IMAGES} are in none of the lists "
                f"{', '.join(lists)}, and are left out"
            )
        return found

    def _add(
        self,
        pairs: Pairs,
        name: str,
        images: Mapping[str, Sequence[PurePath]],
        sidecars: Mapping[str, PurePath],
        times: int,
        twins: set[str],
    ) -> None:
        """Adds an image that is listed, or why it is none."""
        some, sidecar = images.get(name, ()), sidecars.get(name)
        place = PurePath(IMAGES) if self._apart else PurePath()
        path = some[0] if some else place / name
        fault = None
        if times > 1:
            fault = f"{path} is listed twice; take it out of one of the lists"
        elif name in twins:
            fault = (
                f"{path} has the name of another image but for capital letters; "
                f"rename one of them"
            )
        elif not some:
            fault = (
                f"{self.root / path} is not there, though {sidecar or 'a list'} is of "
                f"it; add the image, or take that out"
            )
        elif len(some) > 1:
            fault = shared(some, sidecar or PurePath(f"{name}.xml"))
        elif sidecar is None and self._needs_boxes:
            where = ANNOTATIONS if self._apart else "."
            fault = (
                f"{self.root / path} has no XML file, {PurePath(where, name)}.xml; "
                f"add it, or take the image out"
            )
        if fault is not None:
            pairs.add_fault(path, fault)
        else:
            pairs.add(path, sidecar)

    def _lists(self, options: SourceOptions) -> Mapping[str, Iterator[str]]:
        """The names that the list of each split has."""
        if not self._apart:
            return {}
        files = list_folder(self.root, LISTS, self.roots)
        there = [
            file.stem
            for file in files
            if file.suffix == ".txt" and file.parent == PurePath(LISTS)
        ]
        known = [name for name in there if name in (*SPLIT_NAMES, _BOTH)]
        if {*_HALVES, _BOTH} <= {*known}:
            known.remove(_BOTH)
        # Splits of a release may be called anything.
        wanted = options.splits or (there if options.released else known)
        unknown = sorted(set(wanted) - set(there))
        if unknown and there:
            raise RunError(
                f"--splits {unknown[0]}: {self.root / LISTS} has {', '.join(there)} "
                f"only"
            )
        if there and not wanted:
            raise RunError(
                f"{self.root / LISTS} has none of the lists that splits have, as "
                f"train.txt; name some of {', '.join(there)} with --splits"
            )
        return {split: self._names(split) for split in there if split in wanted}

    def _names(self, split: str) -> Iterator[str]:
        path = self.root / LISTS / f"{split}.txt"
        try:
            data = read_bounded(path, _MOST_LIST, follow=True)
        except OSError as error:
            raise RunError(f"{path} cannot be read; copy it again") from error
        for line in data.decode("utf-8", "surrogateescape").split("\n"):
            name = line.strip(" \t\r")
            if not name:
                continue
            try:
                yield inside(name).as_posix()
            except ValueError as error:
                raise RunError(f"{path} names a file elsewhere: {error}") from error

    def _by_folders(
        self,
        stems: Sequence[str],
        images: Mapping[str, Sequence[PurePath]],
        options: SourceOptions,
    ) -> Mapping[str, Sequence[str]]:
        """Splits by top folders, where they are called so."""
        folders = {PurePath(stem).parent for stem in images} - {PurePath()}
        loose = next((stem for stem in images if "/" not in stem), None)
        splits = find_splits(f"SRC {self.root}", folders, loose, options.splits)
        if not splits:
            return {"train": stems}
        return {
            split: [stem for stem in stems if stem.startswith(f"{split}/")]
            for split in splits
        }

    def _stem(self, file: PurePath) -> str:
        return stem_of(PurePath(*file.parts[1:]) if self._apart else file)

    def _sidecar(self, pair: Pair) -> PurePath:
        assert pair.sidecar is not None
        return pair.sidecar

    def _annotation(self, pair: Pair) -> Annotation:
        sidecar = self._sidecar(pair)
        try:
            return parse(self.content(sidecar))
        except ImageError:
            raise
        except ValueError as error:
            raise unfit_text(self.root / sidecar, str(error), "the image") from error

    def _annotations(self, pairs: Mapping[str, Pairs]) -> Iterator[Annotation]:
        """All that can be read: what is wrong with others is told when they are."""
        for some in pairs.values():
            for pair in some.whole():
                if pair.sidecar is None:
                    continue
                try:
                    yield self._annotation(pair)
                except ImageError:
                    continue


def render_list(names: Sequence[str]) -> bytes:
    """Gives the list of a split."""
    text = "".join(f"{name}\n" for name in names)
    return text.encode("utf-8", "surrogateescape")


def is_voc(path: Path) -> bool:
    """Tells whether a folder is one as Pascal VOC has them."""
    return (path / ANNOTATIONS).is_dir() and (path / IMAGES).is_dir()


def is_voc_release(path: Path) -> bool:
    """Tells whether a folder is a release as Pascal VOC has data sets."""
    return is_voc(path) and (path / LISTS).is_dir()

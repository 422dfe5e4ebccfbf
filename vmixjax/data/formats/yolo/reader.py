"""A YOLO data set: images, a text file of boxes for each, and names of classes."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath

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
from vmixjax.data.formats.yolo import description
from vmixjax.data.formats.yolo.labels import parse, render
from vmixjax.data.objects import Boxes, Objects, check_boxes
from vmixjax.data.splits import SPLIT_NAMES, find_splits
from vmixjax.errors import RunError

IMAGES, LABELS = "images", "labels"
_SUFFIX = ".txt"
_NO_LABELS = frozenset({"classes.txt"})
"""Files beside labels that are none."""


class YoloSource(SidecarSource):
    """Reads images and boxes of a folder as YOLO has them.

    The file of an image in a folder `images` lies at the same place in `labels`, or
    beside the image if no folder is called so. An image without one has no objects.

    Args:
      name: Path of the folder, or of its `data.yaml`.
      options: What is wanted of it: its field is `objects`.

    Raises:
      RunError: It is not there, or holds no boxes; or a field, `data.yaml`, or what it
        says of splits is unfit.
    """

    def __init__(self, name: str, options: SourceOptions) -> None:
        super().__init__(name, options)
        file = None if Path(name).is_dir() else Path(name).name
        self._names, folders = description.describe(
            self.root, file, released=options.released
        )
        self._remarks: list[str] = []
        self._folders = self._chosen(folders or self._by_folders(options), options)
        pairs = {split: self._pairs(folder) for split, folder in self._folders.items()}
        self.set_up(options, pairs, Objects(self._names))
        first = next(self._whole(), None)
        if first is not None and not any(pair.sidecar for pair in self._whole()):
            raise RunError(
                f"SRC {self.root} has no boxes of any image: those of {first.image} "
                f"would be in {labels_of(first.image)}; put the files there"
            )

    def boxes(self, pair: Pair, field: Objects, size: tuple[int, int] | None) -> Boxes:
        del size
        path = self.root / labels_of(pair.image)
        data = b"" if pair.sidecar is None else self.content(pair.sidecar)
        try:
            boxes = parse(data)
        except ValueError as error:
            raise unfit_text(path, str(error), "the image") from error
        return check_boxes(boxes, field, str(path))

    def rendered(self, pair: Pair, boxes: Boxes, shape: Sequence[int]) -> bytes:
        return render(boxes)

    def stem(self, split: str, image: PurePath) -> str:
        below = image.relative_to(self._folders[split])
        return f"{split}/{stem_of(below)}"

    def remarks(self) -> Iterator[str]:
        """Folders that are not there, and images without boxes."""
        yield from self._remarks
        if not self.fields:
            return
        count = empty = 0
        for pair in self._whole():
            count += 1
            empty += self._is_empty(pair)
        if empty:
            yield (
                f"{empty} of {count} images have no objects, as their files of "
                f"boxes are empty or not there"
            )

    def loose(self) -> Iterator[str]:
        """Whatever `data.yaml` would not have by itself."""
        path = self.root / description.NAMES[0]
        again = description.render(self._names, list(self.splits))
        if path.is_file() and path.read_bytes() != again:
            yield f"{path.name} says more than classes and splits"

    def _whole(self) -> Iterator[Pair]:
        return (pair for some in self.pairs.values() for pair in some.whole())

    def _is_empty(self, pair: Pair) -> bool:
        if pair.sidecar is None:
            return True
        try:
            return (self.root / pair.sidecar).stat().st_size == 0
        except OSError:
            return False

    def _by_folders(self, options: SourceOptions) -> Mapping[str, str]:
        """The folder of images of each split, where `data.yaml` names none."""
        tops = {
            path.name: f"{path.name}/{IMAGES}"
            for path in sorted(self.root.iterdir())
            if (path / IMAGES).is_dir()
        }
        named = {
            split: folder
            for split, folder in tops.items()
            if split in SPLIT_NAMES or split in options.splits
        }
        if named:
            return named
        within = IMAGES if (self.root / IMAGES).is_dir() else "."
        files = [
            file.relative_to(within)
            for file in list_folder(self.root, within, self.roots)
            if is_image(self.root, file)
        ]
        folders = {file.parent for file in files} - {PurePath()}
        loose = next((file.name for file in files if len(file.parts) == 1), None)
        path = self.root / within
        splits = find_splits(f"SRC {path}", folders, loose, options.splits)
        if not splits:
            return {"train": within}
        return {split: PurePath(within, split).as_posix() for split in splits}

    def _chosen(
        self, folders: Mapping[str, str], options: SourceOptions
    ) -> Mapping[str, str]:
        """Of splits those that are wanted: each folder once."""
        unknown = sorted(set(options.splits) - set(folders))
        if unknown:
            raise RunError(
                f"--splits {unknown[0]}: SRC {self.root} has {', '.join(folders)} only"
            )
        chosen: dict[str, str] = {}
        for split, folder in folders.items():
            if options.splits and split not in options.splits:
                continue
            path = PurePath(folder)
            for other, its in chosen.items():
                if its == folder and not options.splits:
                    if not options.released:
                        self._remarks.append(
                            f"{split} is of the same folder as {other}, {folder}, and "
                            f"is left out"
                        )
                    break
                if path.is_relative_to(its) or PurePath(its).is_relative_to(path):
                    raise RunError(
                        f"SRC {self.root} has {split} in {folder} and {other} in "
                        f"{its}, which have images in common; choose by --splits"
                    )
            else:
                chosen[split] = folder
                if not (self.root / folder).is_dir() and not options.released:
                    self._remarks.append(
                        f"{self.root / folder}, of the split {split}, is not there"
                    )
        return chosen

    def _pairs(self, folder: str) -> Pairs:
        """The images of a split, and files of boxes that are of none."""
        files = list_folder(self.root, folder, self.roots)
        images = [file for file in files if is_image(self.root, file)]
        beside = labels_of(PurePath(folder, "_")).parent.as_posix()
        if beside != PurePath(folder).as_posix():
            files = list_folder(self.root, beside, self.roots)
        left = {
            file
            for file in files
            if file.suffix == _SUFFIX and file.name not in _NO_LABELS
        }
        pairs, stems = Pairs(), by_stem(images)
        twins = meeting(stems)
        for stem, some in stems.items():
            labels = labels_of(some[0])
            there = labels in left or (self.root / labels).is_file()
            left.discard(labels)
            if len(some) > 1:
                pairs.add_fault(some[0], shared(some, labels))
            elif stem in twins:
                pairs.add_fault(
                    some[0],
                    f"{self.root / some[0]} has the name of another image but for "
                    f"capital letters; rename one of them",
                )
            else:
                pairs.add(some[0], labels if there else None)
        for labels in sorted(left):
            pairs.add_fault(
                labels,
                f"{self.root / labels} is of no image; add that, or take it out",
            )
        return pairs


def labels_of(image: PurePath) -> PurePath:
    """Gives the path of the file of boxes of an image.

    >>> labels_of(PurePath("images/train/1.jpg")).as_posix()
    'labels/train/1.txt'
    """
    parts = list(image.parts)
    for place in range(len(parts) - 2, -1, -1):
        if parts[place] == IMAGES:
            parts[place] = LABELS
            break
    return PurePath(*parts).with_suffix(_SUFFIX)


def is_yolo(path: Path) -> bool:
    """Tells whether a file is a `data.yaml`, or a folder one as YOLO has them."""
    if path.is_file():
        return path.suffix in (".yaml", ".yml")
    if not any((path / name).is_file() for name in (*description.NAMES, "classes.txt")):
        return False
    places = [path, *(path / split for split in SPLIT_NAMES)]
    return any((one / IMAGES).is_dir() and (one / LABELS).is_dir() for one in places)

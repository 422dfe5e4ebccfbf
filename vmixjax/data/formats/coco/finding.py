"""Which files of annotations a COCO data set has, their splits, and where images lie.

There is no one layout: `annotations/instances_train2017.json` with `train2017/`, as in
COCO itself; `train/_annotations.coco.json` with images beside it, as Roboflow exports
them; or some JSON files beside `images/`, or beside the images.
"""

import dataclasses
import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from vmixjax._printable import listed
from vmixjax.data.files import is_inside
from vmixjax.data.splits import split_of_file
from vmixjax.data.writing import MANIFEST
from vmixjax.errors import RunError

FOLDER = "annotations"
"""Folder of files of annotations, where they have one."""

PREFIX = "instances_"
"""How files are called that hold boxes, beside others of captions and key points."""

_BESIDE = "_annotations.coco.json"
"""What Roboflow calls a file that lies beside its images."""

_IMAGES = "images"

_LOOKED_FOR = 16
"""Images by which the folder is found that they lie in."""


@dataclasses.dataclass(frozen=True)
class Part:
    """A file of annotations.

    Attributes:
      split: Split that its images are.
      file: Path of the file.
      folders: Folders that its images may lie in.
    """

    split: str
    file: Path
    folders: Sequence[Path]


def is_coco(path: Path) -> bool:
    """Tells whether a file or folder can be nothing but a COCO data set."""
    if not path.is_dir():
        return path.suffix.lower() == ".json"
    return bool(_instances(path) or _exported(path))


def is_release(path: Path) -> bool:
    """Tells whether a folder is a release, or a file is of one."""
    if not path.is_dir():
        return path.suffix == ".json" and path.name.startswith(PREFIX)
    return bool(_instances(path))


def root_of(path: Path) -> Path:
    """Gives the folder of a data set that a user named by it, or by its file."""
    if path.is_dir():
        return path
    parent = path.parent
    if parent.name == FOLDER:
        return parent.parent
    # The name of `.` says nothing of where it lies.
    return parent / ".." if parent.resolve().name == FOLDER else parent


def find_parts(path: Path, wanted: Collection[str], *, released: bool) -> list[Part]:
    """Finds the files of annotations of a data set, and their splits.

    Args:
      path: Its folder, or one of its files.
      wanted: Splits that the user named.
      released: Whether it is a release.

    Raises:
      RunError: There are none, or it is left open which they are.
    """
    root, files = root_of(path), _files(path)
    if released:
        parts = [
            Part(split, file, [root / split])
            for file in files
            for split in [file.stem.removeprefix(PREFIX)]
        ]
    else:
        parts = [_part(path, root, file, wanted, files) for file in files]
    for one in parts:
        same = [str(other.file) for other in parts if other.split == one.split]
        if len(same) > 1:
            raise RunError(
                f"SRC {path} has {listed(same)}, all of the split {one.split}: name "
                f"one of them, or move the others elsewhere"
            )
    return parts


def _part(
    path: Path, root: Path, file: Path, wanted: Collection[str], files: Sequence[Path]
) -> Part:
    beside = file.name == _BESIDE
    name = file.parent.resolve().name if beside else file.stem.removeprefix(PREFIX)
    split = name if name in wanted else split_of_file(name)
    if split is None and len(files) > 1:
        raise RunError(
            f"SRC {path} has {listed([str(one) for one in files])}, and the name of "
            f"{file} says no split, such as train, val or test: name one of them, or "
            f"give it another name"
        )
    split = split or "train"
    if beside:
        return Part(split, file, [file.parent])
    names = dict.fromkeys((name, split))
    places = [root / one for one in names]
    places += [root / _IMAGES / one for one in names]
    return Part(split, file, [*places, root / _IMAGES, root, file.parent])


def _files(path: Path) -> list[Path]:
    """The files of annotations that a path names."""
    if not path.is_dir():
        return [path]
    instances, exported = _instances(path), _exported(path)
    if instances and exported:
        raise RunError(
            f"SRC {path} has {instances[0]} and {exported[0]}, as two data sets: name "
            f"one of them, or move the other elsewhere"
        )
    files = instances or exported
    # Others may hold anything, so they are taken only where there are no such.
    files = files or _json_files(path / FOLDER) or _json_files(path)
    if not files:
        raise RunError(
            f"SRC {path} holds no annotations as COCO has them: neither "
            f"{FOLDER}/{PREFIX}*.json nor {_BESIDE} nor another JSON file; name the "
            f"file"
        )
    return files


def _instances(path: Path) -> list[Path]:
    return [one for one in _json_files(path / FOLDER) if one.name.startswith(PREFIX)]


def _exported(path: Path) -> list[Path]:
    with os.scandir(path) as entries:
        below = sorted(one.name for one in entries if _is_folder(one))
    files = [path / _BESIDE, *(path / name / _BESIDE for name in below)]
    return [one for one in files if one.is_file()]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # Links may lead in a circle.
        return False


def _json_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [
        one
        for one in sorted(folder.iterdir())
        if one.suffix.lower() == ".json"
        and not one.name.startswith(".")
        and one.name != MANIFEST
        and one.is_file()
    ]


def folder_of(part: Part, names: Iterator[str], roots: Sequence[Path]) -> Path:
    """Finds the folder that the images of a file lie in: that which has the most.

    Args:
      part: The file, and where they may lie.
      names: What it calls them.
      roots: Folders that anything may lie in.

    Raises:
      RunError: None is in any of them.
    """
    first = [name for name, _ in zip(names, range(_LOOKED_FOR), strict=False)]
    folders = list(dict.fromkeys(part.folders))
    there = [
        sum(
            os.path.isfile(folder / name)  # noqa: PTH113 (names may be none of files)
            for name in first
        )
        if any(is_inside(folder, root) for root in roots)
        else 0
        for folder in folders
    ]
    if first and not any(there):
        looked = [str(one) for one in folders if one.is_dir()]
        raise RunError(
            f"{part.file} names images such as {first[0]}, and there are none in "
            f"{listed(looked, len(looked))}: move them into one of these folders (or, "
            f"if it is a link, name where it leads with --follow-links)"
        )
    return folders[there.index(max(there))]

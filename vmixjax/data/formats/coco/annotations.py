"""COCO annotations: JSON checked against what it must hold, and packed into arrays.

Outlines (`segmentation`), key points and captions show what an image shows: they are
passed over, as everything else is that is not named here.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath
from typing import Annotated

import msgspec
import numpy as np

from vmixjax.data.bounded import read_bounded
from vmixjax.data.files import Paths
from vmixjax.errors import RunError

MOST_BYTES = 2**31
"""Of a file: that of COCO's own training images has 450 MB."""

_MOST_OBJECTS = 2**23
"""Images, boxes and classes of a file, at the most; each takes some 400 bytes."""

MOST_SIDE = 2**24
"""Of an image: a share of it in float32 still tells its pixels apart."""

_EXACT = 2**53
"""Whole numbers up to it are numbers of float64 as well."""

Number = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class Category(msgspec.Struct, frozen=True):
    """A class of objects."""

    id: Number
    name: str


class _Image(msgspec.Struct, frozen=True, gc=False):
    id: Number | str
    file_name: str
    width: int | float
    height: int | float


class _Object(msgspec.Struct, frozen=True, gc=False):
    image_id: Number | str
    category_id: Number
    bbox: list[float] = msgspec.field(default_factory=list)
    area: int | float | None = None
    iscrowd: int | bool = 0


class _File(msgspec.Struct, frozen=True):
    images: list[_Image]
    categories: list[Category] = msgspec.field(default_factory=list)
    annotations: list[_Object] = msgspec.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Annotations:
    """What a file says of images and of the objects in them.

    Attributes:
      path: Path of the file.
      names: What each image is called.
      sizes: Height and width of each, int64 (N, 2).
      twice: Numbers of images whose ids others have as well.
      categories: Names of classes by their ids.
      starts: For each image the number of its first object, and that of all objects.
      boxes: Left, top, width and height of each object in pixels, float64 (M, 4); NaN
        where it has no such box.
      classes: Ids of their classes, int64 (M,).
      areas: Their areas, float64 (M,); NaN where none is given.
      whole: Whether no area has a fraction, as it is written.
      crowds: Whether each stands for many, bool (M,).
      strays: Ids of images that objects are said to be in, and which there are not.
    """

    path: Path
    names: Paths
    sizes: np.ndarray
    twice: frozenset[int]
    categories: Mapping[int, str]
    starts: np.ndarray
    boxes: np.ndarray
    classes: np.ndarray
    areas: np.ndarray
    whole: bool
    crowds: np.ndarray
    strays: tuple[str, ...]

    def objects(self, index: int) -> slice:
        """Gives the numbers of the objects in an image."""
        return slice(int(self.starts[index]), int(self.starts[index + 1]))


def read_annotations(path: Path) -> Annotations:
    """Reads a file of annotations.

    Raises:
      RunError: It is none, or larger than will be read.
      OSError: It cannot be read.
    """
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise RunError(
            f"{path} has {size} bytes, over the limit of {MOST_BYTES}; cut it up, and "
            f"leave outlines (segmentation) out"
        )
    data = read_bounded(path, MOST_BYTES).removeprefix(b"\xef\xbb\xbf")
    # Each takes a brace, in whatever way it is written.
    if data.count(b"{") > _MOST_OBJECTS:
        raise RunError(
            f"{path} holds more than {_MOST_OBJECTS} images, boxes and classes; cut "
            f"it up"
        )
    try:
        file = msgspec.json.decode(data, type=_File)
    except (ValueError, RecursionError) as error:
        raise RunError(
            f"{path} holds no annotations as COCO has them ({error}); mend that, or "
            f"name the file that does"
        ) from error
    del data
    return _packed(path, file)


def _packed(path: Path, file: _File) -> Annotations:
    names, sizes = Paths(), np.empty((len(file.images), 2), np.int64)
    for index, image in enumerate(file.images):
        names.append(PurePath(image.file_name))
        sizes[index] = _side(path, image.height), _side(path, image.width)
    numbers = {image.id: index for index, image in enumerate(file.images)}
    twice = _repeated(image.id for image in file.images)
    places = np.array(
        [numbers.get(one.image_id, -1) for one in file.annotations], np.int64
    )
    strays = dict.fromkeys(
        str(one.image_id) for one in file.annotations if one.image_id not in numbers
    )
    order = np.argsort(places, kind="stable")
    order = order[np.count_nonzero(places < 0) :]
    objects = [file.annotations[number] for number in order]
    areas = [one.area for one in objects]
    return Annotations(
        path=path,
        names=names,
        sizes=sizes,
        twice=frozenset(i for i, image in enumerate(file.images) if image.id in twice),
        categories=_categories(path, file.categories),
        starts=np.searchsorted(places[order], np.arange(len(file.images) + 1)),
        boxes=np.array(
            [one.bbox if len(one.bbox) == 4 else [np.nan] * 4 for one in objects],
            np.float64,
        ).reshape(-1, 4),
        classes=np.array([one.category_id for one in objects], np.int64),
        areas=np.array([np.nan if a is None else float(a) for a in areas], np.float64),
        whole=all(isinstance(a, int) and abs(a) <= _EXACT for a in areas),
        crowds=np.array([bool(one.iscrowd) for one in objects], bool),
        strays=tuple(strays),
    )


def _side(path: Path, side: float) -> int:
    """A side of an image, which may be written as 640.0."""
    if not 1 <= side <= MOST_SIDE or side != int(side):
        raise RunError(
            f"{path} has an image of {side} pixels to a side; write the number that "
            f"the image has"
        )
    return int(side)


def _categories(path: Path, categories: list[Category]) -> Mapping[int, str]:
    for twice in _repeated(one.id for one in categories):
        raise RunError(f"{path} has two categories of the id {twice}; rename one")
    return {one.id: one.name for one in categories}


def _repeated(ids: Iterable[int | str]) -> set[int | str]:
    """Those that are there several times."""
    return {one for one, count in Counter(ids).items() if count > 1}

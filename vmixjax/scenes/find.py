"""Images of a data set that show the same scene."""

import functools
from collections import defaultdict, deque
from collections.abc import Callable, Iterable

import numpy as np

from vmixjax.scenes.confirm import Picture, compare, picture_of
from vmixjax.scenes.descriptor import describe, grey_of
from vmixjax.scenes.index import Index, Packed
from vmixjax.scenes.placement import Placement, place
from vmixjax.scenes.scene import Scene, View

Load = Callable[[int], np.ndarray | None]
"""Gives the image (H, W, C) of a number, or a smaller picture of it: 1,024 pixels are
compared. None where it can no longer be read."""

_PLACED, _COMPARED = 12, 4
"""Candidates of an image that may turn out to be none, by corners and by pixels."""

_PICTURES = 64
"""Of images that are compared, kept in memory: up to 1 MB each."""


def find_scenes(images: Iterable[np.ndarray]) -> list[Scene]:
    """Finds images that show the same scene: shifted, resized, brighter or darker.

    Where images must not be in memory together, describe them one after the other, by
    `describe`, into an `Index`, and give that to `link`.

    Args:
      images: uint8, uint16 or floating arrays (H, W, C), of any sizes and numbers of
        channels.

    Returns:
      Scenes of two or more images, those with the most images first.
    """
    images = list(images)
    index = Index(len(images))
    index.add(0, [describe(image) for image in images])
    return link(index.pack(), images.__getitem__)


def link(packed: Packed, load: Load) -> list[Scene]:
    """Confirms what may be the same scene, and puts together what is.

    The work grows with the number of images, whatever they show: of each, only some
    candidates are looked at.

    Args:
      packed: Descriptors of all images.
      load: Gives images of which the pixels are to be compared.

    Returns:
      Scenes of two or more images, those with the most images first.
    """
    links = _Links(packed, load)
    for first, second in packed.candidates().tolist():
        links.try_pair(first, second)
    scenes = links.scenes()
    return sorted(scenes, key=lambda scene: -len(scene.views))


class _Links:
    """What is known of which images show the same."""

    def __init__(self, packed: Packed, load: Load) -> None:
        self._packed = packed
        self._load = load
        self._parents: dict[int, int] = {}
        self._edges: dict[int, list[tuple[int, Placement]]] = defaultdict(list)
        self._failed = [defaultdict[int, int](int), defaultdict[int, int](int)]
        self._picture = functools.lru_cache(_PICTURES)(self._read)

    def try_pair(self, first: int, second: int) -> None:
        """Links two images if they show the same, and are not linked yet."""
        if self._root(first) == self._root(second):
            return
        for failed, most in zip(self._failed, (_PLACED, _COMPARED), strict=True):
            if max(failed[first], failed[second]) >= most:
                return
        about = place(self._packed[first], self._packed[second])
        if about is None:
            self._fail(0, first, second)
            return
        one, other = self._picture(first), self._picture(second)
        placement = compare(one, other, about) if one and other else None
        if placement is None:
            self._fail(1, first, second)
            return
        self._parents[self._root(second)] = self._root(first)
        self._edges[first].append((second, placement))
        self._edges[second].append((first, placement.back()))

    def scenes(self) -> list[Scene]:
        """Gives all linked images, as scenes."""
        seen: set[int] = set()
        found = []
        for image in sorted(self._edges):
            if image not in seen:
                views = self._views(image)
                seen.update(view.index for view in views)
                found.append(Scene(tuple(sorted(views))))
        return found

    def _views(self, image: int) -> list[View]:
        places = {image: Placement(1.0, 0.0, 0.0)}
        waiting = deque([image])
        while waiting:
            here = waiting.popleft()
            for other, placement in self._edges[here]:
                if other not in places:
                    places[other] = places[here].after(placement)
                    waiting.append(other)
        return [View(index, *place) for index, place in places.items()]

    def _root(self, image: int) -> int:
        root = image
        while (parent := self._parents.get(root, root)) != root:
            root = parent
        while image != root:
            self._parents[image], image = root, self._parents[image]
        return root

    def _fail(self, kind: int, *images: int) -> None:
        for image in images:
            self._failed[kind][image] += 1

    def _read(self, image: int) -> Picture | None:
        pixels = self._load(image)
        if pixels is None:
            return None
        descriptor = self._packed[image]
        return picture_of(grey_of(pixels), max(descriptor.height, descriptor.width))

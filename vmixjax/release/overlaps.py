"""Whether images of a data set show the same scene, asked before any of it is mixed.

The sums of regions are exact, so views of a scene on other grids (bursts, frames of a
film, patches that overlap, resized copies) give back more of it together than each
alone, and no key is needed for it.
"""

import dataclasses
import itertools
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Self

import numpy as np

from vmixjax.data.example import Source
from vmixjax.data.room import Claim, NoRoom, Room, at_once
from vmixjax.errors import ImageError, RunError
from vmixjax.release.config import ReleaseConfig
from vmixjax.release.progress import Progress
from vmixjax.scenes import Descriptor, Index, Scene, describe, link, one_thread

_VIEWS = 4
"""Views of a scene that add something, at which a run stops."""

_SMALL = 64
"""Pixels along the longer side of images that may be alike and no views of a scene."""

_SCENE, _ALL = 400, 100
"""Of such, one image in so many of one scene, and in so many of all, stop no run."""

_CHUNK = 64
"""Images that a thread describes before it takes others."""

_ENOUGH, _COMPARED = 112, 1024
"""Longer side, in pixels, of an image that is described, and that is compared."""

_ROOM = 2**27
"""Bytes of images that are described at once, for each thread."""

_SILENT = 5.0
"""Seconds of looking before a bar is shown."""

_NAMED = 4
"""Images of a scene that are named."""


def check_overlaps(
    config: ReleaseConfig,
    source: Source,
    progress: Progress,
    *,
    workers: int | None = None,
) -> None:
    """Names images that show the same scene, and stops where they tell too much.

    Args:
      config: What is asked for.
      source: Its data set.
      progress: Is told of it. Nothing of this goes into the release.
      workers: Threads that read; by default one for each processor.

    Raises:
      RunError: Views of a scene add too much to each other, and are not allowed.
    """
    images = _Images(source)
    if images.count < 2:
        return
    scenes = _search(images, progress, workers or os.cpu_count() or 1)
    if not scenes:
        return
    regions = {region for region, _ in config.recipe.config.ladder}
    found = sorted(
        (
            _Found(scene, scene.count_grids(regions), images.are_small(scene))
            for scene in scenes
        ),
        key=lambda found: (-found.grids, -len(found.scene.views)),
    )
    tell = _tell(found, images)
    if not config.allow_overlaps and _is_too_much(found, images.count):
        raise RunError(
            f"SRC {config.src}: {tell}. Whoever has such images mixed puts the scene "
            f"together again, without a key: leave one image of each scene in SRC, or "
            f"mix them all the same with --allow-overlaps"
        )
    progress.say(tell)


@dataclasses.dataclass(frozen=True)
class _Found:
    """A scene, how many of its views add something, and whether they are small."""

    scene: Scene
    grids: int
    small: bool


class _Images:
    """All images of a source, by one number."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._ends = list(itertools.accumulate(source.splits.values()))
        self.count = self._ends[-1] if self._ends else 0

    def place(self, number: int) -> tuple[str, int]:
        """Gives split and number of an image."""
        for (split, count), end in zip(
            self.source.splits.items(), self._ends, strict=True
        ):
            if number < end:
                return split, number - (end - count)
        raise IndexError(number)

    def describe(self, number: int, claim: Claim) -> Descriptor | None:
        """Describes an image, unless it cannot be read: the release will say so."""
        try:
            small = self.source.look(*self.place(number), _ENOUGH, claim)
        except ImageError:
            return None
        return describe(small.image, (small.height, small.width))

    def load(self, number: int) -> np.ndarray | None:
        """Reads an image that is to be compared."""
        try:
            return self.source.look(*self.place(number), _COMPARED).image
        except ImageError:
            return None

    def are_small(self, scene: Scene) -> bool:
        """Tells whether images of a scene are so small that much is alike in them."""
        small = self.source.look(*self.place(scene.views[0].index), _ENOUGH)
        return max(small.height, small.width) < _SMALL

    def name(self, number: int) -> str:
        """Gives the name of an image."""
        split, index = self.place(number)
        try:
            return self.source.read(split, index).name
        except ImageError:
            return f"{split}/{index}"


def _search(images: _Images, progress: Progress, workers: int) -> list[Scene]:
    """Finds the scenes; images are read once, and again where they are compared."""
    index = Index(images.count)
    room, alone = Room(_ROOM * workers), threading.Lock()

    def describe_one(number: int) -> Descriptor | None:
        with _Claims(room) as claims:
            try:
                return images.describe(number, claims.take)
            except NoRoom:
                pass
        # One after the other, there is room for each.
        with alone:
            return images.describe(number, at_once)

    def describe_chunk(first: int) -> int:
        numbers = range(first, min(first + _CHUNK, images.count))
        index.add(first, [describe_one(number) for number in numbers])
        return len(numbers)

    with (
        one_thread(),
        progress.of(images.count, title="looking for overlaps", delay=_SILENT),
        ThreadPoolExecutor(workers) as threads,
    ):
        try:
            for count in threads.map(describe_chunk, range(0, images.count, _CHUNK)):
                progress.tell(count, None)
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise
        return link(index.pack(), images.load)


class _Claims:
    """Room that an image takes while it is described."""

    def __init__(self, room: Room) -> None:
        self._room, self._taken = room, 0

    def __enter__(self) -> Self:
        return self

    def take(self, size: int) -> None:
        """Takes room, or raises `NoRoom`."""
        if not self._room.take(size):
            raise NoRoom(size)
        self._taken += size

    def __exit__(self, *_: object) -> None:
        self._room.give_back(self._taken)


def _is_too_much(found: Sequence[_Found], images: int) -> bool:
    """Whether views add too much; small images may be alike without being views."""
    counting = [one for one in found if one.grids >= _VIEWS]
    together = sum(len(one.scene.views) for one in counting)
    return any(not one.small or one.grids * _SCENE >= images for one in counting) or (
        together > 0 and together * _ALL >= images
    )


def _tell(found: Sequence[_Found], images: _Images) -> str:
    """Says in one line what was found, and names images of the worst scene."""
    worst = found[0]
    views = worst.scene.views
    names = [images.name(view.index) for view in views[:_NAMED]]
    more = len(views) - len(names)
    listed = ", ".join(names) + (f" and {more} more" if more else "")
    count = sum(len(one.scene.views) for one in found)
    scenes = f"{len(found)} scenes" if len(found) > 1 else "one scene"
    grids = (
        f"{worst.grids} of them on grids of their own"
        if worst.grids > 1
        else "all on the same grid, which adds nothing"
    )
    most = f"; most of one is {len(views)}" if len(found) > 1 else ""
    return f"{count} images show {scenes}{most}, {grids}: {listed}"

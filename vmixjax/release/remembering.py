"""A source that is read twice, first to look at its images and then to mix them.

Reading is most of what a look costs. So what was read is kept for the second time, as
far as a bounded part of memory holds it.
"""

import threading
from typing import Any

import numpy as np

from vmixjax.data.codecs.codec import Small
from vmixjax.data.example import Example, Source
from vmixjax.data.objects import Boxes
from vmixjax.data.room import Claim, Room, at_once
from vmixjax.data.wrapping import Wrapping

_BYTES = 2**28
"""Of all examples that are kept."""

_LARGEST = 2**24
"""Bytes of an image that is kept, at most. From a larger one on, none is: few would
fill the room, and a fraction of their size is cheap to read."""

_PER_EXAMPLE = 1200
"""Bytes of an example beside its image."""


class RememberingSource(Wrapping):
    """Reads another source, and keeps examples that it looked at until they are read.

    Args:
      source: The other source.
      limit: Most bytes of the examples.
    """

    def __init__(self, source: Source, limit: int = _BYTES) -> None:
        super().__init__(source)
        self._examples: dict[tuple[str, int], Example] = {}
        self._room = Room(limit)
        self._full = threading.Event()

    def read(self, split: str, index: int, claim: Claim = at_once) -> Example:
        """Reads one example, or gives up the one that is kept."""
        kept = self._examples.get((split, index))
        if kept is None:
            return self._source.read(split, index, claim)
        claim(kept.image.nbytes)
        if self._examples.pop((split, index), None) is not None:
            self._room.give_back(_size(kept))
        return kept

    def look(
        self, split: str, index: int, enough: int, claim: Claim = at_once
    ) -> Small:
        """Gives an image whole while there is room to keep it, then as it is cheap."""
        kept = self._examples.get((split, index))
        if kept is None and self._full.is_set():
            return self._source.look(split, index, enough, claim)
        if kept is None:
            kept = self._source.read(split, index, claim)
            if kept.image.nbytes <= _LARGEST and self._room.take(_size(kept)):
                self._examples[split, index] = kept
            else:
                self._full.set()
        return Small(kept.image, *kept.image.shape[:2])


def _size(example: Example) -> int:
    beside = sum(map(_beside, example.values.values()))
    return example.image.nbytes + beside + _PER_EXAMPLE


def _beside(value: Any) -> int:
    """Bytes of what belongs to an image, where there may be many."""
    if isinstance(value, Boxes):
        return sum(array.nbytes for array in value.arrays().values())
    return value.nbytes if isinstance(value, np.ndarray) else 0

"""What is the same of a source that stands before another one."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vmixjax.data.codecs.codec import Small
from vmixjax.data.example import Example, Field, Pixels, Source, Trace
from vmixjax.data.room import Claim, at_once


class Wrapping(Source):
    """Reads another source; who inherits it says what is not as there.

    Args:
      source: The other source.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self.name: str = source.name
        self.splits: Mapping[str, int] = source.splits
        self.fields: Mapping[str, Field] = source.fields
        self.pixels: Pixels | None = source.pixels
        self.places: Sequence[Path] = source.places

    def number(self, split: str, index: int) -> int:
        """Gives the number that an example has in the other source."""
        del split
        return index

    def read(self, split: str, index: int, claim: Claim = at_once) -> Example:
        """As of the other source."""
        return self._source.read(split, self.number(split, index), claim)

    def look(
        self, split: str, index: int, enough: int, claim: Claim = at_once
    ) -> Small:
        """As of the other source."""
        return self._source.look(split, self.number(split, index), enough, claim)

    def name_of(self, split: str, index: int) -> str:
        """As of the other source."""
        return self._source.name_of(split, self.number(split, index))

    def values(self, split: str, index: int) -> Mapping[str, Any]:
        """As of the other source."""
        return self._source.values(split, self.number(split, index))

    def candidates(self, name: str) -> Iterator[tuple[str, int]]:
        """As of the other source: whose numbers are others says them anew."""
        return self._source.candidates(name)

    def extras(self, split: str, index: int) -> Iterator[str]:
        """As of the other source."""
        return self._source.extras(split, self.number(split, index))

    def loose(self) -> Iterator[str]:
        """As of the other source."""
        return self._source.loose()

    def remarks(self) -> Iterator[str]:
        """As of the other source."""
        return self._source.remarks()

    def left_out(self) -> Iterator[str]:
        """As of the other source."""
        return self._source.left_out()

    def traces(self) -> Iterator[Trace]:
        """As of the other source."""
        return self._source.traces()

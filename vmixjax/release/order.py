"""The order of a release: shuffled by the secret, so that it tells nothing.

In the order of the source, whoever knows its names would know which image each is, and
neighbours, which often show the same, would stay neighbours.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from vmixjax.data.example import Example, Source, Trace
from vmixjax.data.room import Claim, at_once
from vmixjax.errors import Gone

Order = Callable[[str, int], np.ndarray]
"""Gives, for a split with so many examples, the number that each place is taken by."""


def keyed_order(secret: bytes) -> Order:
    """Makes the order that a secret gives: that of 64 random bits for each example.

    They are what SHAKE256 gives of the secret, of this purpose and of the split.
    """

    def order(split: str, count: int) -> np.ndarray:
        purpose = b"vmixjax order\0" + split.encode("utf-8", "surrogateescape")
        drawn = hashlib.shake_256(secret + purpose).digest(8 * count)
        return np.argsort(np.frombuffer(drawn, "<u8"), kind="stable")

    return order


def inverse(order: Order) -> Order:
    """Makes the order that undoes another."""
    return lambda split, count: np.argsort(order(split, count), kind="stable")


class Placed(Source):
    """A source whose examples have other numbers.

    Args:
      source: The source.
      numbers: For each split and new number the one that the example has in the source,
        or `HOLE`.
    """

    HOLE = -1
    """A number that no example has any more."""

    def __init__(self, source: Source, numbers: Mapping[str, np.ndarray]) -> None:
        self._source, self._numbers = source, numbers
        self.name, self.fields, self.pixels = source.name, source.fields, source.pixels
        self.places = source.places
        self.splits: Mapping[str, int] = {
            split: len(places) for split, places in numbers.items()
        }

    def read(self, split: str, index: int, claim: Claim = at_once) -> Example:
        """Reads one example, by its new number."""
        return self._source.read(split, self._number(split, index), claim)

    def values(self, split: str, index: int) -> Mapping[str, Any]:
        """Reads what belongs to an image, by its new number."""
        return self._source.values(split, self._number(split, index))

    def extras(self, split: str, index: int) -> Iterator[str]:
        """Says what an example carries beyond what it should."""
        return self._source.extras(split, self._number(split, index))

    def loose(self) -> Iterator[str]:
        """Says what lies outside of all examples."""
        return self._source.loose()

    def traces(self) -> Iterator[Trace]:
        """Lists what tells the source from others: its order does not."""
        return self._source.traces()

    def _number(self, split: str, index: int) -> int:
        number = int(self._numbers[split][index])
        if number == self.HOLE:
            raise Gone(f"{split}/{index} is gone; name another image")
        return number


class Reordered(Placed):
    """A source whose examples have another order.

    Args:
      source: The source.
      order: For each new number the one that the example has there.
    """

    def __init__(self, source: Source, order: Order) -> None:
        counts = source.splits.items()
        super().__init__(
            source, {split: order(split, count) for split, count in counts}
        )

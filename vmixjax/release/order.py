"""The order of a release: shuffled by the secret, so that it tells nothing.

In the order of the source, whoever knows its names would know which image each is, and
neighbours, which often show the same, would stay neighbours.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from vmixjax.data.example import Source
from vmixjax.data.wrapping import Wrapping
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


class Placed(Wrapping):
    """A source whose examples have other numbers.

    Args:
      source: The source.
      numbers: For each split and new number the one that the example has in the source,
        or `HOLE`.
    """

    HOLE = -1
    """A number that no example has any more."""

    def __init__(self, source: Source, numbers: Mapping[str, np.ndarray]) -> None:
        super().__init__(source)
        self._numbers = numbers
        self.splits = {split: len(places) for split, places in numbers.items()}

    def candidates(self, name: str) -> Iterator[tuple[str, int]]:
        """Lists all: numbers in names are those of the source."""
        return Source.candidates(self, name)

    def number(self, split: str, index: int) -> int:
        """Gives the number in the source, unless nothing is there any more."""
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

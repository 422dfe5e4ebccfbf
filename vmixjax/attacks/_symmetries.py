"""The ways in which a square block can lie, and those in which it can be coloured."""

import functools
import itertools
from typing import NamedTuple, TypeVar

import jax
import numpy as np

ArrayT = TypeVar("ArrayT", jax.Array, np.ndarray)

WAYS = 8
"""In which a square can lie: turned by 0 to 3 quarters, and the same mirrored first."""


def lay(images: ArrayT, way: int) -> ArrayT:
    """Lays squares (..., b, b, C) down in one of `WAYS`; rectangles, if turned so."""
    if way >= 4:
        images = images[..., :, ::-1, :]
    for _ in range(way % 4):
        images = images.swapaxes(-3, -2)[..., ::-1, :, :]
    return images


def _tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    square = np.arange(4).reshape(2, 2, 1)
    ways = [lay(square, way).tobytes() for way in range(WAYS)]
    compose = np.array(
        [
            [ways.index(lay(lay(square, first), then).tobytes()) for first in range(8)]
            for then in range(8)
        ]
    )
    turn, mirror = np.array([[0, -1], [1, 0]]), np.array([[1, 0], [0, -1]])
    moves = [
        np.linalg.matrix_power(turn, way % 4) @ (mirror if way >= 4 else np.eye(2, 2))
        for way in range(WAYS)
    ]
    return compose, compose.argmin(1), np.array(moves, int)


COMPOSE, INVERSE, MOVES = _tables()
"""The way that two ways after each other make, `COMPOSE[then, first]`; the way back of
each; and what each makes of a step (down, right), int (8, 2, 2)."""


class Colours(NamedTuple):
    """How a block can be coloured: its channels exchanged, and perhaps inverted.

    Attributes:
      ways: Whether it is inverted, and the channel that each of its channels was.
      compose: The way that two after each other make, `compose[then, first]`.
      inverse: The way back of each.
    """

    ways: tuple[tuple[bool, tuple[int, ...]], ...]
    compose: np.ndarray
    inverse: np.ndarray

    def paint(self, images: ArrayT, way: int) -> ArrayT:
        """Colours images (..., C), with values of 0 to 255, in one of `ways`."""
        inverted, order = self.ways[way]
        images = images[..., list(order)]
        return 255 - images if inverted else images


@functools.cache
def colours_of(channels: int) -> Colours:
    """All ways to colour a block of so many channels; the first leaves it as it is."""
    orders = itertools.permutations(range(channels))
    ways = [(inverted, order) for order in orders for inverted in (False, True)]
    compose = np.array(
        [
            [
                ways.index((then[0] != first[0], tuple(first[1][k] for k in then[1])))
                for first in ways
            ]
            for then in ways
        ]
    )
    return Colours(tuple(ways), compose, compose.argmin(1))

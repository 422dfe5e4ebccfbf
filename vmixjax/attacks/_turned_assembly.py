"""Putting blocks together that may lie and be coloured in any way: the surest first.

Blocks grow into groups: of all ways in which two blocks can lie side by side, those are
taken first that fit better than any other block would. A group is moved, turned and
coloured as a whole when it joins another.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vmixjax.attacks._borders import misfits
from vmixjax.attacks._symmetries import (
    COMPOSE,
    INVERSE,
    MOVES,
    WAYS,
    Colours,
    colours_of,
    lay,
)

STEPS = np.array([(0, 1), (1, 0), (0, -1), (-1, 0)])
"""(down, right): to the block on the right, below, on the left and above."""

_QUARTER, _MIRROR, _UPSIDE = 1, 4, 6
"""Ways: a quarter turn, which brings what is below to the right; left and right
exchanged; top and bottom exchanged."""

_NONE = 1e3
"""Misfit where there is no other block."""

TRIED = 40
"""Ways to go on from each side of a block that are tried, on average."""


class Arrangement(NamedTuple):
    """Which block comes where, and how: int arrays (rows, columns)."""

    block: np.ndarray
    way: np.ndarray
    colour: np.ndarray


@jax.jit
def turned_misfits(pieces: jax.Array) -> jax.Array:
    """Computes how badly each block, laid in each way, fits to the right of each other.

    Args:
      pieces: Blocks, uint8 (P, b, b, C).

    Returns:
      float32 (P, 8, P, 8, E): block p laid in one way, and to its right block q laid in
      another and coloured in each of E ways more than p; infinite for one and the same.
    """
    count, channels = len(pieces), pieces.shape[-1]
    colours = colours_of(channels)
    inside = min(1, pieces.shape[1] - 1)
    laid = jnp.stack(
        [lay(pieces.astype(jnp.float32), way) for way in range(WAYS)], axis=1
    )
    # What is upside down on both sides fits as well: half of the ways are enough.
    before = [laid[:, :4, :, -1 - line] for line in (0, inside)]
    every = jnp.stack(
        [colours.paint(laid, way) for way in range(len(colours.ways))], axis=2
    )
    after = [every[..., line, :].reshape(-1, *laid.shape[-2:]) for line in (0, inside)]
    found = jax.lax.map(functools.partial(misfits, after=after), before)
    found = found.reshape(count, 4, count, WAYS, -1)
    upside = COMPOSE[_UPSIDE]
    other = found[:, upside[4:]][:, :, :, upside]
    found = jnp.concatenate([found, other], axis=1)
    same = jnp.eye(count, dtype=bool)[:, None, :, None, None]
    return jnp.where(same, jnp.inf, found)


def assemble_turned(
    fits: np.ndarray, shape: tuple[int, int], colours: Colours
) -> Arrangement:
    """Arranges blocks in a rectangle, but for a turn and a colouring of the whole.

    Args:
      fits: As `turned_misfits` gives them.
      shape: Rows and columns of the rectangle; their product is P.
      colours: The E ways in which a block can be coloured.

    Returns:
      The arrangement, of each block once.

    References:
      The order and the growth are Gallagher's, "Jigsaw Puzzles with Pieces of Unknown
      Orientation" (CVPR 2012), with a difference of logarithms for his ratio; that
      whole groups agree on a colouring where they touch is ours.
    """
    puzzle = _Puzzle(fits, shape, colours)
    for first, second in _surest(fits):
        if puzzle.group[first[0]] != puzzle.group[second[0]]:
            puzzle.join(first, second)
    return puzzle.filled()


def _surest(fits: np.ndarray) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Pairs of (block, way), the second right of the first, the surest pair first.

    A pair is as sure as it fits better than the best other block would, on that side of
    the first or of the second. The colouring that fits best stands for all.
    """
    best = fits.min(-1)
    count = len(best)
    by_block = best.min(-1)
    two = np.sort(by_block, axis=-1)[..., :2]
    # Of a side, what fits best there if one of the blocks is left out.
    is_best = by_block <= two[..., :1]
    others = np.where(is_best, two[..., 1:], two[..., :1])
    # What is left of a block is right of it when it is mirrored.
    mirrored = others[:, COMPOSE[_MIRROR]].transpose(2, 0, 1)
    rest = np.minimum(others[..., None], mirrored[:, None])
    sure = best - np.minimum(rest, _NONE)
    most = min(sure.size, TRIED * count * WAYS)
    order = np.argsort(sure, axis=None, kind="stable")[:most]
    p, a, q, b = (x.tolist() for x in np.unravel_index(order, sure.shape))
    return list(zip(zip(p, a, strict=True), zip(q, b, strict=True), strict=True))


class _Puzzle:
    """Blocks on their way into one rectangle.

    Attributes:
      group: Number of the group that each block is in.
      place, way, colour: Where it is in its group (down, right), and how.
    """

    def __init__(
        self, fits: np.ndarray, shape: tuple[int, int], colours: Colours
    ) -> None:
        self.fits, self.shape, self.colours = fits, shape, colours
        count = len(fits)
        self.group = np.arange(count)
        self.place = np.zeros((count, 2), int)
        self.way, self.colour = np.zeros(count, int), np.zeros(count, int)

    def join(self, first: tuple[int, int], second: tuple[int, int]) -> None:
        """Joins two groups so that one block lies next to another, if there is room."""
        (p, way), (q, other) = first, second
        mine, theirs = (np.flatnonzero(self.group == self.group[x]) for x in (p, q))
        turn = COMPOSE[self.way[p], INVERSE[way]]
        moved = COMPOSE[COMPOSE[turn, other], INVERSE[self.way[q]]]
        next_to = self.place[p] + MOVES[turn] @ STEPS[0]
        places = (self.place[theirs] - self.place[q]) @ MOVES[moved].T + next_to
        taken = self._taken(mine)
        free = not any(tuple(at) in taken for at in places.tolist())
        if not free or not self._fit(np.concatenate([self.place[mine], places])):
            return
        ways = COMPOSE[moved, self.way[theirs]]
        cost = np.zeros(len(self.colours.inverse))
        for x, at, lies in zip(theirs, places, ways, strict=True):
            painted = self.colours.compose[:, self.colour[x]]
            for side, step in enumerate(STEPS):
                near = taken.get(tuple((at - step).tolist()))
                if near is not None:
                    cost += self._beside(near, side, np.array([x]))[0, lies, painted]
        painted = self.colours.compose[cost.argmin()]
        self.place[theirs], self.way[theirs] = places, ways
        self.colour[theirs] = painted[self.colour[theirs]]
        self.group[theirs] = self.group[p]

    def _taken(self, blocks: np.ndarray) -> dict[tuple[int, ...], int]:
        """Blocks by their places."""
        return {tuple(self.place[x].tolist()): int(x) for x in blocks}

    def _fit(self, places: np.ndarray) -> bool:
        """Whether there is room for these places in the rectangle, turned or not."""
        sides = sorted(np.ptp(places, axis=0) + 1)
        return all(np.array(sides) <= sorted(self.shape))

    def _beside(self, near: int, side: int, blocks: np.ndarray) -> np.ndarray:
        """Misfits of blocks at a side of one that is placed: (P, ways, colours)."""
        turned = COMPOSE[_QUARTER] if side % 2 else np.arange(WAYS)
        colour = self.colours.compose[self.colours.inverse[self.colour[near]]]
        way, every = turned[self.way[near]], blocks[:, None]
        if side < 2:
            return self.fits[near, way, every, turned][..., colour]
        return self.fits[every, turned, near, way][..., self.colours.inverse[colour]]

    def filled(self) -> Arrangement:
        """Adds to the largest group block after block, where most neighbours are."""
        largest = np.bincount(self.group).argmax()
        inside = np.flatnonzero(self.group == largest)
        if (np.ptp(self.place[inside], axis=0) >= self.shape).any():
            self.place[inside] = self.place[inside] @ MOVES[_QUARTER].T
            self.way[inside] = COMPOSE[_QUARTER, self.way[inside]]
        taken = self._taken(inside)
        rest = np.flatnonzero(self.group != largest)
        while len(rest):
            found = []
            for at, near in self._holes(taken):
                costs = sum((self._beside(*one, rest) for one in near), np.zeros(()))
                best = np.unravel_index(costs.argmin(), costs.shape)
                found.append((costs.min(), at, best))
            _, at, (number, way, colour) = min(found, key=lambda one: one[0])
            block = int(rest[number])
            self.place[block], self.way[block], self.colour[block] = at, way, colour
            taken[at] = block
            rest = np.delete(rest, number)
        order = np.lexsort(self.place.T[::-1]).reshape(self.shape)
        return Arrangement(order, self.way[order], self.colour[order])

    def _holes(
        self, taken: dict[tuple[int, ...], int]
    ) -> list[tuple[tuple[int, ...], list[tuple[int, int]]]]:
        """Free places with the most neighbours, and these: (block, its side)."""
        low, high = np.min([*taken], axis=0), np.max([*taken], axis=0)
        near: dict[tuple[int, ...], list[tuple[int, int]]] = {}
        for (down, right), block in taken.items():
            for side, (y, x) in enumerate(STEPS.tolist()):
                at = (down + y, right + x)
                room = np.maximum(high, at) - np.minimum(low, at) < self.shape
                if at not in taken and room.all():
                    near.setdefault(at, []).append((block, side))
        most = max(map(len, near.values()))
        return [(at, found) for at, found in near.items() if len(found) == most]

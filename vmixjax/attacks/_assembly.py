"""Putting blocks together: beam search in each region, agreement between regions."""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from vmixjax.attacks._borders import misfits

PASSES = 8
"""Each half of the regions searched once from each corner."""

TEMPERATURE = 0.1
"""In units of misfit; 0.03 and 0.3 gave the same shares of right blocks to 0.1 %."""


def width(pieces: int) -> int:
    """Says how many arrangements of a region are followed at once.

    All there are of 2 x 2 blocks, so that the search is exhaustive; 256 of 4 x 4;
    fewer of more blocks, to bound the work.
    """
    most = math.factorial(pieces) if pieces < 6 else 256
    return max(8, min(most, 2**16 // pieces**2))


class _Fits(NamedTuple):
    """Misfits of blocks (rows, columns, P, P): of q, the last, next to p.

    Attributes:
      across, down: To its right, and below it, in the same region.
      over_right, over_bottom: Over the border to the next region; one column, or one
        row, of regions fewer.
    """

    across: jax.Array
    down: jax.Array
    over_right: jax.Array
    over_bottom: jax.Array


@functools.partial(jax.jit, static_argnums=1)
def assemble(pieces: jax.Array, shape: tuple[int, int]) -> jax.Array:
    """Orders the blocks of images, one image after the other, which bounds the memory.

    Args:
      pieces: Blocks of each region, uint8 (B, rows, columns, P, b, b, C).
      shape: Rows and columns of blocks in a region; their product is P.

    Returns:
      As for `assemble_one`, int32 (B, rows, columns, P).
    """
    return jax.lax.map(lambda x: assemble_one(x.astype(jnp.float32), shape), pieces)


def assemble_one(pieces: jax.Array, shape: tuple[int, int]) -> jax.Array:
    """Orders blocks so that they fit best, in each region and across their borders.

    First every region by itself. Then, in turns like the squares of a chessboard,
    each again with its neighbours' borders given: not their best arrangement alone,
    but all that were followed, weighted by how well they fit (mean field), so that
    regions that are solved help those that are not, and not the other way round. A
    beam that starts among blocks that are all alike may lose the best arrangement, so
    each turn starts from another corner, and only what fits better is taken over.

    Args:
      pieces: Blocks of each region, float32 (rows, columns, P, b, b, C).
      shape: Rows and columns of blocks in a region; their product is P.

    Returns:
      Which block comes at each place, in raster order, int32 (rows, columns, P).
    """
    rows, columns, count = pieces.shape[:3]
    left, right, top, bottom = _lines(pieces)
    fits = _Fits(
        misfits(right, left),
        misfits(bottom, top),
        misfits([x[:, :-1] for x in right], [x[:, 1:] for x in left]),
        misfits([x[:-1] for x in bottom], [x[1:] for x in top]),
    )
    board = jnp.add.outer(jnp.arange(rows), jnp.arange(columns))[..., None, None]

    def again(
        carry: tuple[jax.Array, jax.Array], turn: jax.Array
    ) -> tuple[tuple[jax.Array, jax.Array], None]:
        order, belief = carry
        outside = _outside(fits, belief, shape)
        new_order, new_belief, new_cost = _search(fits, outside, 3 - turn // 2, shape)
        better = new_cost <= _cost(fits, order, outside, shape) + 1e-4
        taken = better[..., None, None] & (board % 2 == turn % 2)
        order = jnp.where(taken[..., 0], new_order, order)
        return (order, jnp.where(taken, new_belief, belief)), None

    nothing = jnp.zeros((rows, columns, count, count), jnp.float32)
    order, belief, _ = _search(fits, nothing, jnp.int32(0), shape)
    (order, _), _ = jax.lax.scan(again, (order, belief), jnp.arange(PASSES))
    return order


def _search(
    fits: _Fits, outside: jax.Array, corner: jax.Array, shape: tuple[int, int]
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Each region by itself, from a corner: best order, belief, and the order's misfit.

    The belief (rows, columns, P, P) is how probable each block is at each place.
    """
    count = outside.shape[-1]
    place = jnp.arange(count).reshape(shape)
    corners = jnp.stack(
        [x.reshape(-1) for y in (place, place[::-1]) for x in (y, y[:, ::-1])]
    )
    across = jnp.where(corner % 2 == 1, fits.across.mT, fits.across)
    down = jnp.where(corner >= 2, fits.down.mT, fits.down)
    turned = corners[corner]
    find = functools.partial(_beam, shape=shape)
    orders, costs = jax.vmap(jax.vmap(find))(across, down, outside[:, :, turned])
    orders = orders[..., turned]
    weights = jax.nn.softmax(-costs / TEMPERATURE, axis=-1)
    places = jax.nn.one_hot(orders, count, dtype=weights.dtype)
    belief = jnp.einsum("ijw,ijwkp->ijkp", weights, places)
    return orders[:, :, 0], belief, costs[:, :, 0]


def _cost(
    fits: _Fits, order: jax.Array, outside: jax.Array, shape: tuple[int, int]
) -> jax.Array:
    """Misfit of each region's order, (rows, columns)."""
    places = jnp.arange(order.shape[-1])
    place = places.reshape(shape)

    def one(o: jax.Array, a: jax.Array, d: jax.Array, u: jax.Array) -> jax.Array:
        grid = o[place]
        inside = a[grid[:, :-1], grid[:, 1:]].sum() + d[grid[:-1], grid[1:]].sum()
        return inside + u[places, o].sum()

    return jax.vmap(jax.vmap(one))(order, fits.across, fits.down, outside)


def _outside(fits: _Fits, belief: jax.Array, shape: tuple[int, int]) -> jax.Array:
    """Misfit of each block at each place with what is believed of other regions."""
    place = jnp.arange(belief.shape[-1]).reshape(shape)
    outside = jnp.zeros_like(belief)
    lefts, rights = place[:, 0], place[:, -1]
    tops, bottoms = place[0], place[-1]
    outside = outside.at[:, 1:, lefts].add(
        jnp.einsum("ijkp,ijpq->ijkq", belief[:, :-1, rights], fits.over_right)
    )
    outside = outside.at[:, :-1, rights].add(
        jnp.einsum("ijkq,ijpq->ijkp", belief[:, 1:, lefts], fits.over_right)
    )
    outside = outside.at[1:, :, tops].add(
        jnp.einsum("ijkp,ijpq->ijkq", belief[:-1, :, bottoms], fits.over_bottom)
    )
    return outside.at[:-1, :, bottoms].add(
        jnp.einsum("ijkq,ijpq->ijkp", belief[1:, :, tops], fits.over_bottom)
    )


def _lines(pieces: jax.Array) -> tuple[tuple[jax.Array, jax.Array], ...]:
    """Left, right, top and bottom of blocks: the outer line, and the one inside it."""
    inside = min(1, pieces.shape[-2] - 1)  # one pixel has no inside
    return (
        (pieces[..., :, 0, :], pieces[..., :, inside, :]),
        (pieces[..., :, -1, :], pieces[..., :, -1 - inside, :]),
        (pieces[..., 0, :, :], pieces[..., inside, :, :]),
        (pieces[..., -1, :, :], pieces[..., -1 - inside, :, :]),
    )


def _beam(
    across: jax.Array, down: jax.Array, outside: jax.Array, *, shape: tuple[int, int]
) -> tuple[jax.Array, jax.Array]:
    """Fills one region in raster order, following the best beginnings.

    Args:
      across: (P, P), misfit of block q to the right of block p.
      down: (P, P), misfit of q below p.
      outside: (P, P), misfit of q at place k with what lies outside of the region.
      shape: rows and columns.

    Returns:
      orders, int32 (W, P), best first, and their misfits, float32 (W,).
    """
    count = across.shape[0]
    beam = width(count)
    blocks = jnp.arange(count, dtype=jnp.int32)[None]

    def fill(
        carry: tuple[jax.Array, jax.Array, jax.Array], place: jax.Array
    ) -> tuple[tuple[jax.Array, jax.Array, jax.Array], None]:
        orders, used, costs = carry
        left = orders[:, jnp.maximum(place - 1, 0)]
        above = orders[:, jnp.maximum(place - shape[1], 0)]
        added = outside[place][None]
        added += jnp.where(place % shape[1] > 0, across[left], 0)
        added += jnp.where(place >= shape[1], down[above], 0)
        longer = jnp.where(used, jnp.inf, costs[:, None] + added)
        best, chosen = jax.lax.top_k(-longer.reshape(-1), beam)
        parent, block = chosen // count, chosen % count
        orders = jnp.where(blocks == place, block[:, None], orders[parent])
        used = used[parent] | (blocks == block[:, None])
        return (orders, used, -best), None

    start = (
        jnp.zeros((beam, count), jnp.int32),
        jnp.zeros((beam, count), bool),
        jnp.full(beam, jnp.inf, jnp.float32).at[0].set(0),
    )
    (orders, _, costs), _ = jax.lax.scan(fill, start, blocks[0])
    return orders, costs

"""Jigsaw: blocks that stay whole still fit their neighbours.

Share of blocks that it puts back, over the five photographs of the demo at 320 x
320 (blocks of equal content count as each other), against 1 in 4, or in 16, by
chance:

    region, block                  16, 8   32, 16   16, 4   32, 8   64, 16
    blocks per region              2 x 2    2 x 2   4 x 4   4 x 4    4 x 4
    `"shared"`                      99.6     99.8    88.7    97.8     98.6 %
    `"independent"`                 98.9     99.7    78.6    96.0     98.7 %

What it solves in part only: blocks of 2 in regions of 8, 26 % (12 % count as right
before it); blocks of 4 in regions of 32, 12 % (5 %). Single pixels it does not
put back, though they come back smoother. Its time grows with the number of blocks,
and so with 1 / block^2. Blocks that were turned and recoloured as well are for
`turned_jigsaw`.
"""

import jax
import jax.numpy as jnp
import numpy as np

from vmixjax import _grid, _validate
from vmixjax.attacks import _checks
from vmixjax.attacks._assembly import assemble
from vmixjax.attacks._colours import partners
from vmixjax.attacks.attack import Attack, Budget
from vmixjax.attacks.threat_model import ThreatModel
from vmixjax.attacks.turned_jigsaw import turned_jigsaw
from vmixjax.config import CHANNEL_MODES, Channels, check_channels

MOST_PIECES = 256
"""Blocks of a region, above which no arrangement is searched for."""


def jigsaw(
    key: jax.Array,
    protected: jax.typing.ArrayLike,
    threat_model: ThreatModel,
    *,
    channels: Channels = "independent",
) -> jax.Array:
    """Puts the blocks of each region together again by how their borders fit.

    Channels that were shuffled independently are matched with each other first, by
    what is inside the blocks; from then on blocks have colours.

    Args:
      key: Of no use here; every attack has one.
      protected: Images, uint8 (B, H, W, C).
      threat_model: Its `region` and `block` say what moved, and how far. With `region`
        None the whole image is one puzzle. Where a region has more than 256 blocks,
        images come back as they are: no search that ends would find anything.
      channels: How channels took part (`vmixjax.MixConfig`).

    Returns:
      The reconstruction, uint8 (B, H, W, C).

    Raises:
      TypeError: Images that are not uint8.
      ValueError: No batch; a region or block that does not divide; an unknown mode, or
        `"joint"`, which it cannot solve.

    References:
      Ours, from the solvers of square jigsaw puzzles: borders as Gallagher's (CVPR
      2012), beam search, and mean-field agreement between regions.
    """
    del key
    protected = _validate.images("protected", protected)
    check_channels(channels)
    mode = CHANNEL_MODES[channels]
    if mode.crosses_channels:
        solvable = [repr(x) for x, y in CHANNEL_MODES.items() if not y.crosses_channels]
        raise ValueError(
            f"channels is {channels!r}, whose blocks no longer say which channel they "
            f"are of; this attack solves {' and '.join(reversed(solvable))}"
        )
    region = _checks.region(threat_model, protected.shape)
    block = _checks.block(threat_model, protected.shape)
    shape = (region[0] // block, region[1] // block)
    if not 1 < shape[0] * shape[1] <= MOST_PIECES:
        return protected
    pieces = _grid.cut_blocks(_grid.cut_regions(protected, region), block)
    if not mode.shares_permutation and protected.shape[-1] > 1:
        flat = pieces.reshape(-1, *pieces.shape[3:])
        found = partners(flat.astype(jnp.float32))[:, :, None, None]
        matched = np.take_along_axis(np.asarray(flat), found, axis=1)
        pieces = jnp.asarray(matched).reshape(pieces.shape)
    order = assemble(pieces, shape)
    solved = jnp.take_along_axis(pieces, order[..., None, None, None], axis=3)
    return _grid.join_regions(_grid.join_blocks(solved, region))


def _recover(
    key: jax.Array, protected: jax.Array, threat_model: ThreatModel, budget: Budget
) -> jax.Array:
    del budget
    if threat_model.turned:
        return turned_jigsaw(key, protected, threat_model)
    assert threat_model.channels is not None
    return jigsaw(key, protected, threat_model, channels=threat_model.channels)


ATTACK = Attack(
    name="jigsaw",
    about="blocks are put together where their borders fit, turned and recoloured back "
    "where they were",
    recover=_recover,
    applies=lambda protection, side: (
        protection.block > 1
        and (
            protection.turned
            or (
                protection.channels is not None
                and not CHANNEL_MODES[protection.channels].crosses_channels
            )
        )
    ),
)

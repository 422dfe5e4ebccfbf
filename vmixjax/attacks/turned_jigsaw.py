"""Turned jigsaw: blocks that were turned and recoloured still fit their neighbours.

Share of pairs of blocks next to each other that were so before, and SSIM if the whole
is turned and coloured by somebody who knows the original, over the five photographs of
the demo, scaled down and protected by EtC:

    side, block                   64, 16   224, 16   32, 8   64, 8   32, 4
    blocks                            16       196      16      64      64
    as protected                    23 %       1 %    23 %     4 %     4 %
    put together                   100 %      94 %   100 %    83 %    40 %
    SSIM                            1.00      0.98    0.98    0.63    0.32

Of 200 images of CIFAR-10, in blocks of 8, 92 % of the pairs (SSIM 0.86 if turned
by hand). How a picture lies is told from 4,000 others for every seventh of them alone,
and for every fourth if it may be mirrored, where one in 96 is right by chance. Who
looks at the pictures turns them at a glance.
"""

import jax
import jax.numpy as jnp
import numpy as np

from vmixjax import _grid, _validate
from vmixjax.attacks import _checks
from vmixjax.attacks._symmetries import colours_of, lay
from vmixjax.attacks._turned_assembly import assemble_turned, turned_misfits
from vmixjax.attacks._upright import upright
from vmixjax.attacks.threat_model import ThreatModel

MOST_PIECES = 256
"""Blocks of an image, above which no arrangement is searched for."""


def turned_jigsaw(
    key: jax.Array, protected: jax.typing.ArrayLike, threat_model: ThreatModel
) -> jax.Array:
    """Puts blocks together again, whichever way each lies and is coloured.

    Each may have been turned, mirrored and inverted, and its channels exchanged, all by
    itself. What the blocks cannot tell is how the whole of them lies and is coloured:
    that is guessed from public images.

    Args:
      key: Of no use here; every attack has one.
      protected: Images, uint8 (B, H, W, C).
      threat_model: Its `block` is what moved, anywhere in the image; its `public`
        images tell how pictures lie. Images of more than 256 blocks, or of one, come
        back as they are.

    Returns:
      The reconstruction, uint8 (B, H, W, C).

    Raises:
      TypeError: Images that are not uint8.
      ValueError: No batch, a block that does not divide, public images of another
        shape.

    References:
      Chuman, Kurihara and Kiya, "On the Security of Block Scrambling-Based EtC Systems
      against Extended Jigsaw Puzzle Solver Attacks" (ICME 2017); the solver is
      Gallagher's (CVPR 2012), with the borders of `jigsaw`.
    """
    del key
    protected = np.asarray(_validate.images("protected", protected))
    public = np.asarray(_validate.images("threat_model.public", threat_model.public))
    if public.shape[1:] != protected.shape[1:]:
        raise ValueError(
            f"threat_model.public are images of {public.shape[1:]}, and protected of "
            f"{protected.shape[1:]}: bring them to one size"
        )
    block = _checks.block(threat_model, protected.shape)
    height, width = protected.shape[1:3]
    shape = (height // block, width // block)
    if not 1 < shape[0] * shape[1] <= MOST_PIECES:
        return jnp.asarray(protected)
    solved = [_solved(image, block, shape) for image in protected]
    return jnp.asarray(upright(np.stack(solved), public))


def _solved(image: np.ndarray, block: int, shape: tuple[int, int]) -> np.ndarray:
    """One image, but for a turn and a colouring of the whole."""
    pieces = _grid.cut_blocks(image, block)
    colours = colours_of(image.shape[-1])
    found = assemble_turned(np.asarray(turned_misfits(pieces)), shape, colours)
    placed = [
        colours.paint(lay(pieces[which], way), colour)
        for which, way, colour in zip(*(x.reshape(-1) for x in found), strict=True)
    ]
    return _grid.join_blocks(np.stack(placed), image.shape[:2])

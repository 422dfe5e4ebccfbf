"""Shuffling everywhere: the end of the scale of what shuffling can hide."""

import jax

from vmixjax import _validate
from vmixjax.methods import _checks
from vmixjax.methods.method import from_function, whole_image


def permute_blocks(
    key: jax.Array, image: jax.typing.ArrayLike, *, block: int = 1
) -> jax.Array:
    """Moves blocks all over the image, whole, with their colours.

    With single pixels only the histogram of colours is left: the end of the scale of
    what shuffling can hide, and of what it leaves to learn from.

    Args:
      key: One typed key, of its own for each image.
      image: (H, W, C) uint8, H and W multiples of `block`.
      block: The strength, lower is stronger: side of a block in pixels.

    Returns:
      uint8 (H, W, C).

    Raises:
      TypeError, ValueError: As `le`.

    References:
      Folklore.
    """
    _validate.key(key)
    return _checks.blockwise(_permute_blocks, image, block, key)


def _permute_blocks(blocks: jax.Array, key: jax.Array) -> jax.Array:
    return jax.random.permutation(key, blocks)


METHOD = from_function(
    permute_blocks,
    "block",
    keys="each",
    title="blocks moved anywhere",
    strengths=(16, 8, 4, 2, 1),
    known=lambda shape, block: {
        "region": whole_image(shape),
        "block": block,
        "channels": "shared",
    },
)

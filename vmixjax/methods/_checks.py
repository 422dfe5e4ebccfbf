"""Checks of what methods are given, and what their results have in common.

Each error names the argument, its value and the mend.
"""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from vmixjax import _validate
from vmixjax._grid import cut_blocks, join_blocks

LARGEST_BLOCK = 4096
"""The sum of a larger block's values may leave 32 bits."""


def image(value: jax.typing.ArrayLike, block: int = 1) -> jax.Array:
    """One uint8 image that is made of whole blocks, or an error that says why not."""
    _validate.size("block", block)
    if block > LARGEST_BLOCK:
        raise ValueError(f"block must be at most {LARGEST_BLOCK} pixels; got {block}")
    array = _validate.image(value)
    if array.dtype != jnp.uint8:
        raise TypeError(
            f"image must be uint8, as the methods were published; got {array.dtype}. "
            f"Scale it to 0 to 255 and convert it with image.astype(jnp.uint8)"
        )
    height, width, _ = array.shape
    if height % block or width % block:
        raise ValueError(
            f"block of {block} does not divide an image of {height} x {width}: pad or "
            f"crop it to {-(-height // block) * block} x {-(-width // block) * block}, "
            f"or choose another block"
        )
    return array


def blockwise(
    function: Callable[..., jax.Array],
    value: jax.typing.ArrayLike,
    block: int,
    *args: jax.typing.ArrayLike,
) -> jax.Array:
    """Checks an image, and puts `function(blocks, *args)` in the place of its blocks.

    Blocks are uint8 (number, block, block, C), row by row.
    """
    return _blockwise(function, image(value, block), int(block), *args)


@functools.partial(jax.jit, static_argnums=(0, 2))
def _blockwise(
    function: Callable[..., jax.Array],
    image: jax.Array,
    block: int,
    *args: jax.typing.ArrayLike,
) -> jax.Array:
    return join_blocks(function(cut_blocks(image, block), *args), image.shape[:2])


def over_zero(name: str, value: float) -> float:
    """A strength as a float, or an error: finite and over 0."""
    number = _number(name, value)
    if not 0 < number < math.inf:
        raise ValueError(f"{name} must be a finite number over 0; got {value!r}")
    return number


def share(name: str, value: float) -> float:
    """A strength as a float, or an error: from 0 to 1."""
    number = _number(name, value)
    if not 0 <= number <= 1:
        raise ValueError(f"{name} must be a number from 0 to 1; got {value!r}")
    return number


def rounded(values: jax.Array) -> jax.Array:
    """Floats as uint8: clipped to 0 to 255, rounded to the nearest."""
    return jnp.round(jnp.clip(values, 0, 255)).astype(jnp.uint8)


def _number(name: str, value: object) -> float:
    known = int | float | np.integer | np.floating
    if isinstance(value, bool) or not isinstance(value, known):
        raise TypeError(
            f"{name} must be a Python number, the same for all images of a batch; got "
            f"{type(value).__name__}"
        )
    return float(value)

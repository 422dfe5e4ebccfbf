"""Checks of what attacks are given: each error names the argument and the mend."""

import jax
import jax.numpy as jnp

from vmixjax import _validate
from vmixjax.attacks.threat_model import ThreatModel


def images(name: str, value: jax.typing.ArrayLike) -> jax.Array:
    """A batch of images as a JAX array, or an error that says what is wrong."""
    array = jnp.asarray(value)
    if array.dtype != jnp.uint8:
        raise TypeError(
            f"{name} must be uint8; got {array.dtype}. Convert it with "
            f"{name}.astype(...)"
        )
    if array.ndim != 4 or 0 in array.shape:
        raise ValueError(
            f"{name} must be a batch (B, H, W, C); got shape {array.shape}. For one "
            f"image, {name}[None]"
        )
    return array


def region(knowledge: ThreatModel, shape: tuple[int, ...]) -> tuple[int, int]:
    """Height and width of a region in images of a shape: the image where None."""
    height, width = shape[-3:-1]
    if knowledge.region is None:
        return height, width
    _validate.size("knowledge.region", knowledge.region)
    if height % knowledge.region or width % knowledge.region:
        raise ValueError(
            f"knowledge.region of {knowledge.region} does not divide images of "
            f"{height} x {width}: crop them to whole regions, or name the region they "
            f"were protected with"
        )
    return knowledge.region, knowledge.region


def block(knowledge: ThreatModel, shape: tuple[int, ...]) -> int:
    """Side of a block that divides the regions of images of a shape."""
    _validate.size("knowledge.block", knowledge.block)
    height, width = region(knowledge, shape)
    if height % knowledge.block or width % knowledge.block:
        raise ValueError(
            f"knowledge.block of {knowledge.block} does not divide regions of {height} "
            f"x {width}; name the block they were protected with"
        )
    return knowledge.block

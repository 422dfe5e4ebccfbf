"""Checks of what attacks know: each error names the argument and the mend."""

import jax

from vmixjax import _validate
from vmixjax.attacks.threat_model import ThreatModel


def region(threat_model: ThreatModel, shape: tuple[int, ...]) -> tuple[int, int]:
    """Height and width of a region in images of a shape: the image where None."""
    height, width = shape[-3:-1]
    if threat_model.region is None:
        return height, width
    _validate.size("threat_model.region", threat_model.region)
    if height % threat_model.region or width % threat_model.region:
        raise ValueError(
            f"threat_model.region of {threat_model.region} does not divide images of "
            f"{height} x {width}: crop them to whole regions, or name the region they "
            f"were protected with"
        )
    return threat_model.region, threat_model.region


def mixes(
    name: str, what: str, value: jax.typing.ArrayLike, shape: tuple[int, ...]
) -> jax.Array:
    """Other mixes of protected images of a shape, uint8 (M, B, H, W, C)."""
    array = _validate.uint8(name, value)
    if array.ndim != 5 or array.shape[1:] != shape or not len(array):
        raise ValueError(
            f"{name} must be {what} of the protected images, shape (M, "
            f"{', '.join(map(str, shape))}) with M of at least 1; got {array.shape}"
        )
    return array


def block(threat_model: ThreatModel, shape: tuple[int, ...]) -> int:
    """Side of a block that divides the regions of images of a shape."""
    _validate.size("threat_model.block", threat_model.block)
    height, width = region(threat_model, shape)
    if height % threat_model.block or width % threat_model.block:
        raise ValueError(
            f"threat_model.block of {threat_model.block} does not divide regions of "
            f"{height} x {width}; name the block they were protected with"
        )
    return threat_model.block

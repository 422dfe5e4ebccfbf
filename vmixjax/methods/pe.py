"""Pixel-based encryption, PE: pixels stay where they are, their values change."""

import jax
import jax.numpy as jnp

from vmixjax import _validate
from vmixjax.methods import _checks
from vmixjax.methods.method import from_function


def pe(key: jax.Array, image: jax.typing.ArrayLike, *, share: float = 0.5) -> jax.Array:
    """Inverts values here and there, and shuffles the colours of each pixel.

    Pixels stay where they are: a place holds the values it had, each as v or 255 - v,
    in some order. The mean of min(v, 255 - v) over a pixel's channels is the same as
    before, for any key, and often a picture.

    Args:
      key: One typed key: of its own for each image, or, in its weaker form,
        the same for all.
      image: (H, W, C) uint8.
      share: The strength, 0 to 1: of values that are inverted, each at random; 0.5 is
        the published one, and the strongest.

    Returns:
      uint8 (H, W, C).

    Raises:
      TypeError: An image that is not uint8, a key of another kind.
      ValueError: A batch instead of one image, a share out of range.

    References:
      Sirichotedumrong, Kinoshita and Kiya, "Pixel-Based Image Encryption without Key
      Management for Privacy-Preserving Deep Neural Networks" (IEEE Access 2019), with
      the colour shuffling that it has as an option.
    """
    _validate.key(key)
    return _pe(key, _checks.image(image), _checks.share("share", share))


@jax.jit
def _pe(key: jax.Array, image: jax.Array, share: jax.typing.ArrayLike) -> jax.Array:
    invert_key, colour_key = jax.random.split(key)
    inverted = jax.random.bernoulli(invert_key, jnp.float32(share), image.shape)
    values = jnp.where(inverted, 255 - image, image)
    order = jnp.argsort(jax.random.bits(colour_key, image.shape, jnp.uint32), axis=2)
    return jnp.take_along_axis(values, order, axis=2)


METHOD = from_function(
    pe,
    "share",
    keys="each",
    title="pixel-based encryption, PE",
    strengths=(0.02, 0.05, 0.1, 0.2, 0.3, 0.5),
)

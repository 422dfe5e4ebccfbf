"""DP-Pix: pixelation with noise whose privacy can be stated."""

import functools

import jax
import jax.numpy as jnp

from vmixjax import _validate
from vmixjax.methods import _checks
from vmixjax.methods.method import Method, Protection, Strength, block_size, number


def dp_pix(
    key: jax.Array,
    image: jax.typing.ArrayLike,
    *,
    epsilon: float = 1.0,
    block: int = 16,
    neighbours: int = 16,
) -> jax.Array:
    """Paints each block in one colour: its mean with Laplace noise.

    Epsilon-private for neighbours that differ in at most m = `neighbours` pixels, by
    any amount: which of two such images it was cannot be told from what comes out by
    more than a factor exp(epsilon). An object of more than m pixels has less: k m
    pixels have k epsilon. So has an image that is protected twice.

    Args:
      key: One typed key, of its own for each image.
      image: (H, W, C) uint8, H and W multiples of `block`.
      epsilon: The strength, lower is stronger; over 0.
      block: Side of a block in pixels, 1 to 4096.
      neighbours: Number m of pixels that a neighbour may differ in.

    Returns:
      uint8 (H, W, C), rounded and clipped to 0 to 255 after the noise.

    Raises:
      TypeError: An image that is not uint8, a key of another kind.
      ValueError: Sides that the block does not divide, an epsilon not over 0.

    References:
      Fan, "Image Pixelization with Differential Privacy" (DBSec 2018): noise of scale
      255 m / (b^2 epsilon) for grey images. For C channels, all of which a pixel may
      differ in, ours is C times that, so that epsilon means the same; this and the
      defaults are our reading.
    """
    _validate.key(key)
    image = _checks.image(image, block)
    _validate.size("neighbours", neighbours)
    epsilon = _checks.over_zero("epsilon", epsilon)
    scale = 255 * neighbours * image.shape[2] / (block**2 * epsilon)
    return _checks.blockwise(_dp_pix, image, block, key, scale)


def _dp_pix(
    blocks: jax.Array, key: jax.Array, scale: jax.typing.ArrayLike
) -> jax.Array:
    sums = blocks.sum((1, 2), jnp.uint32, keepdims=True)
    means = sums.astype(jnp.float32) / blocks.shape[1] ** 2
    noise = scale * jax.random.laplace(key, means.shape, means.dtype)
    noisy = _checks.rounded(means + noise)
    return jnp.broadcast_to(noisy, blocks.shape)


def _build(shape: tuple[int, ...], strength: Strength | None) -> Protection:
    epsilon = number(strength, 1.0)
    # The published blocks of 16 are an eighth or less of the published images' sides.
    block = block_size(None, min(16, max(min(shape[:2]) // 8, 1)), shape)
    protect = functools.partial(dp_pix, epsilon=epsilon, block=block)
    return Protection(protect, "each", epsilon, region=block)


METHOD = Method(
    name="dp_pix",
    title="DP-Pix",
    build=_build,
    unit="epsilon {:g}",
    strengths=(1000, 300, 150, 75, 40, 20, 10),
    remark="See vmixjax.methods.",
)

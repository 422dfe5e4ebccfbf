"""Learnable image encryption: LE, ELE, PE and EtC.

What the original codes keep as a secret is drawn from a JAX key. LE, ELE and, where
networks learn from it, EtC were published with one secret for all images: a network
must see the same scramble everywhere. That is what an audit should attack: one key for
a whole data set, so that a known pair tells something of every other image. PE was
published both ways; its authors recommend a key for each image. All are bijections of
images: the key undoes them, and equal images under one key stay equal.
"""

import functools

import jax
import jax.numpy as jnp

from vmixjax import _validate
from vmixjax.methods import _checks
from vmixjax.methods._blocks import from_blocks, to_blocks


def le(key: jax.Array, image: jax.typing.ArrayLike, *, block: int = 4) -> jax.Array:
    """LE: half bytes of a block trade places, some inverted, alike in all blocks.

    The values of a block, C of each pixel, are split into their lower and upper four
    bits: 2 b b C half bytes. Those at half of the places are inverted (15 - v), all
    are shuffled, those that are then at the same places are inverted (so some twice),
    and pairs become bytes again. One permutation serves all blocks.

    Args:
      key: one typed Threefry key; as published, the same for all images.
      image: (H, W, C) uint8, H and W multiples of `block`.
      block: side of a block in pixels; the published one is 4. The strength: more
        places to go to, but fewer blocks with less in common.

    Returns:
      uint8 (H, W, C).

    Raises:
      TypeError: an image that is not uint8, a key that is not typed Threefry.
      ValueError: a batch instead of one image, sides that the block does not divide.

    Source: Tanaka, "Learnable Image Encryption" (ICCE-TW 2018, arXiv 1804.00490), in
    the order of the author's published code, which pads where we refuse.
    """
    _validate.key(key)
    return _le(key, _checks.image(image, block), int(block))


def ele(key: jax.Array, image: jax.typing.ArrayLike, *, block: int = 4) -> jax.Array:
    """ELE: as LE, but each block by a permutation of its own; then blocks move, too.

    Args:
      key: one typed Threefry key; as published, the same for all images.
      image: (H, W, C) uint8, H and W multiples of `block`.
      block: as for `le`.

    Returns:
      uint8 (H, W, C).

    Raises:
      TypeError, ValueError: as `le`.

    Source: Madono, Tanaka, Onishi and Ogawa, "Block-wise Scrambled Image Recognition
    Using Adaptation Network" (AAAI workshop 2020, arXiv 2001.07761). That blocks are
    scrambled first and move then is our reading, from public codes.
    """
    _validate.key(key)
    return _ele(key, _checks.image(image, block), int(block))


def pe(key: jax.Array, image: jax.typing.ArrayLike, *, share: float = 0.5) -> jax.Array:
    """PE: values inverted here and there, and each pixel's colours trade places.

    Pixels stay where they are: a place holds the values it had, each as v or 255 - v,
    in some order. The mean of min(v, 255 - v) over a pixel's channels is the same as
    before, for any key, and often a picture.

    Args:
      key: one typed Threefry key: of its own for each image, or, in its weaker form,
        the same for all.
      image: (H, W, C) uint8.
      share: the strength, 0 to 1: of values that are inverted, each at random; 0.5 is
        the published one, and the strongest.

    Returns:
      uint8 (H, W, C).

    Raises:
      TypeError: an image that is not uint8, a key that is not typed Threefry.
      ValueError: a batch instead of one image, a share out of range.

    Source: Sirichotedumrong, Kinoshita and Kiya, "Pixel-Based Image Encryption without
    Key Management for Privacy-Preserving Deep Neural Networks" (IEEE Access 2019), with
    the colour shuffling that it has as an option.
    """
    _validate.key(key)
    return _pe(key, _checks.image(image), _checks.share("share", share))


def etc(key: jax.Array, image: jax.typing.ArrayLike, *, block: int = 8) -> jax.Array:
    """EtC: blocks move, turn, are mirrored and inverted, and trade their colours.

    Inside, a block stays a picture (so that it still compresses): what a jigsaw
    solver needs.

    Args:
      key: one typed Threefry key: as published for storage, of its own for each image;
        where networks learn from it, the same for all.
      image: (H, W, C) uint8, H and W multiples of `block`.
      block: the strength, lower is stronger: side of a block in pixels. Published with
        16 (for JPEG) and 8; with 4 where networks learn from it.

    Returns:
      uint8 (H, W, C).

    Raises:
      TypeError: an image that is not uint8, a key that is not typed Threefry.
      ValueError: a batch instead of one image, sides that the block does not divide.

    Source: Chuman, Sirichotedumrong and Kiya, "Encryption-Then-Compression Systems
    Using Grayscale-Based Image Encryption for JPEG Images" (IEEE TIFS 2019, online
    2018), which goes back to the colour scheme that is done here (Kurihara, Shiota and
    Kiya, 2015). That all eight ways to lay a square down are as likely is our reading.
    """
    _validate.key(key)
    return _etc(key, _checks.image(image, block), int(block))


@functools.partial(jax.jit, static_argnums=2)
def _le(key: jax.Array, image: jax.Array, block: int) -> jax.Array:
    blocks = to_blocks(image, block)
    scrambled = jax.vmap(_scramble, (None, 0))(_half_byte_order(key, blocks), blocks)
    return from_blocks(scrambled, image.shape)


@functools.partial(jax.jit, static_argnums=2)
def _ele(key: jax.Array, image: jax.Array, block: int) -> jax.Array:
    blocks = to_blocks(image, block)
    move_key, scramble_key = jax.random.split(key)
    keys = jax.random.split(scramble_key, len(blocks))
    orders = jax.vmap(_half_byte_order, (0, None))(keys, blocks)
    scrambled = jax.vmap(_scramble)(orders, blocks)
    moved = scrambled[jax.random.permutation(move_key, len(blocks))]
    return from_blocks(moved, image.shape)


@jax.jit
def _pe(key: jax.Array, image: jax.Array, share: jax.typing.ArrayLike) -> jax.Array:
    invert_key, colour_key = jax.random.split(key)
    inverted = jax.random.bernoulli(invert_key, share, image.shape)
    values = jnp.where(inverted, 255 - image, image)
    order = jnp.argsort(jax.random.bits(colour_key, image.shape), axis=2)
    return jnp.take_along_axis(values, order, axis=2)


@functools.partial(jax.jit, static_argnums=2)
def _etc(key: jax.Array, image: jax.Array, block: int) -> jax.Array:
    blocks = to_blocks(image, block)
    count, *_, channels = blocks.shape
    move_key, block_key = jax.random.split(key)
    blocks = blocks[jax.random.permutation(move_key, count)]
    bits = jax.random.bits(block_key, (count, 1, 1, 4 + channels))
    flags, colours = bits[..., :4] & 1 == 1, bits[..., 4:]
    # Mirrors along the diagonal, rows and columns make all eight of a square.
    blocks = jnp.where(flags[..., :1], blocks.swapaxes(1, 2), blocks)
    blocks = jnp.where(flags[..., 1:2], blocks[:, ::-1], blocks)
    blocks = jnp.where(flags[..., 2:3], blocks[:, :, ::-1], blocks)
    blocks = jnp.where(flags[..., 3:], 255 - blocks, blocks)
    order = jnp.argsort(colours, axis=3)
    return from_blocks(jnp.take_along_axis(blocks, order, axis=3), image.shape)


def _half_byte_order(key: jax.Array, blocks: jax.Array) -> jax.Array:
    """A permutation of the half bytes of one of the blocks."""
    return jax.random.permutation(key, 2 * blocks[0].size)


def _scramble(order: jax.Array, block: jax.Array) -> jax.Array:
    """One block by one permutation, which also says where half bytes are inverted."""
    values = block.reshape(-1)
    halves = jnp.concatenate([values & 15, values >> 4])
    mask = jnp.where(order > order.size // 2, 15, 0).astype(jnp.uint8)
    halves = (halves ^ mask)[order] ^ mask
    low, high = jnp.split(halves, 2)
    return (low | high << 4).reshape(block.shape)

"""Known pairs: from pairs of original and protected image to the permutation.

Total where one key serves several images, as the published code shares one between the
images of a batch; useless where every image has a key of its own.
"""

import jax
import jax.numpy as jnp
import numpy as np

from vmixjax.attacks import _checks
from vmixjax.attacks._pieces import (
    cut_pieces,
    cut_regions,
    join_pieces,
    join_regions,
)
from vmixjax.attacks.threat_model import ThreatModel
from vmixjax.config import Channels, check_channels


def known_pairs(
    key: jax.Array,
    protected: jax.typing.ArrayLike,
    knowledge: ThreatModel,
    *,
    originals: jax.typing.ArrayLike,
    pairs_protected: jax.typing.ArrayLike,
    channels: Channels = "independent",
) -> jax.Array:
    """Undoes the permutation that the pairs show, wherever values went in them.

    Each block has the sequence of its values over all pairs: a block of the protected
    images came from where the originals have the same sequence. Places with equal
    sequences cannot be told apart, and are matched in raster order. How many pairs
    leave no two equal depends on the images: for one channel at a time and single
    pixels of photographs, in regions of 8 to 32, two pairs put 81 to 92 % of the
    values back, four 99.5 %, eight 99.999 % and eleven all; blocks of 4 need two.

    Values must have been moved only, and alike in all pairs: by one key and one plan.

    Args:
      key: of no use here; every attack has one.
      protected: uint8 (B, H, W, C), to be undone.
      knowledge: `region` and `block` say what moved, and how far; with `region` None,
        anywhere in the image.
      originals: uint8 (m, H, W, C), known images.
      pairs_protected: uint8 (m, H, W, C), the same as protected.
      channels: how channels took part (`vmixjax.MixConfig`): each by itself, all
        alike, or blocks moving between channels too.

    Returns:
      uint8 (B, H, W, C). With pairs whose keys are not those of `protected`, just
      another shuffle of it.

    Raises:
      TypeError: images that are not uint8.
      ValueError: pairs of different shapes, or of another size than `protected`; a
        region or block that does not divide; an unknown mode.

    Source: known-plaintext attacks on permutation-only ciphers, as Li et al., "A
    general quantitative cryptanalysis of permutation-only multimedia ciphers against
    plaintext attacks" (Signal Processing: Image Communication, 2008).
    """
    del key
    protected, originals, pairs_protected = _checked(
        protected, originals, pairs_protected
    )
    check_channels(channels)
    region = _checks.region(knowledge, protected.shape)
    block = _checks.block(knowledge, protected.shape)

    def items(images: jax.Array) -> np.ndarray:
        return _items(np.asarray(cut_pieces(images, region, block)), channels)

    came_from = _order(items(originals))
    went_to = _order(items(pairs_protected))
    source = np.empty_like(went_to)
    np.put_along_axis(source, came_from, went_to, axis=-1)
    mixed = items(protected)
    restored = np.take_along_axis(mixed, source[None, ..., None], axis=-2)
    shape = cut_pieces(protected, region, block).shape
    return join_pieces(jnp.asarray(_pieces(restored, shape, channels)), region)


def known_plaintext_half_bytes(
    key: jax.Array,
    protected: jax.typing.ArrayLike,
    knowledge: ThreatModel,
    *,
    originals: jax.typing.ArrayLike,
    pairs_protected: jax.typing.ArrayLike,
) -> jax.Array:
    """The same for methods that move half bytes and invert some: LE and ELE.

    A half byte v that was moved, and perhaps inverted (15 - v), has the sequence of
    where it came from over all regions of all pairs, or the inverse of that sequence.

    Args:
      key: of no use here; every attack has one.
      protected: uint8 (B, H, W, C), to be undone.
      knowledge: `region` says inside what half bytes moved, in every region alike;
        None for anywhere in the image.
      originals: uint8 (m, H, W, C), known images.
      pairs_protected: uint8 (m, H, W, C), the same as protected.

    Returns:
      uint8 (B, H, W, C).

    Raises:
      TypeError, ValueError: as `known_pairs`.

    Source: ours; others have broken LE and its kin as well, such as Chang and Case,
    "Attacks on Image Encryption Schemes for Privacy-Preserving Deep Neural Networks"
    (2020, arXiv 2004.13263).
    """
    del key
    protected, originals, pairs_protected = _checked(
        protected, originals, pairs_protected
    )
    region = _checks.region(knowledge, protected.shape)

    def halves(images: jax.Array) -> np.ndarray:
        """(regions of all images, half bytes of one)."""
        cut = np.asarray(cut_regions(images, region))
        values = cut.reshape(-1, region[0] * region[1] * images.shape[-1])
        return np.concatenate([values & 15, values >> 4], -1)

    here, there = halves(originals), halves(pairs_protected)
    moved = halves(protected)
    # A sequence and its inverse count as one: that which begins below 8.
    turned = [np.where(values[:1] > 7, 15, 0) for values in (here, there)]
    came_from = np.lexsort(here ^ turned[0])
    went_to = np.lexsort(there ^ turned[1])
    found = np.empty_like(moved)
    inverted = turned[0][:, came_from] ^ turned[1][:, went_to]
    found[:, came_from] = moved[:, went_to] ^ inverted
    low, high = np.split(found, 2, -1)
    grid = cut_regions(protected, region).shape
    values = (low | high << 4).astype(np.uint8).reshape(grid)
    return join_regions(jnp.asarray(values))


def _checked(
    protected: jax.typing.ArrayLike,
    originals: jax.typing.ArrayLike,
    pairs_protected: jax.typing.ArrayLike,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    protected = _checks.images("protected", protected)
    originals = _checks.images("originals", originals)
    pairs_protected = _checks.images("pairs_protected", pairs_protected)
    if pairs_protected.shape != originals.shape:
        raise ValueError(
            f"pairs_protected has shape {pairs_protected.shape}, but originals "
            f"{originals.shape}; they must be pairs, in the same order"
        )
    if originals.shape[1:] != protected.shape[1:]:
        raise ValueError(
            f"originals has images of {originals.shape[1:]}, but protected of "
            f"{protected.shape[1:]}; a permutation is known for one size only"
        )
    return protected, originals, pairs_protected


def _items(pieces: np.ndarray, channels: Channels) -> np.ndarray:
    """(B, rows, columns, N, b, b, C) -> (B, groups, items of a group, values of one).

    Items change places only within their group.
    """
    batch, rows, columns, count, block, _, depth = pieces.shape
    flat = pieces.reshape(batch, rows * columns, count, block * block, depth)
    if channels == "shared":
        return flat.reshape(batch, rows * columns, count, -1)
    flat = np.moveaxis(flat, -1, 2)
    if channels == "joint":
        return flat.reshape(batch, rows * columns, depth * count, -1)
    return flat.reshape(batch, rows * columns * depth, count, -1)


def _pieces(
    items: np.ndarray, shape: tuple[int, ...], channels: Channels
) -> np.ndarray:
    """The inverse of `_items`, to pieces of a shape."""
    if channels == "shared":
        return items.reshape(shape)
    batch, rows, columns, count, block, _, depth = shape
    flat = items.reshape(batch, rows, columns, depth, count, block, block)
    return np.moveaxis(flat, 3, -1)


def _order(items: np.ndarray) -> np.ndarray:
    """(m, groups, N, values) -> (groups, N): items sorted by their sequences."""
    sequences = np.moveaxis(items, 0, -1)
    keys = np.moveaxis(sequences.reshape(*sequences.shape[:2], -1), -1, 0)
    return np.lexsort(keys, axis=-1)

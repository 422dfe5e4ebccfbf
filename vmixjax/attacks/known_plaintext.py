"""Known plaintext: from pairs of original and protected image to the permutation.

Total where one key serves several images, as the published code shares one between the
images of a batch; useless where every image has a key of its own.

Each block has the sequence of its values over all pairs: a block of the protected
images came from where the originals have the same sequence. Places with equal
sequences cannot be told apart, and are matched in raster order. How many pairs
leave no two equal depends on the images: for one channel at a time and single
pixels of photographs, in regions of 8 to 32, two pairs put 81 to 92 % of the
values back, four 99.5 %, eight 99.999 % and eleven all; blocks of 4 need two.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vmixjax import _validate
from vmixjax._grid import cut_blocks, cut_regions, join_regions
from vmixjax.attacks import _checks
from vmixjax.attacks.attack import Attack, Budget, Study, StudyResult
from vmixjax.attacks.threat_model import ThreatModel
from vmixjax.attacks.trial import Trial, protect_each
from vmixjax.config import CHANNEL_MODES, Channels, check_channels


def known_plaintext(
    key: jax.Array,
    protected: jax.typing.ArrayLike,
    threat_model: ThreatModel,
    *,
    originals: jax.typing.ArrayLike,
    pairs_protected: jax.typing.ArrayLike,
    channels: Channels = "independent",
) -> jax.Array:
    """Undoes the permutation that the pairs show, wherever values went in them.

    Values must have been moved only, and alike in all pairs: by one key and one plan.

    Args:
      key: Of no use here; every attack has one.
      protected: Images to be undone, uint8 (B, H, W, C).
      threat_model: Its `region` and `block` say what moved, and how far; with `region`
        None, anywhere in the image.
      originals: Known images, uint8 (M, H, W, C).
      pairs_protected: The same as protected, uint8 (M, H, W, C).
      channels: How channels took part (`vmixjax.MixConfig`): each by itself, all
        alike, or blocks moving between channels too.

    Returns:
      The reconstruction, uint8 (B, H, W, C). With pairs whose keys are not those of
      `protected`, just another shuffle of it.

    Raises:
      TypeError: Images that are not uint8.
      ValueError: Pairs of different shapes, or of another size than `protected`; a
        region or block that does not divide; an unknown mode.

    References:
      Li et al., "A general quantitative cryptanalysis of permutation-only multimedia
      ciphers against plaintext attacks" (Signal Processing: Image Communication,
      2008).
    """
    del key
    protected, originals, pairs_protected = _checked(
        protected, originals, pairs_protected
    )
    check_channels(channels)
    region = _checks.region(threat_model, protected.shape)
    block = _checks.block(threat_model, protected.shape)

    def items(images: jax.typing.ArrayLike) -> np.ndarray:
        pieces = cut_blocks(cut_regions(np.asarray(images), region), block)
        return _items(pieces, channels)

    came_from = _order(items(originals))
    went_to = _order(items(pairs_protected))
    source = np.empty_like(went_to)
    np.put_along_axis(source, came_from, went_to, axis=-1)
    # Where the values of each item lie in an image.
    places = items(np.arange(protected[0].size).reshape(1, *protected.shape[1:]))
    restored = np.empty((len(protected), places.size), np.uint8)
    restored[:, places[0]] = np.take_along_axis(
        items(protected), source[None, ..., None], axis=-2
    )
    return jnp.asarray(restored.reshape(protected.shape))


def known_plaintext_half_bytes(
    key: jax.Array,
    protected: jax.typing.ArrayLike,
    threat_model: ThreatModel,
    *,
    originals: jax.typing.ArrayLike,
    pairs_protected: jax.typing.ArrayLike,
) -> jax.Array:
    """Does the same to methods that move half bytes and invert some: LE and ELE.

    A half byte v that was moved, and perhaps inverted (15 - v), has the sequence of
    where it came from over all regions of all pairs, or the inverse of that sequence.

    Args:
      key: Of no use here; every attack has one.
      protected: Images to be undone, uint8 (B, H, W, C).
      threat_model: Its `region` says inside what half bytes moved, in every region
        alike; None for anywhere in the image.
      originals: Known images, uint8 (M, H, W, C).
      pairs_protected: The same as protected, uint8 (M, H, W, C).

    Returns:
      The reconstruction, uint8 (B, H, W, C).

    Raises:
      TypeError, ValueError: As `known_plaintext`.

    References:
      Ours; others have broken LE and its kin as well, such as Chang and Case, "Attacks
      on Image Encryption Schemes for Privacy-Preserving Deep Neural Networks", 2020
      (arXiv 2004.13263).
    """
    del key
    protected, originals, pairs_protected = _checked(
        protected, originals, pairs_protected
    )
    region = _checks.region(threat_model, protected.shape)

    def halves(images: jax.Array) -> np.ndarray:
        """(regions of all images, half bytes of one)."""
        cut = cut_regions(np.asarray(images), region)
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
    protected = _validate.images("protected", protected)
    originals = _validate.images("originals", originals)
    pairs_protected = _validate.images("pairs_protected", pairs_protected)
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
    mode = CHANNEL_MODES[channels]
    if mode.shares_permutation:
        return flat.reshape(batch, rows * columns, count, -1)
    flat = np.moveaxis(flat, -1, 2)
    if mode.crosses_channels:
        return flat.reshape(batch, rows * columns, depth * count, -1)
    return flat.reshape(batch, rows * columns * depth, count, -1)


def _order(items: np.ndarray) -> np.ndarray:
    """(m, groups, N, values) -> (groups, N): items sorted by their sequences."""
    sequences = np.moveaxis(items, 0, -1)
    keys = np.moveaxis(sequences.reshape(*sequences.shape[:2], -1), -1, 0)
    return np.lexsort(keys, axis=-1)


def _recover(
    key: jax.Array, protected: jax.Array, threat_model: ThreatModel, budget: Budget
) -> jax.Array:
    pairs = threat_model.pairs(budget["pairs"])
    known: Any = dict(zip(("originals", "pairs_protected"), pairs, strict=True))
    if threat_model.channels is None:
        return known_plaintext_half_bytes(key, protected, threat_model, **known)
    known["channels"] = threat_model.channels
    return known_plaintext(key, protected, threat_model, **known)


def _share_a_key(trial: Trial) -> StudyResult:
    """What the pairs put back if images share a key, and if they do not.

    The values are shares of those that are the original's: `by_chance` already as
    protected, `own_keys` after the attack where each image has a key of its own,
    `one_key` where one key serves all images, and `pairs` is how many are known.
    """
    protect, name = trial.protection.protect, trial.protection.name
    key, threat_model = trial.key("known_pairs", name), trial.threat_model
    shared = trial.key("shared", name)

    def with_one_key(images: jax.Array) -> jax.Array:
        return protect_each(protect, jnp.broadcast_to(shared, (len(images),)), images)

    def pairs(count: int) -> tuple[jax.Array, jax.Array]:
        known = trial.public[:count]
        return known, with_one_key(known)

    def right(images: jax.Array) -> float:
        return float((np.asarray(images) == np.asarray(trial.images)).mean())

    def undone(protected: jax.Array, threat_model: ThreatModel) -> float:
        return right(_recover(key, protected, threat_model, trial.budget))

    own = trial.protect(trial.images)
    sharing = dataclasses.replace(threat_model, pairs=pairs)
    return StudyResult(
        {
            "pairs": min(trial.budget["pairs"], len(trial.public)),
            "by_chance": right(own),
            "own_keys": undone(own, threat_model),
            "one_key": undone(with_one_key(trial.images), sharing),
        }
    )


ATTACK = Attack(
    name="known_pairs",
    about="the permutation that explains some pairs of originals and protected images "
    "is undone in the others",
    recover=_recover,
    applies=lambda protection, side: (
        protection.channels is not None or protection.half_bytes
    ),
    study=Study(
        name="key_sharing",
        run=_share_a_key,
        # What was published with one key for all has no other case to compare with.
        subjects=lambda protections: [
            one
            for one in protections
            if one.channels is not None and one.keys == "each"
        ][:1],
        section="Never one key for two images",
        text=lambda first: (
            f"Share of the values that known_pairs puts back, from {first['pairs']} "
            f"pairs of images as they are and as protected. Values that are right as "
            f"protected are so by chance."
        ),
        corner="method",
        columns={
            "as protected": "by_chance",
            "a key for each image": "own_keys",
            "one key for all": "one_key",
        },
        number=".1%",
    ),
    budgets={"quick": {"pairs": 16}, "hour": {"pairs": 16}, "full": {"pairs": 32}},
)

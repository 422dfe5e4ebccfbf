"""Classes of pixels: which are known, what they cost, and how many are right.

A mask is (H, W), uint8: a class, from 0, for each pixel; `IGNORED` where none is known.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from vmixjax.data.masks import NOTHING, Mask, unsaid_classes

IGNORED = NOTHING
"""Of pixels that nothing is known of: they are neither learned nor tested."""

MOST_CLASSES = 255
"""Classes of a mask, at most."""

_FEWEST = 1.02
"""Keeps the weights of classes that hardly occur finite, and at fifty at most."""


def mask_classes(field: Mask) -> tuple[str, ...] | None:
    """Names the classes of a mask, without void ones; None where it does not say."""
    if field.count is None and not field.names:
        return None
    names = field.names or tuple(map(str, range(field.count or 0)))
    void = unsaid_classes(field)
    return tuple(name for i, name in enumerate(names) if i not in void)


def known_classes(mask: np.ndarray, field: Mask) -> np.ndarray:
    """Gives a mask whose classes are those of `mask_classes`; what is void is ignored.

    Args:
      mask: uint8, of any shape, as of the field.
      field: What is known of it.
    """
    void = unsaid_classes(field)
    count = len(field.names) if field.names else field.count or MOST_CLASSES
    table = np.full(256, IGNORED, np.uint8)
    known = [i for i in range(min(count, MOST_CLASSES)) if i not in void]
    table[known] = np.arange(len(known))
    return table[mask]


def enlarged(logits: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Brings logits (B, h, w, classes) to the size of their images, float32."""
    shape = (len(logits), *size, logits.shape[-1])
    return jax.image.resize(logits.astype(jnp.float32), shape, "bilinear")


def pixel_loss(logits: jax.Array, masks: jax.Array) -> jax.Array:
    """Computes the mean cross-entropy of pixels whose class is known: a scalar.

    Those of rare classes weigh more.

    Args:
      logits: (B, H, W, classes), float32.
      masks: uint8 (B, H, W).

    References:
      Paszke et al., "ENet" (2016, arXiv 1606.02147), section 5.2, for the weights. That
      shares of classes are those of the batch is ours.
    """
    known, classes = masks != IGNORED, logits.shape[-1]
    labels = jnp.where(known, masks, 0).astype(jnp.int32)
    each = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    counts = jnp.bincount(
        jnp.where(known, labels, classes).ravel(), length=classes + 1
    )[:-1]
    # A batch may have none.
    share = counts / jnp.maximum(1, counts.sum())
    weight = (1 / jnp.log(_FEWEST + share))[labels] * known
    return jnp.sum(each * weight) / jnp.maximum(1, jnp.sum(weight))


def dice_loss(logits: jax.Array, masks: jax.Array) -> jax.Array:
    """Computes one less Dice's coefficient, the mean over classes: a scalar, 0 to 1.

    A class counts as much as any other, however few pixels show it; those of a whole
    batch are taken together, since an image may have none.

    Args:
      logits: (B, H, W, classes), float32.
      masks: uint8 (B, H, W).

    References:
      Milletari et al., "V-Net" (3DV 2016, arXiv 1606.04797), section 3, without squares
      below the line. That a class which nobody sees nor finds costs nothing is ours.
    """
    known = (masks != IGNORED)[..., None]
    found = jax.nn.softmax(logits) * known
    shown = jax.nn.one_hot(masks, logits.shape[-1]) * known
    both, either = (one.sum((0, 1, 2)) for one in (found * shown, found + shown))
    return 1 - jnp.mean((2 * both + 1) / (either + 1))


def confusion(found: jax.Array, masks: jax.Array, classes: int) -> jax.Array:
    """Counts pixels of each class (rows) that are taken for each (columns).

    Args:
      found: Classes that pixels are taken for, integers (B, H, W).
      masks: uint8 (B, H, W).
      classes: Number of classes.

    Returns:
      Integers (classes, classes).
    """
    known = masks != IGNORED
    labels = jnp.where(known, masks, 0).astype(jnp.int32)
    pairs = jnp.where(known, labels * classes + found, classes**2)
    counts = jnp.bincount(pairs.ravel(), length=classes**2 + 1)[:-1]
    return counts.reshape(classes, classes)


def mean_iou(confusion: np.ndarray) -> float:
    """Computes the mean, over classes that there are, of intersection over union.

    Args:
      confusion: For each class (rows) how many pixels are taken for each (columns).

    Returns:
      0 to 1; 0 where there are no pixels.
    """
    there = confusion.sum(1)
    right = np.diagonal(confusion)
    union = there + confusion.sum(0) - right
    known = there > 0
    return float(np.mean(right[known] / union[known])) if known.any() else 0.0

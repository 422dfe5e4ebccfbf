"""Boxes in JAX: how much they overlap, and which say the same as a better one.

A box is (4,) float32: least row and column, greatest row and column. All shapes are
static: what is no box has the label -1.

>>> import jax.numpy as jnp
>>> one, half = jnp.array([[0, 0, 2, 2.0]]), jnp.array([[0, 0, 2, 1.0]])
>>> overlaps(one, half).item()
0.5
"""

import jax
import jax.numpy as jnp

_SMALL = 1e-6
"""Added to areas: boxes may have none."""


def areas(boxes: jax.Array) -> jax.Array:
    """Computes areas (...) of boxes (..., 4); 0 where they are turned inside out."""
    return jnp.prod(jnp.maximum(0, boxes[..., 2:] - boxes[..., :2]), axis=-1)


def shared(one: jax.Array, other: jax.Array) -> jax.Array:
    """Computes the area that boxes (..., 4) have in common, (...)."""
    low = jnp.maximum(one[..., :2], other[..., :2])
    high = jnp.minimum(one[..., 2:], other[..., 2:])
    return areas(jnp.concatenate([low, high], axis=-1))


def overlaps(one: jax.Array, other: jax.Array) -> jax.Array:
    """Computes intersection over union of boxes (N, 4) and (M, 4): (N, M), 0 to 1."""
    one, other = one[:, None], other[None]
    both = shared(one, other)
    return both / jnp.maximum(areas(one) + areas(other) - both, _SMALL)


def generalized_iou(one: jax.Array, other: jax.Array) -> jax.Array:
    """Computes GIoU, -1 to 1, of boxes (..., 4) and their counterparts (..., 4).

    References:
      Rezatofighi et al., "Generalized Intersection over Union" (CVPR 2019, arXiv
      1902.09630), algorithm 1.
    """
    both = shared(one, other)
    union = jnp.maximum(areas(one) + areas(other) - both, _SMALL)
    low = jnp.minimum(one[..., :2], other[..., :2])
    high = jnp.maximum(one[..., 2:], other[..., 2:])
    hull = jnp.maximum(areas(jnp.concatenate([low, high], axis=-1)), _SMALL)
    return both / union - (hull - union) / hull


def suppress(
    boxes: jax.Array, scores: jax.Array, labels: jax.Array, *, threshold: float
) -> jax.Array:
    """Tells which boxes stay: no better one of their class overlaps them much.

    Args:
      boxes: (N, 4).
      scores: (N,), higher is better; of equal ones the first is.
      labels: Numbers of classes, (N,); boxes of -1 never stay.
      threshold: Intersection over union, 0 to 1, above which a box goes.

    Returns:
      bool (N,).
    """
    if not len(boxes):
        return labels >= 0
    order = jnp.argsort(-scores, stable=True)
    ordered, classes = boxes[order], labels[order]
    alike = (overlaps(ordered, ordered) > threshold) & (
        classes[:, None] == classes[None]
    )
    # Those that follow a box, and say the same.
    worse = jnp.triu(alike, 1)

    def step(i: int, stays: jax.Array) -> jax.Array:
        return stays & ~(worse[i] & stays[i])

    stays = jax.lax.fori_loop(0, len(boxes), step, classes >= 0)
    return jnp.zeros_like(stays).at[order].set(stays)

"""A detector's targets, loss and answers: objects as heat around their centres.

For each place of a grid a detector says how likely it is the centre of an object of
each class, and how far the sides of that object are away. All of it is pure JAX with
static shapes: images have as many boxes, of which those with the label -1 are none.

References:
  Zhou et al., "Objects as Points" (2019, arXiv 1904.07850), equation 1, for heat maps
  and their loss; Liu et al., "Training-Time-Friendly Network for Real-Time Object
  Detection" (AAAI 2020, arXiv 1909.00700), sections 3.2 and 3.3, for learning sides
  from all places near a centre, weighted. That each object weighs the same is ours.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from vmixjax.dense.boxes import areas, generalized_iou, suppress

_NEAR = 0.54 / 6
"""Standard deviation of heat, in sides of the box."""

_LEARNED = 0.3
"""Heat from which on a place learns where the sides are."""

_THRESHOLD = 0.5
"""Intersection over union from which on boxes of a class are the same object."""

_RARE = 2.19
"""Of logits of heat to begin with, below 0: a tenth, as centres are rare."""

_SIDES_WEIGHT = 2.0
"""What the loss of sides counts, beside that of heat."""


class Wanted(NamedTuple):
    """What is asked of each place of a grid (h, w).

    Attributes:
      heat: (h, w, classes), 1 at centres, less around them.
      boxes: The box that a place learns, (h, w, 4), in pixels.
      weight: How much it counts, (h, w); of all places of an object together 1.
    """

    heat: jax.Array
    boxes: jax.Array
    weight: jax.Array


class Found(NamedTuple):
    """What was found in an image: boxes (N, 4), scores and labels (N,); -1 for none."""

    boxes: jax.Array
    scores: jax.Array
    labels: jax.Array


def wanted(
    boxes: jax.Array,
    labels: jax.Array,
    *,
    grid: tuple[int, int],
    cell: tuple[float, float],
    classes: int,
) -> Wanted:
    """Gives what a detector is asked to say of an image.

    Where several objects are near, a place learns the smallest.

    Args:
      boxes: (N, 4), in pixels.
      labels: (N,); -1 for what is no object.
      grid: Places down and across.
      cell: Height and width of one in pixels.
      classes: Number of classes.
    """
    there = labels >= 0
    # Whatever stands in the place of a box: nothing times what is not finite is not.
    boxes = jnp.where(there[:, None], boxes, 0)
    sizes = jnp.maximum(boxes[:, 2:] - boxes[:, :2], 1e-3)
    scale = jnp.asarray(cell, jnp.float32)
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2 / scale
    most = jnp.asarray(grid) - 1
    centres = jnp.clip(jnp.floor(middles), 0, most)
    near = []
    for axis in (0, 1):
        places = jnp.arange(grid[axis], dtype=jnp.float32)
        away = (places - centres[:, axis, None]) * cell[axis]
        # However small an object is, its centre is a place.
        deviation = jnp.maximum(_NEAR * sizes[:, axis], cell[axis] / 3)[:, None]
        near.append(jnp.exp(-jnp.square(away / deviation) / 2))
    each = near[0][:, :, None] * near[1][:, None, :] * there[:, None, None]
    number = jnp.where(there, labels, classes)
    heat = jax.ops.segment_max(each, number, num_segments=classes + 1)[:classes]
    # Of nothing, the greatest is less than all.
    heat = jnp.maximum(heat, 0).transpose(1, 2, 0)
    learns = each > _LEARNED
    order = jnp.where(learns, 1 / (1 + areas(boxes))[:, None, None], 0)
    chosen = order.argmax(0)
    mine = (jnp.arange(len(labels))[:, None, None] == chosen) & learns
    share = jnp.where(mine, each, 0)
    total = jnp.maximum(share.sum((1, 2), keepdims=True), 1e-6)
    return Wanted(heat, boxes[chosen], (share / total).sum(0))


def sides_to_boxes(sides: jax.Array, cell: tuple[float, float]) -> jax.Array:
    """Gives the boxes (..., h, w, 4), in pixels, that a detector's sides mean.

    Args:
      sides: (..., h, w, 4): logarithms of how far up, left, down and right they are
        from the middle of a place, in four places.
      cell: Height and width of a place in pixels.
    """
    height, width = cell
    # Early in training anything may come.
    away = jnp.exp(jnp.clip(sides, -6, 6)) * 4 * jnp.tile(jnp.asarray(cell), 2)
    rows = (jnp.arange(sides.shape[-3]) + 0.5)[:, None] * height
    columns = (jnp.arange(sides.shape[-2]) + 0.5)[None] * width
    middle = jnp.stack(jnp.broadcast_arrays(rows, columns), axis=-1)
    return jnp.concatenate([middle - away[..., :2], middle + away[..., 2:]], axis=-1)


def heat_loss(logits: jax.Array, heat: jax.Array) -> jax.Array:
    """Computes the focal loss of heat (B, h, w, classes): a scalar.

    It is the mean over classes of what each object of one takes, so that those of which
    there are few are learned as well. That is ours.
    """
    logits = logits - _RARE
    found = nnx.sigmoid(logits)
    centre = heat == 1
    missed = -nnx.log_sigmoid(logits) * jnp.square(1 - found)
    wrong = -nnx.log_sigmoid(-logits) * jnp.square(found) * (1 - heat) ** 4
    places = (0, 1, 2)
    count = jnp.maximum(1, centre.sum(places))
    return jnp.mean(jnp.where(centre, missed, wrong).sum(places) / count)


def sides_loss(boxes: jax.Array, asked: Wanted) -> jax.Array:
    """Computes the mean over objects of 1 - GIoU; all are of a batch (B, h, w, …)."""
    apart = 1 - generalized_iou(boxes, asked.boxes)
    return jnp.sum(apart * asked.weight) / jnp.maximum(1, asked.weight.sum())


def detection_loss(
    heat: jax.Array,
    sides: jax.Array,
    boxes: jax.Array,
    labels: jax.Array,
    *,
    size: tuple[int, int],
) -> jax.Array:
    """Computes the loss of what a detector says of a batch: a scalar.

    Args:
      heat: Logits (B, h, w, classes).
      sides: (B, h, w, 4), as of `sides_to_boxes`.
      boxes: (B, N, 4), in pixels.
      labels: (B, N); -1 for what is no object.
      size: Height and width of the images in pixels.
    """
    heat = heat.astype(jnp.float32)
    _, rows, columns, classes = heat.shape
    grid, cell = (rows, columns), cell_of(size, heat)

    def one(boxes: jax.Array, labels: jax.Array) -> Wanted:
        return wanted(boxes, labels, grid=grid, cell=cell, classes=classes)

    asked = jax.vmap(one)(boxes, labels)
    found = sides_to_boxes(sides.astype(jnp.float32), cell)
    return heat_loss(heat, asked.heat) + _SIDES_WEIGHT * sides_loss(found, asked)


def cell_of(size: tuple[int, int], outputs: jax.Array) -> tuple[float, float]:
    """Gives height and width, in pixels, of a place of outputs (B, h, w, …)."""
    rows, columns = outputs.shape[1:3]
    return size[0] / rows, size[1] / columns


def likely_heat(logits: jax.Array) -> jax.Array:
    """Gives the heat, 0 to 1, that a detector's logits mean."""
    return nnx.sigmoid(logits.astype(jnp.float32) - _RARE)


def find(heat: jax.Array, boxes: jax.Array, *, count: int) -> Found:
    """Gives the likeliest objects of an image, each once.

    Args:
      heat: (h, w, classes), 0 to 1.
      boxes: (h, w, 4), in pixels.
      count: How many places are looked at, those of the most heat; so many boxes are
        given, the labels of those that are no objects -1.
    """
    height, width, classes = heat.shape
    padded = jnp.pad(heat, ((1, 1), (1, 1), (0, 0)), constant_values=-1)
    around = jax.lax.reduce_window(
        padded, -jnp.inf, jax.lax.max, (3, 3, 1), (1, 1, 1), "VALID"
    )
    peaks = jnp.where(heat == around, heat, 0).ravel()
    count = min(count, len(peaks))
    scores, places = jax.lax.top_k(peaks, count)
    labels = jnp.where(scores > 0, places % classes, -1)
    chosen = boxes.reshape(height * width, 4)[places // classes]
    stays = suppress(chosen, scores, labels, threshold=_THRESHOLD)
    return Found(chosen, scores, jnp.where(stays, labels, -1))


def detections(
    heat: jax.Array, boxes: jax.Array, *, size: tuple[int, int], count: int
) -> dict[str, jax.Array]:
    """Gives what is found in each image of a batch, as `average_precision` takes it.

    Args:
      heat: (B, h, w, classes), 0 to 1.
      boxes: (B, h, w, 4), in pixels.
      size: Height and width of the images in pixels.
      count: As of `find`.

    Returns:
      `corners` (B, K, 4), as shares of the image's sides, `scores` (B, K) and `labels`
      (B, K); -1 for nothing.
    """
    found = jax.vmap(lambda heat, boxes: find(heat, boxes, count=count))(heat, boxes)
    sides = jnp.tile(jnp.asarray(size, jnp.float32), 2)
    corners = jnp.clip(found.boxes / sides, 0, 1)
    return {"corners": corners, "scores": found.scores, "labels": found.labels}

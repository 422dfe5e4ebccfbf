"""A detector: what a network still finds in protected images, and where.

Trained on freshly protected images, it measures what they are still good for.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from vmixjax import _validate
from vmixjax.data.objects import Boxes
from vmixjax.dense import average_precision
from vmixjax.dense.centres import (
    cell_of,
    detection_loss,
    detections,
    likely_heat,
    sides_to_boxes,
)
from vmixjax.methods import Protect
from vmixjax.networks import protected_training
from vmixjax.networks.dense_net import untrained
from vmixjax.networks.inputs import centred, in_chunks
from vmixjax.networks.trainer import Graph, Parameters

MOST_OBJECTS = 100
"""Objects of an image that are learned, and that are found: as many as COCO's metrics
look at."""

Targets = tuple[jax.Array, jax.Array]
"""Corners, float32 (B, N, 4), as shares of images' sides; labels (B, N), -1 for
none."""


@dataclasses.dataclass(frozen=True)
class Detector:
    """A trained network; its methods are pure functions of arrays."""

    graph: Graph
    parameters: Parameters

    def find(self, images: jax.typing.ArrayLike) -> dict[str, np.ndarray]:
        """Finds objects in images, uint8 (B, H, W, C).

        Returns:
          `corners` (B, K, 4), as shares of images' sides, `scores` (B, K) and `labels`
          (B, K), -1 for nothing.
        """
        found = in_chunks(
            lambda chunk: _find(self.graph, self.parameters, chunk),
            _validate.images("images", images),
        )
        return {
            "corners": np.asarray(found[..., :4]),
            "scores": np.asarray(found[..., 4]),
            "labels": np.asarray(found[..., 5]).astype(np.int32),
        }

    def average_precision(
        self, images: jax.typing.ArrayLike, objects: Sequence[Boxes], classes: int
    ) -> dict[str, float]:
        """Measures COCO's average precision; see `vmixjax.dense.average_precision`.

        Args:
          images: uint8 (B, H, W, C).
          objects: What there is in each.
          classes: how many there are.

        Raises:
          RunError: `hotcoco` is not installed.
          ValueError: objects of another number of images.
        """
        images = _validate.images("images", images)
        _checked(objects, images)
        height, width = images.shape[1:3]
        found = self.find(images)
        return average_precision(objects, found, (height, width), classes=classes)


def train_detector(
    key: jax.Array,
    images: jax.typing.ArrayLike,
    objects: Sequence[Boxes],
    *,
    steps: int = 800,
    batch_size: int = 64,
    width: int = 32,
    learning_rate: float = 2e-3,
    classes: int | None = None,
    protect: Protect | None = None,
    mirror: bool = True,
) -> Detector:
    """Trains a small convolutional network to find objects.

    Args:
      key: of the first weights, the batches and the keys of `protect`.
      images: uint8 (B, H, W, C).
      objects: those in each image, the 100 largest of which are learned.
      steps: training steps.
      batch_size: images for each.
      width: channels of the first convolution.
      learning_rate: at its peak, after which it falls to 0 along a cosine.
      classes: how many there are; by default what the labels show.
      protect: applied to every batch with fresh keys, which are forgotten; None leaves
        images as they are.
      mirror: whether half of the images are mirrored, before protection.

    Returns:
      The trained network.

    Raises:
      TypeError: images that are not uint8.
      ValueError: fewer than 2 images, objects of another number of images, a label that
        is not below `classes`, a count that is not positive.

    References:
      Ours; for what is learned, see `vmixjax.dense.centres`.
    """
    images = _validate.images("images", images, fewest=protected_training.FEWEST_IMAGES)
    _checked(objects, images)
    labels = np.concatenate([one.labels for one in objects])
    least = int(labels.max(initial=0)) + 1
    classes = least if classes is None else classes
    if least > classes:
        raise ValueError(f"labels must be below classes = {classes}; got {least - 1}")
    _validate.at_least("labels", int(labels.min(initial=0)), 0)
    _validate.at_least("width", width, 1)
    init, train = jax.random.split(key)
    network = untrained_detector(init, images.shape[-1], classes, width=width)
    parameters = protected_training.train(
        train,
        images,
        _targets(objects),
        (network.graph, network.parameters),
        _loss,
        _mirrored,
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        protect=protect,
        mirror=mirror,
    )
    return Detector(network.graph, parameters)


def untrained_detector(
    key: jax.Array, channels: int, classes: int, *, width: int = 32
) -> Detector:
    """Makes what `train_detector` begins with."""
    return Detector(*untrained(key, channels, classes + 4, width))


def _checked(objects: Sequence[Boxes], images: jax.Array) -> None:
    if len(objects) != len(images):
        raise ValueError(
            f"objects must be those of each image, {len(images)}; got those of "
            f"{len(objects)}"
        )


def _targets(objects: Sequence[Boxes]) -> Targets:
    most = min(max(1, *(len(one) for one in objects)), MOST_OBJECTS)
    padded = [one.padded(most) for one in objects]
    corners, labels = (np.stack(arrays) for arrays in zip(*padded, strict=True))
    return jnp.asarray(corners), jnp.asarray(labels)


def _said(network: Any, images: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Logits of heat, and sides: the last four."""
    outputs = network(centred(images))
    return outputs[..., :-4], outputs[..., -4:]


def _loss(
    network: Any, batch: tuple[jax.Array, Targets]
) -> tuple[jax.Array, jax.Array]:
    images, (corners, labels) = batch
    heat, sides = _said(network, images)
    _, height, width, _ = images.shape
    boxes = corners * jnp.array([height, width, height, width], corners.dtype)
    loss = detection_loss(heat, sides, boxes, labels, size=(height, width))
    return loss, heat


def _mirrored(flips: jax.Array, targets: Targets) -> Targets:
    corners, labels = targets
    top, left, bottom, right = jnp.moveaxis(corners, -1, 0)
    turned = jnp.stack([top, 1 - right, bottom, 1 - left], -1)
    return jnp.where(flips[:, None, None], turned, corners), labels


@functools.partial(jax.jit, static_argnums=0)
def _find(graph: Graph, parameters: Parameters, images: jax.Array) -> jax.Array:
    """Corners, score and label of each object, float32 (B, K, 6)."""
    heat, sides = _said(nnx.merge(graph, parameters), images)
    _, height, width, _ = images.shape
    size = (height, width)
    boxes = sides_to_boxes(sides, cell_of(size, heat))
    found = detections(likely_heat(heat), boxes, size=size, count=MOST_OBJECTS)
    rest = jnp.stack([found["scores"], found["labels"].astype(jnp.float32)], -1)
    return jnp.concatenate([found["corners"], rest], -1)

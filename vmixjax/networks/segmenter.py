"""A segmenter: what a network still tells of the classes of pixels.

Trained on freshly protected images, it measures what they are still good for.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from vmixjax import _validate
from vmixjax.dense.masks import (
    IGNORED,
    confusion,
    enlarged,
    mean_iou,
    pixel_loss,
)
from vmixjax.methods import Protect
from vmixjax.networks import protected_training
from vmixjax.networks.dense_net import untrained
from vmixjax.networks.inputs import centred, in_chunks
from vmixjax.networks.inputs import mirror as flipped
from vmixjax.networks.trainer import Graph, Parameters


@dataclasses.dataclass(frozen=True)
class Segmenter:
    """A trained network; its methods are pure functions of arrays."""

    graph: Graph
    parameters: Parameters

    def classes_of(self, images: jax.typing.ArrayLike) -> jax.Array:
        """Computes the likeliest class of pixels, uint8 (B, H, W).

        Args:
          images: uint8 (B, H, W, C).
        """
        return in_chunks(
            lambda chunk: _likeliest(self.graph, self.parameters, chunk),
            _validate.images("images", images),
        )

    def mean_iou(
        self, images: jax.typing.ArrayLike, masks: jax.typing.ArrayLike
    ) -> float:
        """Measures the mean over classes of intersection over union, 0 to 1.

        Args:
          images: uint8 (B, H, W, C).
          masks: uint8 (B, H, W); 255 for pixels that do not count.
        """
        images = _validate.images("images", images)
        masks = _checked(masks, images)
        found, classes = self.classes_of(images), _class_count(masks)
        # Those that the network says, too.
        classes = max(classes, int(found.max()) + 1)
        return mean_iou(np.asarray(_counted(found, masks, classes)))


def train_segmenter(
    key: jax.Array,
    images: jax.typing.ArrayLike,
    masks: jax.typing.ArrayLike,
    *,
    steps: int = 800,
    batch_size: int = 64,
    width: int = 32,
    learning_rate: float = 2e-3,
    classes: int | None = None,
    protect: Protect | None = None,
    mirror: bool = True,
) -> Segmenter:
    """Trains a small convolutional network to tell the class of each pixel.

    Args:
      key: of the first weights, the batches and the keys of `protect`.
      images: uint8 (B, H, W, C).
      masks: uint8 (B, H, W): classes, from 0; 255 for pixels that are not learned.
      steps: training steps.
      batch_size: images for each.
      width: channels of the first convolution.
      learning_rate: at its peak, after which it falls to 0 along a cosine.
      classes: how many there are; by default what the masks show.
      protect: applied to every batch with fresh keys, which are forgotten; None leaves
        images as they are.
      mirror: whether half of the images are mirrored, before protection.

    Returns:
      The trained network.

    Raises:
      TypeError: images or masks that are not uint8.
      ValueError: fewer than 2 images, masks of another shape, a class that is not below
        `classes`, a count that is not positive.

    References:
      Ours.
    """
    images = _validate.images("images", images, fewest=protected_training.FEWEST_IMAGES)
    masks = _checked(masks, images)
    least = _class_count(masks)
    classes = max(least, 1) if classes is None else classes
    if least > classes:
        raise ValueError(f"masks must be below classes = {classes}; got {least - 1}")
    _validate.at_least("width", width, 1)
    init, train = jax.random.split(key)
    network = untrained_segmenter(init, images.shape[-1], classes, width=width)
    parameters = protected_training.train(
        train,
        images,
        masks,
        (network.graph, network.parameters),
        _loss,
        flipped,
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        protect=protect,
        mirror=mirror,
    )
    return Segmenter(network.graph, parameters)


def untrained_segmenter(
    key: jax.Array, channels: int, classes: int, *, width: int = 32
) -> Segmenter:
    """Makes what `train_segmenter` begins with."""
    return Segmenter(*untrained(key, channels, classes, width))


def _checked(masks: jax.typing.ArrayLike, images: jax.Array) -> jax.Array:
    masks = _validate.uint8("masks", masks)
    if masks.shape != images.shape[:3]:
        raise ValueError(
            f"masks must be one for each image, shape {images.shape[:3]}; got "
            f"{masks.shape}"
        )
    return masks


def _class_count(masks: jax.Array) -> int:
    """How many classes there must be, by the highest."""
    return int(jnp.where(masks == IGNORED, -1, masks.astype(jnp.int32)).max()) + 1


def _loss(
    network: Any, batch: tuple[jax.Array, jax.Array]
) -> tuple[jax.Array, jax.Array]:
    images, masks = batch
    logits = network(centred(images))
    _, height, width = masks.shape
    return pixel_loss(enlarged(logits, (height, width)), masks), logits


@functools.partial(jax.jit, static_argnums=0)
def _likeliest(graph: Graph, parameters: Parameters, images: jax.Array) -> jax.Array:
    logits = nnx.merge(graph, parameters)(centred(images))
    _, height, width, _ = images.shape
    return enlarged(logits, (height, width)).argmax(-1).astype(jnp.uint8)


_counted = jax.jit(confusion, static_argnums=2)

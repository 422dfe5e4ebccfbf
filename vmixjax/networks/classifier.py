"""A classifier: what a network still tells of protected and reconstructed images.

Trained on clean public images, it measures what can be recognised in others; its
features tell whether two images show the same thing (re-identification). Trained on
freshly protected images, it measures what they are still good for.
"""

import dataclasses
import functools
from typing import Any, TypedDict

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from vmixjax import _validate
from vmixjax.methods import Protect
from vmixjax.networks import protected_training, trainer
from vmixjax.networks.conv_net import ConvNet
from vmixjax.networks.inputs import centred, in_chunks
from vmixjax.networks.trainer import Graph, Parameters


@dataclasses.dataclass(frozen=True)
class Classifier:
    """A trained network; its methods are pure functions of arrays."""

    graph: Graph
    parameters: Parameters

    def logits(self, images: jax.typing.ArrayLike) -> jax.Array:
        """Computes logits, float32 (B, classes), of images, uint8 (B, H, W, C)."""
        return self._infer(images, "__call__")

    def features(self, images: jax.typing.ArrayLike) -> jax.Array:
        """Computes what the last layer decides by: float32 (B, 128)."""
        return self._infer(images, "features")

    def accuracy(
        self, images: jax.typing.ArrayLike, labels: jax.typing.ArrayLike
    ) -> float:
        """Measures the share of images, 0 to 1, taken for what their labels say."""
        images = _validate.images("images", images)
        labels = _validate.labels("labels", labels, len(images))
        return float(jnp.mean(self.logits(images).argmax(-1) == labels))

    def _infer(self, images: jax.typing.ArrayLike, what: str) -> jax.Array:
        return in_chunks(
            lambda chunk: _infer(self.graph, what, self.parameters, chunk),
            _validate.images("images", images),
        )


class TrainingOptions(TypedDict, total=False):
    """Options of `train_classifier`."""

    steps: int
    batch_size: int
    width: int
    learning_rate: float
    classes: int | None
    protect: Protect | None
    mirror: bool


def train_classifier(
    key: jax.Array,
    images: jax.typing.ArrayLike,
    labels: jax.typing.ArrayLike,
    *,
    steps: int = 800,
    batch_size: int = 128,
    width: int = 32,
    learning_rate: float = 2e-3,
    classes: int | None = None,
    protect: Protect | None = None,
    mirror: bool = True,
) -> Classifier:
    """Trains a small convolutional network to tell classes apart.

    Args:
      key: of the first weights, the batches and the keys of `protect`.
      images: uint8 (B, H, W, C).
      labels: integers (B,), from 0; or, as a teacher gives them, probabilities of all
        classes, floating (B, classes), each row at least 0 and of sum 1.
      steps: training steps.
      batch_size: images for each.
      width: channels of the first convolutions; the last have four times as many.
      learning_rate: at its peak, after which it falls to 0 along a cosine.
      classes: how many there are; by default what the labels show.
      protect: applied to every batch with fresh keys, which are forgotten; None leaves
        images as they are.
      mirror: whether half of the images are mirrored, before protection.

    Returns:
      The trained network.

    Raises:
      TypeError: images that are not uint8, labels that are not integers, nor rows of
        floating numbers.
      ValueError: fewer than 2 images, another number of labels, none, a label that is
        not below `classes`, rows that are no probabilities of so many classes, a count
        that is not positive.

    References:
      Ours. Li et al., NDSS 2024 (arXiv 2404.04098), measure utility with larger
      networks.
    """
    images, labels, classes = _checked(images, labels, classes)
    _validate.at_least("width", width, 1)
    init, train = jax.random.split(key)
    network = untrained_classifier(init, images.shape[-1], classes, width=width)
    parameters = protected_training.train(
        train,
        images,
        labels,
        (network.graph, network.parameters),
        cross_entropy,
        protected_training.unmoved,
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        protect=protect,
        mirror=mirror,
    )
    return Classifier(network.graph, parameters)


def untrained_classifier(
    key: jax.Array, channels: int, classes: int, *, width: int = 32
) -> Classifier:
    """Makes what `train_classifier` begins with."""
    return Classifier(
        *trainer.init_params(key, ConvNet, channels, classes, width=width)
    )


def cross_entropy(
    network: Any, batch: tuple[jax.Array, jax.Array]
) -> tuple[jax.Array, jax.Array]:
    """Computes a network's mean loss on images, uint8, and labels; and its logits.

    Labels are integers (B,), or probabilities (B, classes).
    """
    images, labels = batch
    logits = network(centred(images))
    if labels.ndim == logits.ndim:
        losses = optax.softmax_cross_entropy(logits, labels)
    else:
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    return losses.mean(), logits


def _checked(
    images: jax.typing.ArrayLike, labels: jax.typing.ArrayLike, classes: int | None
) -> tuple[jax.Array, jax.Array, int]:
    images = _validate.images("images", images, fewest=protected_training.FEWEST_IMAGES)
    if np.ndim(labels) == 2:
        labels = _validate.probabilities("labels", labels, len(images), classes)
        return images, labels, labels.shape[1]
    labels = _validate.labels("labels", labels, len(images))
    highest = int(labels.max())
    classes = highest + 1 if classes is None else classes
    if highest >= classes:
        raise ValueError(f"labels must be below classes = {classes}; got {highest}")
    return images, labels, classes


@functools.partial(jax.jit, static_argnums=(0, 1))
def _infer(
    graph: Graph, what: str, parameters: Parameters, images: jax.Array
) -> jax.Array:
    return getattr(nnx.merge(graph, parameters), what)(centred(images))

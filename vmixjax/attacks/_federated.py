"""A model as owners train together: they send the gradients of their images."""

import jax
import optax
from flax import nnx

from vmixjax.attacks.gradient_inversion import Gradient, GradientOf
from vmixjax.networks.federated_net import FederatedNet
from vmixjax.networks.trainer import Parameters, init_params


def federated_gradient(
    key: jax.Array, image_shape: tuple[int, int, int], classes: int
) -> GradientOf:
    """Makes the function by which an owner computes what is sent of one image.

    Args:
      key: of the model's weights, which all who take part know.
      image_shape: (S, S, C) of the images, S even.
      classes: of the labels.

    Returns:
      (image float32 from 0 to 1, label) -> gradient of the model's loss.

    References:
      Zhu, Liu and Han, "Deep Leakage from Gradients", 2019 (arXiv 1906.08935).
    """
    side, _, channels = image_shape
    graph, parameters = init_params(key, FederatedNet, side, channels, classes)

    def gradient_of(image: jax.Array, label: jax.Array) -> Gradient:
        def loss(parameters: Parameters) -> jax.Array:
            logits = nnx.merge(graph, parameters)(image)
            return optax.softmax_cross_entropy_with_integer_labels(logits, label)

        return jax.grad(loss)(parameters)

    return gradient_of

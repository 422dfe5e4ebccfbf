"""A model as owners train together: they send the gradients of their images.

Small and smooth, since deep leakage from gradients was first shown on such: it is the
attacker's best case, and an audit asks what comes back at best.
"""

import jax
import optax
from flax import nnx

from vmixjax.attacks.gradient_inversion import Gradient, GradientOf
from vmixjax.networks.training import Parameters, init_params


class FederatedNet(nnx.Module):
    """Two convolutions with sigmoids, and as many features as an image has values.

    Source: after the LeNet of Zhu, Liu and Han, "Deep Leakage from Gradients" (NeurIPS
    2019), with their uniform first weights; one convolution fewer.
    """

    def __init__(
        self, side: int, channels: int, classes: int, *, rngs: nnx.Rngs
    ) -> None:
        def init(key: jax.Array, shape: tuple[int, ...], dtype: object) -> jax.Array:
            return jax.random.uniform(key, shape, minval=-0.5, maxval=0.5)

        width = 4 * channels
        self.first = nnx.Conv(
            channels,
            width,
            (5, 5),
            strides=2,
            kernel_init=init,
            bias_init=init,
            rngs=rngs,
        )
        self.second = nnx.Conv(
            width, width, (5, 5), kernel_init=init, bias_init=init, rngs=rngs
        )
        # Small weights: where a class is sure, the gradient vanishes.
        self.head = nnx.Linear((side // 2) ** 2 * width, classes, rngs=rngs)

    def __call__(self, image: jax.Array) -> jax.Array:
        """One image (H, W, C), 0 to 1 -> logits (classes,)."""
        x = nnx.sigmoid(self.first(image[None]))
        x = nnx.sigmoid(self.second(x))
        return self.head(x.reshape(-1))


def federated_gradient(
    key: jax.Array, image_shape: tuple[int, int, int], classes: int
) -> GradientOf:
    """What an owner computes on one image and its label, and sends.

    Args:
      key: of the model's weights, which all who take part know.
      image_shape: (S, S, C) of the images, S even.
      classes: of the labels.

    Returns:
      (image float32 from 0 to 1, label) -> gradient of the model's loss.
    """
    side, _, channels = image_shape
    graph, parameters = init_params(key, FederatedNet, side, channels, classes)

    def gradient_of(image: jax.Array, label: jax.Array) -> Gradient:
        def loss(parameters: Parameters) -> jax.Array:
            logits = nnx.merge(graph, parameters)(image)
            return optax.softmax_cross_entropy_with_integer_labels(logits, label)

        return jax.grad(loss)(parameters)

    return gradient_of

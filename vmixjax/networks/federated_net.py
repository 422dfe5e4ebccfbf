"""The network of the audit's federated training."""

import functools

import jax
from flax import nnx


class FederatedNet(nnx.Module):
    """Two convolutions with sigmoids, and as many features as an image has values.

    Small and smooth, since deep leakage from gradients was first shown on such: it is
    the attacker's best case, and an audit asks what comes back at best.

    References:
      Zhu, Liu and Han, "Deep Leakage from Gradients", 2019, section 4 (arXiv
      1906.08935): after their LeNet, with their uniform first weights; one convolution
      fewer.
    """

    def __init__(
        self, side: int, channels: int, classes: int, *, rngs: nnx.Rngs
    ) -> None:
        init = functools.partial(jax.random.uniform, minval=-0.5, maxval=0.5)
        conv = functools.partial(
            nnx.Conv, kernel_size=(5, 5), kernel_init=init, bias_init=init, rngs=rngs
        )
        width = 4 * channels
        self.first, self.second = conv(channels, width, strides=2), conv(width, width)
        # Small weights: where a class is sure, the gradient vanishes.
        self.head = nnx.Linear((side // 2) ** 2 * width, classes, rngs=rngs)

    def __call__(self, image: jax.Array) -> jax.Array:
        """Computes logits (classes,) of one image (H, W, C), 0 to 1."""
        x = nnx.sigmoid(self.first(image[None]))
        x = nnx.sigmoid(self.second(x))
        return self.head(x.reshape(-1))

"""The network of the audit's federated training."""

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
        """Computes logits (classes,) of one image (H, W, C), 0 to 1."""
        x = nnx.sigmoid(self.first(image[None]))
        x = nnx.sigmoid(self.second(x))
        return self.head(x.reshape(-1))

"""A recogniser: what a classifier still tells of protected and of restored images.

Trained on clean public images, it measures what can be recognised in others; its
features tell whether two images show the same thing (re-identification). Trained on
freshly protected images, it measures what they are still good for.
"""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from vmixjax.attacks._batches import check_images, check_labels, in_chunks
from vmixjax.methods.method import Protect
from vmixjax.networks.training import Graph, Parameters, init_params, rate_at
from vmixjax.networks.unet import folded

FEWEST_IMAGES = 2
PLACES = 4
"""Places down and across that the features tell apart."""
FEATURES = 128

_OPTIMIZER = optax.chain(
    optax.clip_by_global_norm(1.0),
    optax.scale_by_adam(),
    optax.add_decayed_weights(1e-2),
)


class ConvNet(nnx.Module):
    """Six convolutions and two linear layers that know places.

    Not pooled to one place at the end: where a region lies is much of what mixing
    leaves.
    """

    def __init__(
        self, channels: int, classes: int, *, width: int, rngs: nnx.Rngs
    ) -> None:
        conv = functools.partial(nnx.Conv, kernel_size=(3, 3), rngs=rngs)
        convolutions, norms = [], []
        inputs = 4 * channels
        for outputs in (width, 2 * width, 4 * width):
            for _ in range(2):
                convolutions.append(conv(inputs, outputs))
                norms.append(nnx.LayerNorm(outputs, rngs=rngs))
                inputs = outputs
        self.convolutions, self.norms = nnx.List(convolutions), nnx.List(norms)
        self.penultimate = nnx.Linear(PLACES**2 * inputs, FEATURES, rngs=rngs)
        self.head = nnx.Linear(FEATURES, classes, rngs=rngs)

    def features(self, images: jax.Array) -> jax.Array:
        """Images (B, H, W, C), floating -> features (B, 128)."""
        missing = ((0, 0), (0, -images.shape[1] % 8), (0, -images.shape[2] % 8), (0, 0))
        x = folded(jnp.pad(images, missing, mode="edge"), 2)
        layers = list(zip(self.convolutions, self.norms, strict=True))
        for number, (convolution, norm) in enumerate(layers):
            if number in (2, 4):
                x = nnx.avg_pool(x, (2, 2), (2, 2))
            x = nnx.relu(norm(convolution(x)))
        batch, *_, channels = x.shape
        x = jax.image.resize(x, (batch, PLACES, PLACES, channels), "linear")
        return nnx.relu(self.penultimate(x.reshape(batch, -1)))

    def __call__(self, images: jax.Array) -> jax.Array:
        """Images (B, H, W, C), floating -> logits (B, classes)."""
        return self.head(self.features(images))


@dataclasses.dataclass(frozen=True)
class Classifier:
    """A trained network; its methods are pure functions of arrays."""

    graph: Graph
    parameters: Parameters

    def logits(self, images: jax.typing.ArrayLike) -> jax.Array:
        """uint8 (B, H, W, C) -> float32 (B, classes)."""
        return self._infer(images, "__call__")

    def features(self, images: jax.typing.ArrayLike) -> jax.Array:
        """uint8 (B, H, W, C) -> float32 (B, 128): what the last layer decides by."""
        return self._infer(images, "features")

    def accuracy(
        self, images: jax.typing.ArrayLike, labels: jax.typing.ArrayLike
    ) -> float:
        """Share of the images, 0 to 1, that are taken for what their labels say."""
        images = check_images("images", images)
        labels = check_labels("labels", labels, images)
        return float(jnp.mean(self.logits(images).argmax(-1) == labels))

    def _infer(self, images: jax.typing.ArrayLike, what: str) -> jax.Array:
        return in_chunks(
            lambda chunk: _infer(self.graph, what, self.parameters, chunk),
            check_images("images", images),
        )


class _Settings(NamedTuple):
    """What is static in a training step."""

    batch_size: int
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
      labels: integers (B,), from 0.
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
      TypeError: images that are not uint8, labels that are not integers.
      ValueError: fewer than 2 images, another number of labels, none, a label that is
        not below `classes`, a count that is not positive.

    Source: ours; the paper (Li et al., NDSS 2024) measures utility with larger
    networks.
    """
    images = check_images("images", images, fewest=FEWEST_IMAGES)
    labels = check_labels("labels", labels, images)
    highest = int(labels.max())
    classes = highest + 1 if classes is None else classes
    if highest >= classes:
        raise ValueError(f"labels must be below classes = {classes}; got {highest}")
    counts = {"steps": steps, "batch_size": batch_size, "width": width}
    for name, value in counts.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1; got {value}")

    init, train = jax.random.split(key)
    network = untrained_classifier(init, images.shape[-1], classes, width=width)
    graph, parameters = network.graph, network.parameters
    settings = _Settings(batch_size, mirror)
    state = _OPTIMIZER.init(parameters)
    for number in range(steps):
        batch, wanted = _batch(
            protect, settings, images, labels, jax.random.fold_in(train, number)
        )
        rate = rate_at(number, steps, learning_rate)
        parameters, state = _step(graph, parameters, state, batch, wanted, rate)
    return Classifier(graph, parameters)


def untrained_classifier(
    key: jax.Array, channels: int, classes: int, *, width: int = 32
) -> Classifier:
    """What `train_classifier` begins with."""
    return Classifier(*init_params(key, ConvNet, channels, classes, width=width))


def _centred(images: jax.Array) -> jax.Array:
    return images.astype(jnp.float32) / 255 - 0.5


@functools.partial(jax.jit, static_argnums=(0, 1))
def _infer(
    graph: Graph, what: str, parameters: Parameters, images: jax.Array
) -> jax.Array:
    return getattr(nnx.merge(graph, parameters), what)(_centred(images))


# Apart from the step, which is then one program whatever protects the images.
@functools.partial(jax.jit, static_argnums=(0, 1))
def _batch(
    protect: Protect | None,
    settings: _Settings,
    images: jax.Array,
    labels: jax.Array,
    key: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    pick, mirror, keys = jax.random.split(key, 3)
    ids = jax.random.randint(pick, (settings.batch_size,), 0, len(labels))
    batch, wanted = images[ids], labels[ids]
    if settings.mirror:
        flip = jax.random.bernoulli(mirror, shape=(settings.batch_size, 1, 1, 1))
        batch = jnp.where(flip, batch[:, :, ::-1], batch)
    if protect is not None:
        batch = jax.vmap(protect)(jax.random.split(keys, settings.batch_size), batch)
    return batch, wanted


@functools.partial(jax.jit, static_argnums=0, donate_argnums=(1, 2))
def _step(
    graph: Graph,
    parameters: Parameters,
    state: optax.OptState,
    batch: jax.Array,
    wanted: jax.Array,
    rate: jax.Array,
) -> tuple[Parameters, optax.OptState]:
    def loss_of(parameters: Parameters) -> jax.Array:
        logits = nnx.merge(graph, parameters)(_centred(batch))
        return optax.softmax_cross_entropy_with_integer_labels(logits, wanted).mean()

    gradient = jax.grad(loss_of)(parameters)
    updates, state = _OPTIMIZER.update(gradient, state, parameters)
    updates = optax.tree.scale(-rate, updates)
    return optax.apply_updates(parameters, updates), state

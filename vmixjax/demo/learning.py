"""A small network, trained alike on clean and on mixed images."""

import dataclasses
import functools
from collections.abc import Callable

import jax
import numpy as np
import optax
from flax import nnx
from tqdm import tqdm

import vmixjax
from vmixjax.data.digits import Images, enlarged_digits
from vmixjax.demo.photographs import region_means
from vmixjax.networks import SmallCNN, trainer
from vmixjax.networks.classifier import Classifier, cross_entropy
from vmixjax.networks.trainer import TrainState

CONFIG = vmixjax.MixConfig(tile_size=8, ladder=((8, 1),))
STEPS, BATCH, EVERY = 600, 128, 20

_OPTIMIZER = optax.scale_by_adam()

Mixer = Callable[[jax.Array, jax.Array], jax.Array]
"""(keys (B,), images (B, H, W, C)) -> images of the same shape and dtype."""


@dataclasses.dataclass(frozen=True)
class Curve:
    """How a model learned: its accuracy on test images after so many steps."""

    name: str
    steps: tuple[int, ...]
    losses: tuple[float, ...]
    accuracies: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Lessons:
    """Both curves, and some test images: as they are, mixed, and their region means."""

    curves: tuple[Curve, ...]
    clean: np.ndarray
    mixed: np.ndarray
    means: np.ndarray
    region: int
    train_images: int
    test_images: int


def mixer_for(image_shape: tuple[int, int, int], config: vmixjax.MixConfig) -> Mixer:
    """Makes what mixes batches by the strongest plan, each image by its own key."""
    plan = vmixjax.full_plan(image_shape, config)
    return jax.vmap(lambda key, image: vmixjax.mix(key, image, plan))


def fit(
    name: str,
    train: Images,
    test: Images,
    mixer: Mixer | None,
    *,
    seed: int,
    steps: int = STEPS,
    every: int = EVERY,
) -> Curve:
    """Trains a `SmallCNN` and tests it every so many steps.

    Args:
      name: what the curve is called.
      train: what to learn from.
      test: what to be tested on.
      mixer: mixes what the network sees, test images too; None leaves it clean.
        Training images get a fresh key at every step, which is forgotten.
      seed: of initialisation, batches and keys.
      steps: how long to train.
      every: steps between two tests.

    Returns:
      The curve, its last point after the last step.
    """
    key = jax.random.key(seed, impl="threefry2x32")
    rng = np.random.default_rng(seed)
    classes = int(train.labels.max()) + 1
    graph, parameters = nnx.split(
        SmallCNN(train.images.shape[1:], classes, rngs=nnx.Rngs(seed))
    )
    points: list[tuple[int, float, float]] = []

    def batch_of(key: jax.Array) -> tuple[jax.Array, np.ndarray]:
        ids = rng.choice(len(train.labels), BATCH, replace=False).astype(np.int32)
        return _seen(mixer, key, ids, train.images[ids]), train.labels[ids]

    def watch(number: int, state: TrainState, loss: jax.Array) -> None:
        progress.update()
        if number % every == 0 or number == steps:
            # Keys that no training step used: its numbers end at `steps`.
            test_key = jax.random.fold_in(key, steps)
            images = _seen(mixer, test_key, np.arange(len(test.labels)), test.images)
            classifier = Classifier(graph, state.parameters)
            accuracy = classifier.accuracy(images, test.labels)
            points.append((number, float(loss), accuracy))

    with tqdm(total=steps, desc=f"training, {name}", unit="step") as progress:
        trainer.fit(
            key,
            trainer.init(_OPTIMIZER, parameters),
            trainer.step_of(graph, cross_entropy, _OPTIMIZER),
            batch_of,
            rate=jax.jit(optax.cosine_decay_schedule(3e-3, steps)),
            steps=steps,
            watch=watch,
        )
    return Curve(name, *zip(*points, strict=True))


@functools.partial(jax.jit, static_argnums=0)
def _seen(
    mixer: Mixer | None, key: jax.Array, ids: jax.Array, images: jax.Array
) -> jax.Array:
    """Images as the network sees them."""
    if mixer is None:
        return images
    return mixer(jax.vmap(vmixjax.image_key, (None, 0))(key, ids), images)


def learn_clean_and_mixed(seed: int, *, steps: int = STEPS) -> Lessons:
    """Trains a model twice, by the same data, seed and steps: on clean and on mixed."""
    train, test = enlarged_digits()
    shape = test.images.shape[1:]
    mixer = mixer_for(shape, CONFIG)
    # One of each class.
    shown = test.images[np.unique(test.labels, return_index=True)[1]]
    key = jax.random.key(seed, impl="threefry2x32")
    mixed = _seen(mixer, key, np.arange(len(shown)), shown)
    means = jax.vmap(region_means, (0, None))(mixed, vmixjax.full_plan(shape, CONFIG))
    return Lessons(
        curves=(
            fit("clean", train, test, None, seed=seed, steps=steps),
            fit("mixed", train, test, mixer, seed=seed, steps=steps),
        ),
        clean=shown,
        mixed=np.asarray(mixed),
        means=np.asarray(means),
        region=CONFIG.ladder[-1][0],
        train_images=len(train.labels),
        test_images=len(test.labels),
    )

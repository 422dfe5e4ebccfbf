"""A small network, trained alike on clean and on mixed images.

Flax NNX driven functionally: the model is split once into a static graph and a tree
of parameters, and training is a pure jitted step from parameters to parameters.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from tqdm import tqdm

import vmixjax
from vmixjax.data.digits import Images, enlarged_digits
from vmixjax.demo.photographs import region_means
from vmixjax.networks import SmallCNN, centred

CONFIG = vmixjax.MixConfig(tile_size=8, ladder=((8, 1),))
STEPS, BATCH, EVERY = 600, 128, 20

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
    """Mixes whole batches by the strongest plan, each image with its own key."""
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
      mixer: mixes the batches inside the step, test images too; None leaves them
        clean. Training images get a fresh key at every step, which is forgotten.
      seed: of initialisation, batches and keys.
      steps: how long to train.
      every: steps between two tests.

    Returns:
      The curve, its last point after the last step.
    """
    key = jax.random.key(seed, impl="threefry2x32")
    classes = int(train.labels.max()) + 1
    model = SmallCNN(train.images.shape[1:], classes, rngs=nnx.Rngs(seed))
    graph, parameters = nnx.split(model)
    optimizer = optax.adam(optax.cosine_decay_schedule(3e-3, steps))
    state = optimizer.init(parameters)

    def prepare(key: jax.Array, ids: jax.Array, images: jax.Array) -> jax.Array:
        if mixer is None:
            return images
        return mixer(jax.vmap(vmixjax.image_key, (None, 0))(key, ids), images)

    def loss_of(
        parameters: nnx.State[Any, Any], images: jax.Array, labels: jax.Array
    ) -> jax.Array:
        logits = nnx.merge(graph, parameters)(centred(images))
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(
        parameters: nnx.State[Any, Any],
        state: optax.OptState,
        number: jax.Array,
        ids: jax.Array,
    ) -> tuple[nnx.State[Any, Any], optax.OptState, jax.Array]:
        images = prepare(jax.random.fold_in(key, number), ids, train_images[ids])
        loss, gradient = jax.value_and_grad(loss_of)(
            parameters, images, train_labels[ids]
        )
        updates, state = optimizer.update(gradient, state, parameters)
        return optax.apply_updates(parameters, updates), state, loss

    @jax.jit
    def accuracy(parameters: nnx.State[Any, Any]) -> jax.Array:
        # Keys that no training step used: its numbers end at `steps`.
        ids = jnp.arange(len(test.labels))
        images = prepare(jax.random.fold_in(key, steps), ids, jnp.asarray(test.images))
        logits = nnx.merge(graph, parameters)(centred(images))
        return jnp.mean(logits.argmax(-1) == test.labels)

    train_images, train_labels = jnp.asarray(train.images), jnp.asarray(train.labels)
    rng = np.random.default_rng(seed)
    points, losses, accuracies = [], [], []
    for number in tqdm(range(steps), desc=f"training, {name}", unit="step"):
        ids = rng.choice(len(train.labels), BATCH, replace=False).astype(np.int32)
        parameters, state, loss = step(parameters, state, np.uint32(number), ids)
        if (number + 1) % every == 0 or number + 1 == steps:
            points.append(number + 1)
            losses.append(float(loss))
            accuracies.append(float(accuracy(parameters)))
    return Curve(name, tuple(points), tuple(losses), tuple(accuracies))


def learn_clean_and_mixed(seed: int, *, steps: int = STEPS) -> Lessons:
    """The same model, data, seed and steps; once clean and once mixed."""
    train, test = enlarged_digits()
    shape = test.images.shape[1:]
    mixer = mixer_for(shape, CONFIG)
    # One of each class.
    shown = test.images[np.unique(test.labels, return_index=True)[1]]
    keys = jax.vmap(vmixjax.image_key, (None, 0))(
        jax.random.key(seed, impl="threefry2x32"), jnp.arange(len(shown))
    )
    mixed = mixer(keys, jnp.asarray(shown))
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

"""The training of networks on images that are protected anew in every batch."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import optax

from vmixjax import _validate
from vmixjax.methods import Protect
from vmixjax.networks import trainer
from vmixjax.networks.inputs import mirror, protect_all
from vmixjax.networks.trainer import Graph, Loss, Parameters

FEWEST_IMAGES = 2

_OPTIMIZER = optax.chain(
    optax.clip_by_global_norm(1.0),
    optax.scale_by_adam(),
    optax.add_decayed_weights(1e-2),
)

Mirrored = Callable[[jax.Array, Any], Any]
"""(bool (B,), targets of a batch) -> targets, of images that are mirrored where it is
so."""


def unmoved(flips: jax.Array, targets: Any) -> Any:
    """Gives targets of whole images, which are the same for mirrored ones."""
    del flips
    return targets


def train(
    key: jax.Array,
    images: jax.Array,
    targets: Any,
    network: tuple[Graph, Parameters],
    loss: Loss,
    mirrored: Mirrored,
    *,
    steps: int,
    batch_size: int,
    learning_rate: float,
    protect: Protect | None,
    mirror: bool,
) -> Parameters:
    """Trains a network on images and what is to be said of them.

    Args:
      key: of the batches and the keys of `protect`.
      images: uint8 (B, H, W, C).
      targets: arrays (B, …), a pytree.
      network: its static graph and first weights.
      loss: what to make small, of batches (images, targets). This and `mirrored` are
        part of programs: best defined once, in a module.
      mirrored: mirrors targets.
      steps: training steps.
      batch_size: images for each.
      learning_rate: at its peak, after which it falls to 0 along a cosine.
      protect: as of `train_classifier`.
      mirror: whether half of the images are mirrored, before protection.

    Returns:
      The trained weights.

    Raises:
      ValueError: a count that is not positive.
    """
    for name, value in {"steps": steps, "batch_size": batch_size}.items():
        _validate.at_least(name, value, 1)
    graph, parameters = network
    return trainer.fit(
        key,
        trainer.init(_OPTIMIZER, parameters),
        trainer.step_of(graph, loss, _OPTIMIZER),
        functools.partial(
            _batch, protect, batch_size, mirrored if mirror else None, images, targets
        ),
        rate=trainer.learning_rate(learning_rate, steps),
        steps=steps,
    ).parameters


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _batch(
    protect: Protect | None,
    size: int,
    mirrored: Mirrored | None,
    images: jax.Array,
    targets: Any,
    key: jax.Array,
) -> tuple[jax.Array, Any]:
    pick, flip, keys = jax.random.split(key, 3)
    ids = jax.random.randint(pick, (size,), 0, len(images))
    batch, asked = images[ids], jax.tree.map(lambda one: one[ids], targets)
    if mirrored is not None:
        flips = jax.random.bernoulli(flip, shape=(size,))
        batch, asked = mirror(flips, batch), mirrored(flips, asked)
    if protect is not None:
        batch = protect_all(protect, keys, batch)
    return batch, asked

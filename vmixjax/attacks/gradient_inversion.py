"""Gradient inversion: the image back from the gradient that it gave a shared model.

In federated learning owners keep their images and send gradients. A server that knows
the model looks for an image whose gradient points the same way. Where an owner trains
on mixed images, what the search can find is the mixed image.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from vmixjax import _validate
from vmixjax.attacks.threat_model import ThreatModel

Gradient = Any
"""A pytree of float arrays, shaped as the model's parameters."""
GradientOf = Callable[[jax.Array, jax.Array], Gradient]
"""(image float32 (H, W, C) from 0 to 1, label) -> gradient of the model's loss."""


def gradient_inversion(
    key: jax.Array,
    protected: jax.typing.ArrayLike,
    knowledge: ThreatModel,
    *,
    gradient_of: GradientOf,
    gradients: Gradient,
    labels: jax.typing.ArrayLike,
    steps: int = 600,
    restarts: int = 2,
    learning_rate: float = 0.1,
    total_variation: float = 1e-3,
) -> jax.Array:
    """Searches, for each image, one whose gradient points where the image's did.

    Args:
      key: of the first guesses.
      protected: uint8 (B, H, W, C). Only its shape is used: the images were never sent.
      knowledge: not used; there because all attacks are called alike.
      gradient_of: the model's gradient for one image and its label; differentiable.
      gradients: what was sent: for each image a gradient, stacked along a first axis.
      labels: classes of the images, int32 (B,). They can mostly be read off the
        gradient of the last layer (Zhao et al. 2020), so they are taken as known.
      steps: of the search.
      restarts: searches for each image; the one that matches best is kept.
      learning_rate: of Adam at first, in units of the range of values; it falls to a
        thousandth in three steps.
      total_variation: weight of the mean difference between neighbours; mixed images
        are not smooth, so it helps on them the less the larger it is.

    Returns:
      What was found, uint8 (B, H, W, C): to be compared with the image that the
      gradient is of, and with the original.

    Raises:
      TypeError: images that are not uint8, labels that are not integers.
      ValueError: another number of labels or gradients, steps or restarts below 1,
        a gradient that is not shaped as those that `gradient_of` gives.

    Source: Geiping et al. 2020 (arXiv 2003.14053): one minus the cosine, total
    variation, Adam on the signs of gradients, values kept in range, the learning rate
    a tenth after 3/8, 5/8 and 7/8 of the steps. The first guess is grey with noise of
    0.1, and one optimiser serves all restarts: our reading.
    """
    del knowledge
    protected = _validate.images("protected", protected)
    labels = _validate.labels("labels", labels, len(protected))
    for name, value in {"steps": steps, "restarts": restarts}.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1; got {value}")
    image = jax.ShapeDtypeStruct(protected.shape[1:], jnp.float32)
    _check_gradients(gradients, jax.eval_shape(gradient_of, image, labels[0]), labels)

    found = []
    for number, label in enumerate(labels):
        noise = jax.random.normal(
            jax.random.fold_in(key, number), (restarts, *protected.shape[1:])
        )
        wanted = jax.tree.map(lambda leaf, i=number: jnp.asarray(leaf)[i], gradients)
        found.append(
            _search(
                gradient_of,
                jnp.int32(steps),
                jnp.float32(learning_rate),
                jnp.float32(total_variation),
                jnp.clip(0.5 + 0.1 * noise, 0, 1),
                wanted,
                label,
            )
        )
    return jnp.round(jnp.stack(found) * 255).astype(jnp.uint8)


@functools.partial(jax.jit, static_argnums=0)
def _search(
    gradient_of: GradientOf,
    steps: jax.Array,
    learning_rate: jax.Array,
    total_variation: jax.Array,
    guesses: jax.Array,
    wanted: Gradient,
    label: jax.Array,
) -> jax.Array:
    """The best of the restarts, float32 (H, W, C) from 0 to 1."""
    optimizer = optax.scale_by_adam()
    falls = jnp.array([3, 5, 7]) * steps // 8

    def mismatch(guess: jax.Array) -> jax.Array:
        return 1 - _cosine(gradient_of(guess, label), wanted)

    def loss_of(guess: jax.Array) -> jax.Array:
        return mismatch(guess) + total_variation * _roughness(guess)

    def step(
        number: jax.Array, carry: tuple[jax.Array, optax.OptState]
    ) -> tuple[jax.Array, optax.OptState]:
        guess, state = carry
        direction = jnp.sign(jax.vmap(jax.grad(loss_of))(guess))
        updates, state = optimizer.update(direction, state)
        rate = learning_rate * 0.1 ** jnp.sum(number >= falls)
        updates = -rate * updates
        return jnp.clip(optax.apply_updates(guess, updates), 0, 1), state

    start = (guesses, optimizer.init(guesses))
    guesses, _ = jax.lax.fori_loop(0, steps, step, start)
    return guesses[jnp.argmin(jax.vmap(mismatch)(guesses))]


def _cosine(a: Gradient, b: Gradient) -> jax.Array:
    length = optax.tree.norm(a) * optax.tree.norm(b)
    return optax.tree.vdot(a, b) / jnp.maximum(length, 1e-12)


def _roughness(image: jax.Array) -> jax.Array:
    down = jnp.abs(jnp.diff(image, axis=0))
    across = jnp.abs(jnp.diff(image, axis=1))
    return down.mean() + across.mean()


def _check_gradients(given: Gradient, one: Gradient, labels: jax.Array) -> None:
    expected = jax.tree.map(lambda leaf: (len(labels), *leaf.shape), one)
    shapes = jax.tree.map(lambda leaf: tuple(jnp.shape(leaf)), given)
    if expected != shapes:
        raise ValueError(
            f"gradients must be those of {len(labels)} images, as gradient_of gives "
            f"them, stacked along a first axis: {expected}; got {shapes}"
        )

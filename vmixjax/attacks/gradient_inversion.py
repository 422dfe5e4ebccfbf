"""Gradient inversion: the image back from the gradient that it gave a shared model.

In federated learning owners keep their images and send gradients. A server that knows
the model looks for an image whose gradient points the same way. Where an owner trains
on mixed images, what the search can find is the mixed image.

As Geiping et al. have it: one minus the cosine, total variation, Adam on the signs of
gradients, values kept in range, the learning rate a tenth after 3/8, 5/8 and 7/8 of the
steps. Labels are taken as known, since they can mostly be read off the gradient of the
last layer (Zhao et al. 2020, arXiv 2001.02610). The first guess is grey with noise of
0.1, and one optimiser serves all restarts: our reading.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from vmixjax import _validate, metrics
from vmixjax.attacks.attack import Attack, Study, StudyResult
from vmixjax.attacks.threat_model import ThreatModel
from vmixjax.attacks.trial import UNPROTECTED, Trial, clean_and_first
from vmixjax.networks import FederatedNet, init_params
from vmixjax.networks.trainer import Parameters

SHOWN = 10
"""Images that an audit shows, at most."""

Gradient = Any
"""A pytree of float arrays, shaped as the model's parameters."""
GradientOf = Callable[[jax.Array, jax.Array], Gradient]
"""(image float32 (H, W, C) from 0 to 1, label) -> gradient of the model's loss."""


def gradient_inversion(
    key: jax.Array,
    protected: jax.typing.ArrayLike,
    threat_model: ThreatModel,
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
      key: Of the first guesses.
      protected: Images whose shape is searched, uint8 (B, H, W, C). Nothing else of
        them is used: they were never sent.
      threat_model: Of no use here; there because all attacks are called alike.
      gradient_of: The model's gradient for one image and its label; differentiable.
      gradients: What was sent: for each image a gradient, stacked along a first axis.
      labels: Classes of the images, int32 (B,).
      steps: Length of the search.
      restarts: Searches for each image; the one that matches best counts.
      learning_rate: Of Adam at first, in units of the range of values.
      total_variation: Weight of the mean difference between neighbours; mixed images
        are not smooth, so it helps on them the less the larger it is.

    Returns:
      What was found, uint8 (B, H, W, C): to be compared with the image that the
      gradient is of, and with the original.

    Raises:
      TypeError: Images that are not uint8, labels that are not integers.
      ValueError: Another number of labels or gradients, steps or restarts below 1,
        a gradient that is not shaped as those that `gradient_of` gives.

    References:
      Geiping et al. 2020 (arXiv 2003.14053), as the module says.
    """
    del threat_model
    protected = _validate.images("protected", protected)
    labels = _validate.labels("labels", labels, len(protected))
    _validate.at_least("steps", steps, 1)
    _validate.at_least("restarts", restarts, 1)
    image = jax.ShapeDtypeStruct(protected.shape[1:], jnp.float32)
    _check_gradients(gradients, jax.eval_shape(gradient_of, image, labels[0]), labels)
    # As traced numbers, none of which asks for another program.
    options = map(jnp.asarray, (steps, learning_rate, total_variation))
    search = functools.partial(_search, gradient_of, *options)
    found = []
    for number, label in enumerate(labels):
        own, shape = jax.random.fold_in(key, number), (restarts, *image.shape)
        guesses = jnp.clip(0.5 + 0.1 * jax.random.normal(own, shape), 0, 1)
        wanted = jax.tree.map(lambda leaf, i=number: jnp.asarray(leaf)[i], gradients)
        found.append(search(guesses, wanted, label))
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


def _invert(trial: Trial) -> StudyResult:
    """What the gradients of single images tell of them.

    The values are means over `images`: `psnr` and `ssim` of what was found against the
    originals, `psnr_sent` and `ssim_sent` against the images whose gradients they are,
    `psnr_before` and `ssim_before` of those images against the originals.
    """
    count, name = trial.budget["inversions"], trial.protection.name
    originals = np.asarray(trial.images[:count])
    sent = trial.protect(trial.images[:count], "sent")
    labels = jnp.zeros(len(sent), jnp.int32)
    if trial.labels is not None:
        labels = trial.labels[:count]
    words = jax.random.key_data(trial.key("federated"))
    gradient_of = _model(
        tuple(words.tolist()), originals.shape[1:], max(trial.classes, 2)
    )
    found = gradient_inversion(
        trial.key("gradient_inversion", name),
        sent,
        trial.threat_model,
        gradient_of=gradient_of,
        gradients=jax.vmap(gradient_of)(sent.astype(jnp.float32) / 255, labels),
        labels=labels,
        steps=trial.budget["inversion_steps"],
        restarts=1,
    )
    values: dict[str, Any] = {"images": len(sent)}
    pictures = {"sent": np.asarray(sent), "found": np.asarray(found)}
    for suffix, one, other in (
        ("", originals, pictures["found"]),
        ("_sent", pictures["sent"], pictures["found"]),
        ("_before", originals, pictures["sent"]),
    ):
        decibels = np.minimum(metrics.psnr(one, other), metrics.MOST_DECIBELS)
        values[f"psnr{suffix}"] = float(decibels.mean())
        values[f"ssim{suffix}"] = float(metrics.ssim(one, other).mean())
    if trial.protection is UNPROTECTED:
        del pictures["sent"]
    shown = {name: images[:SHOWN] for name, images in pictures.items()}
    return StudyResult(values, originals[:SHOWN], shown)


# Cached, so that what is compiled for one protection serves the others.
@functools.lru_cache(maxsize=1)
def _model(
    words: tuple[int, ...], shape: tuple[int, int, int], classes: int
) -> GradientOf:
    """Makes the function by which an owner computes what is sent of one image.

    Args:
      words: Of the key of the model's weights, which all who take part know.
      shape: (S, S, C) of the images, S even.
      classes: How many the labels have.

    References:
      Zhu, Liu and Han, "Deep Leakage from Gradients", 2019 (arXiv 1906.08935).
    """
    key = jax.random.wrap_key_data(jnp.asarray(words, jnp.uint32), impl="threefry2x32")
    side, _, channels = shape
    graph, parameters = init_params(key, FederatedNet, side, channels, classes)

    def gradient_of(image: jax.Array, label: jax.Array) -> Gradient:
        def loss(parameters: Parameters) -> jax.Array:
            logits = nnx.merge(graph, parameters)(image)
            return optax.softmax_cross_entropy_with_integer_labels(logits, label)

        return jax.grad(loss)(parameters)

    return gradient_of


ATTACK = Attack(
    name="gradient_inversion",
    about="an image is searched for whose gradient points where that of a private "
    "image did, in training that sends gradients",
    study=Study(
        name="inversions",
        run=_invert,
        subjects=clean_and_first,
        section="If a network is trained on them",
        title="From gradients",
        text=lambda first: (
            f"Who trains with others sends gradients. From the gradient of one image "
            f"on a small, smooth model, its label and the model, the image is searched "
            f"for ({first['images']} images; SSIM). Of mixed images the mixed ones "
            f"come back, and they can then be attacked as above."
        ),
        columns={
            "images before": "ssim_before",
            "found, like what was trained on": "ssim_sent",
            "like the original": "ssim",
        },
        number=".2f",
        captions={
            "sent": "protected: {title}",
            "found": "found from gradients of {title}",
        },
    ),
    budgets={
        "quick": {"inversions": 2, "inversion_steps": 200},
        "hour": {"inversions": 8, "inversion_steps": 600},
        "full": {"inversions": 16, "inversion_steps": 2_000},
    },
)

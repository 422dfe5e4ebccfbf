"""Recognition: a network that learned from protected images what they show.

Who wants to know of whom, or of what, an image is needs no picture back. The network
that the owner means others to train is one that tells classes of protected images; an
attacker who has public images of the same classes, or of the same people, trains it
with keys of their own.
"""

from typing import Unpack

import jax
import jax.numpy as jnp

from vmixjax import _validate
from vmixjax.attacks.attack import Attack
from vmixjax.attacks.threat_model import ThreatModel
from vmixjax.networks.classifier import TrainingOptions, train_classifier


def recognition(
    key: jax.Array,
    protected: jax.typing.ArrayLike,
    threat_model: ThreatModel,
    **training: Unpack[TrainingOptions],
) -> jax.Array:
    """Tells classes of protected images, by a network trained on protected public ones.

    Args:
      key: Of the network, and of the attacker's own keys.
      protected: Images, uint8 (B, H, W, C).
      threat_model: The method, and public images with labels, of the classes that the
        protected ones are of.
      training: Options of `train_classifier`, all but `protect`.

    Returns:
      The likeliest class of each image, int32 (B,).

    Raises:
      TypeError, ValueError: As `train_classifier`; no labels of the public images.

    References:
      McPherson, Shokri and Shmatikov, "Defeating Image Obfuscation with Deep Learning",
      2016 (arXiv 1609.00408).
    """
    protected = _validate.images("protected", protected)
    public = _validate.images("threat_model.public", threat_model.public)
    labels = _validate.labels("threat_model.labels", threat_model.labels, len(public))
    training["protect"] = threat_model.protect
    return _likeliest(
        train_classifier(key, public, labels, **training).logits(protected)
    )


def _likeliest(logits: jax.Array) -> jax.Array:
    return logits.argmax(-1).astype(jnp.int32)


ATTACK = Attack(
    name="classifier",
    about="a network tells what protected images show, after training on public ones "
    "that the attacker protected with keys of their own; it gives no images back",
    recognise=lambda key, protected, threat_model, budget: _likeliest(
        threat_model.classifier().logits(protected)
    ),
)

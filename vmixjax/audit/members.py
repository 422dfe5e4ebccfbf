"""Membership inference on a network that learned protected images, or clean ones."""

import functools
from typing import Any

import jax
import numpy as np

from vmixjax.attacks.membership import (
    loss_threshold,
    membership_metrics,
    shadow_models,
)
from vmixjax.attacks.threat_model import ThreatModel
from vmixjax.audit.budgets import CLASSIFIER_BATCH
from vmixjax.networks.classifier import train_classifier
from vmixjax.networks.inputs import protect_all

SHADOWS = 2
"""Networks of the attacker's own, to compare with."""


def find_members(
    key: jax.Array,
    images: jax.Array,
    labels: jax.Array,
    knowledge: ThreatModel,
    *,
    classes: int,
    steps: int,
    width: int,
    queries: int,
) -> dict[str, Any]:
    """Trains a network on the first half of the images, and asks who it was.

    Args:
      key: of all random choices.
      images: uint8 (B, H, W, C), B even.
      labels: their classes, int32 (B,).
      knowledge: the attacker's, with labels. `protect` is also what the network sees
        images through, each time with another key.
      classes: how many there are.
      steps: of training, best so many that the network learns its images by heart.
      width: of the network, and of the attacker's.
      queries: how often it is asked about each image.

    Returns:
      The fields of `vmixjax.audit.results.Membership`, but for the method.
    """
    half = len(images) // 2
    fit, ask, attack = jax.random.split(key, 3)
    # No mirrored views: an image is learned by heart, if anything is.
    train = functools.partial(
        train_classifier,
        classes=classes,
        steps=steps,
        batch_size=CLASSIFIER_BATCH,
        width=width,
        mirror=False,
    )
    model = train(fit, images[:half], labels[:half], protect=knowledge.protect)
    is_member = np.arange(2 * half) < half
    asked: dict[str, Any] = {
        "labels": labels,
        "logits_of": model.logits,
        "queries": queries,
    }
    loss = loss_threshold(attack, images, knowledge, **asked)
    shadow = shadow_models(
        attack,
        images,
        knowledge,
        **asked,
        shadows=SHADOWS,
        steps=steps,
        batch_size=CLASSIFIER_BATCH,
        width=width,
        members=min(half, len(knowledge.public)),
        mirror=False,
    )
    by_loss = membership_metrics(loss, is_member)
    by_shadows = membership_metrics(shadow, is_member)
    seen = protect_all(knowledge.protect, ask, images)
    return {
        "images": 2 * half,
        "members": model.accuracy(seen[:half], labels[:half]),
        "others": model.accuracy(seen[half:], labels[half:]),
        "loss_auc": by_loss.auc,
        "loss_found": by_loss.true_positives,
        "shadow_auc": by_shadows.auc,
        "shadow_found": by_shadows.true_positives,
    }

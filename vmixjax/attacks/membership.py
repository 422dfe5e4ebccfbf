"""Membership inference: was this image among those that a model was trained on?

Nothing is reconstructed here. What comes back are scores, one for each image: the
higher, the more probably it was a member. `membership_metrics` says what they are
worth.

The attacker has the images in the clear, asks the model about them in the form that it
takes, protected with keys of the attacker's own, and sees the model's logits.

With shadow models the score is the scaled confidence log(p / (1 - p)) less its mean
over models without the image. Their variance is taken as one for all images, as Carlini
et al. advise for few models, so it does not change the order of scores and is left out.
Trained on freshly protected images and asked with fresh keys: our reading.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, Unpack

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.metrics import roc_auc_score, roc_curve

from vmixjax import _validate
from vmixjax.attacks.attack import Attack, Study, StudyResult
from vmixjax.attacks.threat_model import ThreatModel
from vmixjax.attacks.trial import CLASSIFIER_BATCH, Trial, clean_and_first
from vmixjax.networks.classifier import TrainingOptions, train_classifier
from vmixjax.networks.inputs import protect_all

FEWEST_PUBLIC = 8
QUERIES = 4
"""How often an audit asks about an image, each time with another key."""
SHADOWS = 2
"""Networks of the attacker's own, in an audit, to compare with."""


LogitsOf = Callable[[jax.Array], jax.Array]
"""uint8 (B, H, W, C) -> float32 (B, classes), such as `Classifier.logits`."""


def loss_threshold(
    key: jax.Array,
    images: jax.typing.ArrayLike,
    threat_model: ThreatModel,
    *,
    labels: jax.typing.ArrayLike,
    logits_of: LogitsOf,
    queries: int = 1,
) -> jax.Array:
    """Scores how small the model's loss is on each image: members' losses are smaller.

    Args:
      key: Of the attacker's own keys.
      images: Those in question, in the clear, uint8 (B, H, W, C).
      threat_model: The method that the model takes images protected by.
      labels: Their classes, integers (B,).
      logits_of: The model in question.
      queries: How often each image is asked about, each time with a fresh key; what
        comes back is averaged.

    Returns:
      Scores, float32 (B,), higher for those more probably members.

    Raises:
      TypeError: Images that are not uint8, labels that are not integers.
      ValueError: Another number of labels, or one that the model has no logit for;
        fewer than 1 query.

    References:
      Yeom et al. 2018 (arXiv 1709.01604), adversary 1, without its threshold. The
      queries are ours.
    """
    return -answers(key, images, labels, threat_model, logits_of, queries)[0]


def shadow_models(
    key: jax.Array,
    images: jax.typing.ArrayLike,
    threat_model: ThreatModel,
    *,
    labels: jax.typing.ArrayLike,
    logits_of: LogitsOf,
    queries: int = 1,
    shadows: int = 4,
    members: int | None = None,
    **training: Unpack[TrainingOptions],
) -> jax.Array:
    """Scores how much surer the model is of each image than models that never saw it.

    Args:
      key: Of the shadow models and of the attacker's own keys.
      images: Those in question, in the clear, uint8 (B, H, W, C).
      threat_model: The method, and public images with labels.
      labels: Classes of the images in question, integers (B,).
      logits_of: The model in question.
      queries: As for `loss_threshold`.
      shadows: Models that the attacker trains on public images, protected with fresh
        keys.
      members: Images that each is trained on, a random choice for each; best as many
        as the model in question had. By default half of the public ones.
      **training: Options of `train_classifier`, best those of the model in question;
        by default 300 steps of 64 images.

    Returns:
      Scores, float32 (B,), higher for those more probably members.

    Raises:
      TypeError: Images that are not uint8, labels that are not integers.
      ValueError: Fewer than 8 public images, no labels for them, another number of
        labels, `members` more than there are, a count that is not positive.

    References:
      Shokri et al. 2017 (arXiv 1610.05820), and the offline attack of Carlini et al.
      2022 (arXiv 2112.03570), as the module says.
    """
    ask, train = jax.random.split(key)
    _, sure, classes = answers(ask, images, labels, threat_model, logits_of, queries)
    training["classes"] = classes
    asked = images, labels, threat_model, queries
    return sure - shadow_confidence(train, *asked, shadows, members, **training)


def shadow_confidence(
    key: jax.Array,
    images: jax.typing.ArrayLike,
    labels: jax.typing.ArrayLike,
    threat_model: ThreatModel,
    queries: int,
    shadows: int,
    members: int | None,
    **training: Unpack[TrainingOptions],
) -> jax.Array:
    """Computes the mean scaled confidence of `shadow_models`' own models: float32 (B,).

    Arguments and errors are theirs. It serves any number of models in question, whose
    confidence `answers` gives.
    """
    public = threat_model.public
    public = _validate.images("threat_model.public", public, fewest=FEWEST_PUBLIC)
    known = _validate.labels("threat_model.labels", threat_model.labels, len(public))
    members = len(public) // 2 if members is None else members
    if not 2 <= members <= len(public):
        raise ValueError(
            f"members must be 2 to {len(public)}, the number of public images; "
            f"got {members}"
        )
    _validate.at_least("shadows", shadows, 1)
    options: TrainingOptions = {"steps": 300, "batch_size": 64, **training}
    options["protect"] = threat_model.protect
    sure = []
    for number in range(shadows):
        pick, fit, ask = jax.random.split(jax.random.fold_in(key, number), 3)
        ids = jax.random.permutation(pick, len(public))[:members]
        shadow = train_classifier(fit, public[ids], known[ids], **options)
        asked = answers(ask, images, labels, threat_model, shadow.logits, queries)
        sure.append(asked[1])
    return jnp.stack(sure).mean(0)


def answers(
    key: jax.Array,
    images: jax.typing.ArrayLike,
    labels: jax.typing.ArrayLike,
    threat_model: ThreatModel,
    logits_of: LogitsOf,
    queries: int,
) -> tuple[jax.Array, jax.Array, int]:
    """Asks a model about images; arguments and errors as for `loss_threshold`.

    Returns:
      Mean loss and mean scaled confidence of each image, float32 (B,); how many classes
      the model tells.
    """
    images = _validate.images("images", images)
    labels = _validate.labels("labels", labels, len(images))
    _validate.at_least("queries", queries, 1)
    losses, sure = [], []
    for number in range(queries):
        query = jax.random.fold_in(key, number)
        logits = logits_of(protect_all(threat_model.protect, query, images))
        classes = logits.shape[-1]
        if int(labels.max()) >= classes:
            raise ValueError(
                f"labels must be below the model's {classes} classes; "
                f"got {int(labels.max())}"
            )
        is_own = jax.nn.one_hot(labels, classes, dtype=bool)
        own = jnp.sum(jnp.where(is_own, logits, 0), -1)
        rest = jax.nn.logsumexp(jnp.where(is_own, -jnp.inf, logits), axis=-1)
        # log(p / (1 - p)), and -log p, without taking p from 1.
        sure.append(own - rest)
        losses.append(jax.nn.softplus(rest - own))
    return jnp.stack(losses).mean(0), jnp.stack(sure).mean(0), classes


@dataclasses.dataclass(frozen=True)
class MembershipMetrics:
    """What scores are worth.

    Attributes:
      auc: Area under the curve of true over false positives; 0.5 is guessing.
      advantage: Largest difference between the rates of true and of false positives;
        0 is guessing, 1 is certainty (Yeom et al. 2018).
      true_positives: Their rate where that of false ones is at most `false_positives`
        (Carlini et al. 2022: what matters is whether anybody is found for certain).
      false_positives: The rate that is allowed.
    """

    auc: float
    advantage: float
    true_positives: float
    false_positives: float


def membership_metrics(
    scores: jax.typing.ArrayLike,
    is_member: jax.typing.ArrayLike,
    *,
    false_positives: float = 0.01,
) -> MembershipMetrics:
    """Computes what scores are worth where it is known who was a member.

    Args:
      scores: Numbers (B,), higher for those more probably members.
      is_member: Truth, bool (B,), with both members and others.
      false_positives: Their rate at which true ones are counted, 0 to 1.

    Returns:
      The figures; rates below 1 / (images that were no members) cannot be told from 0.

    Raises:
      ValueError: Other shapes, only members or none, a rate outside 0 to 1.

    >>> membership_metrics([0.1, 0.2, 0.8, 0.9], [False, True, False, True])
    MembershipMetrics(auc=0.75, advantage=0.5, true_positives=0.5, false_positives=0.01)
    """
    values, truth = np.asarray(scores, np.float64), np.asarray(is_member, bool)
    if values.ndim != 1 or values.shape != truth.shape:
        raise ValueError(
            f"scores and is_member must be one for each image, (B,); "
            f"got {values.shape} and {truth.shape}"
        )
    if truth.all() or not truth.any():
        raise ValueError("is_member must have both members and others")
    if not 0 <= false_positives <= 1:
        raise ValueError(f"false_positives must be 0 to 1; got {false_positives}")
    wrong, right, _ = roc_curve(truth, values, drop_intermediate=False)
    return MembershipMetrics(
        auc=float(roc_auc_score(truth, values)),
        advantage=float((right - wrong).max()),
        true_positives=float(right[wrong <= false_positives].max()),
        false_positives=false_positives,
    )


def _find_members(trial: Trial) -> StudyResult:
    """Whether it can be told of an image that a network was trained on it.

    A network is trained on the first half of some `images`; `members` and `others` are
    its accuracy on either half. By loss, and by comparison with shadow models: `_auc`
    is the area under the curve, 0.5 by guessing; `_found` the share of members that is
    found while at most 1 of 100 others is taken for one.
    """
    assert trial.labels is not None
    half = min(trial.budget["members"], len(trial.images)) // 2
    images, labels = trial.images[: 2 * half], trial.labels[: 2 * half]
    threat_model = trial.threat_model
    fit, ask, attack = jax.random.split(
        trial.key("membership", trial.protection.name), 3
    )
    # Long enough to learn images by heart. No mirrored views, for the same reason.
    options: TrainingOptions = {
        "steps": trial.budget["member_steps"],
        "batch_size": CLASSIFIER_BATCH,
        "width": trial.budget["recogniser_width"],
        "classes": trial.classes,
        "protect": threat_model.protect,
        "mirror": False,
    }
    model = train_classifier(fit, images[:half], labels[:half], **options)
    asked: Any = {
        "labels": labels,
        "logits_of": model.logits,
        # Without keys all answers would be the same.
        "queries": 1 if trial.protection.keys == "none" else QUERIES,
    }
    members = min(half, len(threat_model.public))
    scores = {
        "loss": loss_threshold(attack, images, threat_model, **asked),
        "shadow": shadow_models(
            attack,
            images,
            threat_model,
            shadows=SHADOWS,
            members=members,
            **asked,
            **options,
        ),
    }
    seen = protect_all(threat_model.protect, ask, images)
    values: dict[str, Any] = {
        "images": 2 * half,
        "members": model.accuracy(seen[:half], labels[:half]),
        "others": model.accuracy(seen[half:], labels[half:]),
    }
    for name, score in scores.items():
        found = membership_metrics(score, np.arange(2 * half) < half)
        values[f"{name}_auc"] = found.auc
        values[f"{name}_found"] = found.true_positives
    return StudyResult(values)


ATTACK = Attack(
    name="membership",
    about="of images it is told whether a network was trained on them",
    study=Study(
        name="membership",
        run=_find_members,
        subjects=clean_and_first,
        needs_classes=True,
        section="If a network is trained on them",
        title="Who was in it",
        text=lambda first: (
            f"A network is trained on {first['images'] // 2} of your images until it "
            f"knows them by heart, and an attacker guesses of {first['images']} which "
            f"they were. Loss and shadow are two attacks, by the area under their "
            f"curves: 50% is guessing, 100% certainty. Sure finds: members that the "
            f"second finds while it errs on 1 of 100 others."
        ),
        columns={
            "right on its images": "members",
            "on others": "others",
            "loss": "loss_auc",
            "shadow": "shadow_auc",
            "sure finds": "shadow_found",
        },
        number=".0%",
    ),
    budgets={
        "quick": {"members": 200, "member_steps": 60},
        "hour": {"members": 1_000, "member_steps": 600},
        "full": {"members": 1_000, "member_steps": 600},
    },
)

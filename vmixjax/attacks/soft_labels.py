"""Soft labels: what a release tells more of its images if a teacher's word goes along.

An owner trains a network on the clean images, the teacher, keeps it, and hands out with
each protected image the probabilities that the teacher gives its classes: the soft
label, at temperature 1. Others then learn from both, which is distillation. So can an
attacker: the soft label comes from the clean image, whatever protects that.

Three things are asked: the class of an image; which of many originals it is of; and
whether a network that was trained on the release tells its images from others. Where
image and soft label are looked at together, log-probabilities are added up, as if the
two were independent. To tell originals apart, the attacker has a network of their own,
trained on clean public images, in the place of the teacher. All this is our reading.

Who can ask the teacher itself needs none of it: the original is the one image that the
teacher gives this very soft label.
"""

from typing import Any

import jax
import numpy as np
from scipy.spatial.distance import cdist

from vmixjax import _validate
from vmixjax.attacks.attack import Attack, Study, StudyResult
from vmixjax.attacks.membership import (
    QUERIES,
    LogitsOf,
    answers,
    membership_metrics,
    shadow_confidence,
)
from vmixjax.attacks.trial import CLASSIFIER_BATCH, Trial, clean_and_first
from vmixjax.metrics import region_means
from vmixjax.networks.classifier import TrainingOptions, train_classifier
from vmixjax.networks.inputs import protect_all

SQUARE = 8
"""Side of the squares whose means tell images apart where there are no regions."""
LEAST_VARIANCE = 1e-6
"""Of means, in squares of grey values, where protection leaves them as they are."""
CORRELATION = 0.7
"""Between what two networks say of an image."""


def soft_labels(images: jax.typing.ArrayLike, *, logits_of: LogitsOf) -> jax.Array:
    """Computes what a teacher says of images: probabilities of all classes.

    Args:
      images: Clean ones, uint8 (B, H, W, C).
      logits_of: The teacher.

    Returns:
      Soft labels, float32 (B, classes), each row of sum 1.

    Raises:
      TypeError, ValueError: Images that are not such.

    References:
      Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015,
      section 2 (arXiv 1503.02531), at temperature 1.
    """
    return jax.nn.softmax(logits_of(_validate.images("images", images)))


def distillation_targets(labels: jax.typing.ArrayLike, soft: jax.Array) -> jax.Array:
    """Mixes classes and soft labels, half of each, into what a student is to say.

    Cross-entropy is linear in its target: trained on these by `train_classifier`, a
    student's loss is half the one for classes and half the teacher's.

    Args:
      labels: Classes, integers (B,).
      soft: Soft labels, floating (B, classes), each row of sum 1.

    Returns:
      Probabilities, float32 (B, classes).

    Raises:
      TypeError: Labels that are not integers, soft ones that are not floating.
      ValueError: Rows that are no probabilities, another number of labels, one that
        soft labels have no class for.

    References:
      Hinton et al. 2015 (arXiv 1503.02531), section 2, at temperature 1; half of each
      is ours.
    """
    soft = _validate.probabilities("soft", soft, len(soft))
    labels = _validate.labels("labels", labels, len(soft))
    classes = soft.shape[1]
    if int(labels.max()) >= classes:
        raise ValueError(
            f"labels must be below the {classes} classes of soft; got "
            f"{int(labels.max())}"
        )
    return (jax.nn.one_hot(labels, classes) + soft) / 2


def soft_label_evidence(soft: jax.Array, logits: jax.typing.ArrayLike) -> np.ndarray:
    """Scores which candidate each soft label is of, by another network's word.

    Two networks are sure to other degrees, so the log-probabilities of each are brought
    to mean 0 for each image, and to mean 0 and variance 1 for each class; what the two
    say of one image is then taken as normal with a correlation of 0.7, for each class
    by itself, as it is for small networks on CIFAR-10. There it finds more than the
    Kullback-Leibler divergence does.

    Args:
      soft: Soft labels, floating (B, classes), each row of sum 1; B of 2 at least.
      logits: Of an attacker's network for each candidate, floating (N, classes).

    Returns:
      Logarithms of likelihood ratios, float64 (B, N): the higher, the likelier it is
      the original rather than any other image.

    Raises:
      TypeError, ValueError: Soft labels that are no probabilities; logits of other
        classes.

    References:
      Ours.
    """
    soft = _validate.probabilities("soft", soft, len(soft))
    other = np.asarray(logits, np.float64)
    if other.ndim != 2 or other.shape[1] != soft.shape[1]:
        raise ValueError(
            f"logits must be of the {soft.shape[1]} classes of soft, (N, "
            f"{soft.shape[1]}); got {other.shape}"
        )
    own = _standardised(_log(soft))
    other = _standardised(other)
    squares = np.sum(own**2, 1)[:, None] + np.sum(other**2, 1)
    ratio = CORRELATION * (own @ other.T) - CORRELATION**2 * squares / 2
    return np.asarray(ratio / (1 - CORRELATION**2))


def _log(soft: jax.Array) -> np.ndarray:
    """Log-probabilities, float64, finite where float32 has made a 0 of one."""
    values = np.asarray(soft, np.float64)
    return np.log(np.maximum(values, np.finfo(np.float32).tiny))


def _standardised(values: np.ndarray) -> np.ndarray:
    values = values - values.mean(1, keepdims=True)
    values = values - values.mean(0)
    spread = values.std(0)
    return values / np.where(spread > 0, spread, 1)


def mean_evidence(
    means: np.ndarray, candidates: np.ndarray, variance: float
) -> np.ndarray:
    """Scores which candidate protected images are of, by means of regions.

    Args:
      means: Of the protected images, floating (B, D), as `region_means` gives them.
      candidates: Of the candidates, floating (N, D).
      variance: How far protection moves a mean, squared, on average; positive.

    Returns:
      Log-likelihoods as of a normal distribution, less what they have in common,
      float64 (B, N), at most 0: higher for likelier originals.

    Raises:
      ValueError: Other shapes.

    References:
      Ours.
    """
    return -cdist(means, candidates, "sqeuclidean") / (2 * variance)


def ranked_first(evidence: np.ndarray) -> float:
    """Computes the share of images whose own original has most evidence for it.

    Args:
      evidence: Numbers (B, N), B at most N; the original of image i is candidate i.

    Returns:
      A share, 0 to 1. Where k candidates are first, the own one among them, the image
      counts 1 / k, as in `vmixjax.metrics.reidentified`.

    Raises:
      ValueError: Another shape, more images than candidates.

    >>> ranked_first(np.array([[0.0, -1.0, -2.0], [-1.0, -1.0, -3.0]]))
    0.75
    """
    if evidence.ndim != 2 or not 0 < len(evidence) <= evidence.shape[1]:
        raise ValueError(
            f"evidence must be (B, N) with B from 1 to N; got {evidence.shape}"
        )
    first = evidence == evidence.max(1, keepdims=True)
    return float((first.diagonal() / first.sum(1)).mean())


def _study(trial: Trial) -> StudyResult:
    """What soft labels tell of the images that are released with them.

    Of some `images` the first half is released: a teacher is trained on it, right on
    the share `teacher`, and gives it soft labels. `class_` is the share of released
    images whose class is told, `original_` of those whose original is ranked first
    among all images: `_image` by the protected image, `_soft` by the soft label,
    `_both` by both. `hard_` and `soft_` are of a network that was trained on the
    release without and with soft labels: `_members` and `_others` its accuracy on
    either half, the rest as for `membership`.
    """
    labels, half = trial.labels, len(trial.images) // 2
    assert labels is not None
    teacher = train_classifier(
        trial.key("soft_labels", "teacher"),
        trial.images[:half],
        labels[:half],
        **_options(trial, "teacher_steps"),
    )
    # Of all images, as elsewhere: batches of one shape need one program.
    soft = soft_labels(trial.images, logits_of=teacher.logits)[:half]
    protected = trial.protect(trial.images, "soft_labels")
    values = {
        "images": 2 * half,
        "teacher": float(np.mean(np.asarray(soft.argmax(1) == labels[:half]))),
        **_told(trial, protected, soft, labels[:half]),
        **_found(trial, protected[:half], soft),
        **_membership(trial, soft, labels[: 2 * half]),
    }
    return StudyResult(values)


def _options(trial: Trial, steps: str) -> TrainingOptions:
    return {
        "steps": trial.budget[steps],
        "batch_size": CLASSIFIER_BATCH,
        "width": trial.budget["recogniser_width"],
        "classes": trial.classes,
    }


def _told(
    trial: Trial, protected: jax.Array, soft: jax.Array, labels: jax.Array
) -> dict[str, float]:
    logits = trial.classifier().logits(protected)[: len(soft)]
    seen, said = np.asarray(jax.nn.log_softmax(logits)), _log(soft)
    told = {"image": seen, "soft": said, "both": (seen + said) / 2}
    return {
        f"class_{by}": float(np.mean(each.argmax(1) == np.asarray(labels)))
        for by, each in told.items()
    }


def _found(trial: Trial, protected: jax.Array, soft: jax.Array) -> dict[str, float]:
    name, protect = trial.protection.name, trial.protection.protect
    region = trial.protection.region or SQUARE
    # Public images that the attacker protects, to see how far means move.
    probes = trial.public[: len(trial.images)]
    again = protect_all(protect, trial.key("soft_labels", name, "probes"), probes)
    moved = region_means(again, region) - region_means(probes, region)
    image = mean_evidence(
        region_means(protected, region),
        region_means(trial.images, region),
        max(float(np.mean(moved**2)), LEAST_VARIANCE),
    )
    said = soft_label_evidence(soft, trial.clean_classifier().logits(trial.images))
    evidence = {"image": image, "soft": said, "both": image + said}
    return {f"original_{by}": ranked_first(each) for by, each in evidence.items()}


def _membership(trial: Trial, soft: jax.Array, labels: jax.Array) -> dict[str, float]:
    half, threat_model = len(soft), trial.threat_model
    images = trial.images[: 2 * half]
    fit, ask, attack, see = jax.random.split(
        trial.key("soft_labels", trial.protection.name), 4
    )
    # As for `membership`: until images are known by heart.
    options = _options(trial, "student_steps")
    options |= {"protect": threat_model.protect, "mirror": False}
    queries = 1 if trial.protection.keys == "none" else QUERIES
    others = shadow_confidence(
        attack,
        images,
        labels,
        threat_model,
        queries,
        trial.budget["student_shadows"],
        min(half, len(threat_model.public)),
        **options,
    )
    seen = protect_all(threat_model.protect, see, images)
    targets = {
        "hard": labels[:half],
        "soft": distillation_targets(labels[:half], soft),
    }
    values = {}
    for name, target in targets.items():
        student = train_classifier(fit, images[:half], target, **options)
        asked = answers(ask, images, labels, threat_model, student.logits, queries)
        right = np.asarray(student.logits(seen).argmax(-1) == labels)
        values[f"{name}_members"] = float(right[:half].mean())
        values[f"{name}_others"] = float(right[half:].mean())
        for by, score in (("loss", -asked[0]), ("shadow", asked[1] - others)):
            found = membership_metrics(score, np.arange(2 * half) < half)
            values[f"{name}_{by}_auc"] = found.auc
            values[f"{name}_{by}_found"] = found.true_positives
    return values


def _text(first: Any) -> str:
    half, images = first["images"] // 2, first["images"]
    return (
        f"A teacher, trained on {half} of your clean images, gives each a soft label: "
        f"from it and the protected image, an attacker with networks of their own "
        f"tells the class, and picks the original out of {images}; who can ask the "
        f"teacher itself knows it by its exact soft label. Then networks are trained "
        f"on the {half}, without and with soft labels, and loss and shadow tell their "
        f"images from others: 50% is guessing."
    )


ATTACK = Attack(
    name="soft_labels",
    about="a teacher's soft labels, handed out with protected images, are used to tell "
    "classes, originals and training images",
    study=Study(
        name="soft_labels",
        run=_study,
        subjects=clean_and_first,
        needs_classes=True,
        section="If a network is trained on them",
        title="With a teacher's soft labels",
        text=_text,
        columns={
            "class by image": "class_image",
            "by soft label": "class_soft",
            "by both": "class_both",
            "original by image": "original_image",
            "original by soft label": "original_soft",
            "original by both": "original_both",
            "loss, without": "hard_loss_auc",
            "loss, with": "soft_loss_auc",
            "shadow, without": "hard_shadow_auc",
            "shadow, with": "soft_shadow_auc",
        },
        number=".0%",
    ),
    budgets={
        "quick": {"teacher_steps": 40, "student_steps": 40, "student_shadows": 1},
        "hour": {"teacher_steps": 200, "student_steps": 400, "student_shadows": 2},
        "full": {"teacher_steps": 200, "student_steps": 400, "student_shadows": 2},
    },
)

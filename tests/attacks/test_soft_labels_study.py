import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

import vmixjax.attacks.membership
import vmixjax.attacks.soft_labels
from vmixjax.attacks.soft_labels import (
    ATTACK,
    CORRELATION,
    distillation_targets,
    mean_evidence,
    ranked_first,
    soft_label_evidence,
    soft_labels,
)
from vmixjax.attacks.trial import UNPROTECTED, Trial
from vmixjax.data.digits import enlarged_digits

KEY = jax.random.key(0, impl="threefry2x32")
RNG = np.random.default_rng(0)
SOFT = jnp.asarray(RNG.dirichlet(np.ones(4), 6), jnp.float32)
LABELS = jnp.array([0, 1, 2, 3, 0, 1])
IMAGES = jnp.asarray(enlarged_digits()[0].images[:, ::4, ::4])
DIGITS = jnp.asarray(enlarged_digits()[0].labels)


def standardised(values):
    values = values - values.mean(1, keepdims=True)
    return (values - values.mean(0)) / values.std(0)


def test_soft_labels_are_the_probabilities_of_a_teacher():
    logits = RNG.normal(size=(3, 4)).astype(np.float32)
    images = np.zeros((3, 8, 8, 1), np.uint8)
    got = soft_labels(images, logits_of=lambda _: jnp.asarray(logits))
    odds = np.exp(logits)
    np.testing.assert_allclose(got, odds / odds.sum(1, keepdims=True), rtol=1e-5)


def test_a_target_gives_half_the_loss_of_the_class_and_half_of_the_teacher():
    logits = RNG.normal(size=(6, 4))
    told = np.log(np.exp(logits) / np.exp(logits).sum(1, keepdims=True))
    hard = -told[np.arange(6), LABELS]
    soft = -(np.asarray(SOFT) * told).sum(1)
    got = -(np.asarray(distillation_targets(LABELS, SOFT)) * told).sum(1)
    np.testing.assert_allclose(got, (hard + soft) / 2, rtol=1e-5)


def test_evidence_of_soft_labels_is_a_ratio_of_likelihoods():
    logits = RNG.normal(size=(9, 4))
    got = soft_label_evidence(SOFT, logits)
    x = standardised(np.log(np.asarray(SOFT, np.float64)))
    y = standardised(logits)
    pair = multivariate_normal(cov=[[1, CORRELATION], [CORRELATION, 1]])
    expected = [
        [
            sum(pair.logpdf([p, q]) - norm.logpdf(p) - norm.logpdf(q) for p, q in both)
            for both in (list(zip(own, other, strict=True)) for other in y)
        ]
        for own in x
    ]
    # But for what all candidates have in common.
    apart = got - np.asarray(expected)
    np.testing.assert_allclose(apart, apart[0, 0], atol=1e-6)


def test_evidence_of_means_is_a_logarithm_of_normal_densities():
    means, others = RNG.normal(size=(3, 5)), RNG.normal(size=(4, 5))
    got = mean_evidence(means, others, 2.0)
    density = norm.logpdf(means[:, None], others, np.sqrt(2)).sum(-1)
    apart = got - density
    np.testing.assert_allclose(apart, apart[0, 0], rtol=1e-6)


def test_originals_are_found_by_the_word_of_a_like_network_and_by_no_other():
    words = RNG.normal(size=(200, 10))
    other = words + 0.3 * RNG.normal(size=words.shape)
    # A network that is surer of everything says the same.
    like = soft_label_evidence(jax.nn.softmax(jnp.asarray(words)[:100]), 3 * other)
    assert ranked_first(like) > 0.9
    strange = RNG.normal(size=words.shape)
    unlike = soft_label_evidence(jax.nn.softmax(jnp.asarray(words)[:100]), strange)
    # One in 200 by chance: more than 4 of 100 less often than once in a thousand.
    assert ranked_first(unlike) <= 0.04


def test_a_soft_label_of_zeros_and_ones_is_evidence_all_the_same():
    sure = jax.nn.one_hot(LABELS, 4)
    found = soft_label_evidence(sure, 5 * np.asarray(sure))
    assert np.isfinite(found).all()
    # Images of one class cannot be told apart.
    assert ranked_first(found) == pytest.approx((4 / 2 + 2) / 6)


@dataclasses.dataclass(frozen=True)
class Linear:
    """Least squares in the place of a network, which takes no time to compile."""

    weights: np.ndarray

    def logits(self, images):
        return jnp.asarray(10 * pixels(images) @ self.weights, jnp.float32)

    def accuracy(self, images, labels):
        return float(np.mean(self.logits(images).argmax(-1) == labels))


def pixels(images):
    return np.asarray(images, float).reshape(len(images), -1) / 255 - 0.5


def fitted(images, targets, ridge=1e-2):
    x = pixels(images)
    kernel = x @ x.T + ridge * np.eye(len(x))
    return Linear(x.T @ np.linalg.solve(kernel, np.asarray(targets)))


PUBLIC = fitted(IMAGES[200:600], np.eye(10)[DIGITS[200:600]], ridge=30)


@pytest.fixture
def study(monkeypatch):
    """Makes the study on digits: its values, and what networks were trained on."""
    trained = []

    def train(key, images, labels, **options):
        del key
        trained.append((np.asarray(images), np.asarray(labels)))
        hard = np.ndim(labels) == 1
        targets = np.eye(options["classes"])[labels] if hard else labels
        protect = options.get("protect")
        if protect is not None:
            images = jax.vmap(functools.partial(protect, KEY))(images)
        return fitted(images, targets)

    def made(protection):
        trial = Trial(
            protection=protection,
            images=IMAGES[:200],
            public=IMAGES[200:600],
            labels=DIGITS[:200],
            public_labels=DIGITS[200:600],
            classes=10,
            seed=0,
            budget={
                "recogniser_width": 8,
                "teacher_steps": 1,
                "student_steps": 1,
                "student_shadows": 1,
            },
            classifier=lambda: PUBLIC,
            clean_classifier=lambda: PUBLIC,
        )
        return ATTACK.study.run(trial).values, trained

    for module in (vmixjax.attacks.soft_labels, vmixjax.attacks.membership):
        monkeypatch.setattr(module, "train_classifier", train)
    return made


def nothing_left(key, image):
    del key
    return jnp.full_like(image, 128)


def test_of_images_that_show_nothing_soft_labels_tell_class_and_original(study):
    hidden = dataclasses.replace(UNPROTECTED, protect=nothing_left, name="grey")
    found, _ = study(hidden)
    assert found["images"] == 200
    assert found["class_image"] < 0.25
    assert found["class_soft"] == pytest.approx(found["teacher"])
    assert min(found["class_soft"], found["class_both"]) > 0.7
    # All look like one candidate, which is the original of at most one of them.
    assert found["original_image"] <= 1 / 100
    assert min(found["original_soft"], found["original_both"]) > 5 / 200
    shares = [value for name, value in found.items() if name != "images"]
    assert all(0 <= value <= 1 for value in shares)


def test_teacher_and_students_see_the_release_alone_and_one_student_both_labels(study):
    found, trained = study(UNPROTECTED)
    # A few digits have the same four means.
    assert found["original_both"] >= found["original_image"] > 0.9
    assert found["hard_members"] > found["hard_others"] + 0.1
    assert found["hard_loss_auc"] > 0.6
    (teacher, shadow, hard, soft) = trained
    for images, _ in (teacher, hard, soft):
        np.testing.assert_array_equal(images, IMAGES[:100])
    owners = {image.tobytes() for image in np.asarray(IMAGES[:200])}
    assert not owners & {image.tobytes() for image in shadow[0]}
    np.testing.assert_array_equal(hard[1], DIGITS[:100])
    logits = fitted(IMAGES[:100], np.eye(10)[DIGITS[:100]]).logits(IMAGES[:100])
    expected = (np.eye(10)[DIGITS[:100]] + jax.nn.softmax(logits)) / 2
    np.testing.assert_allclose(soft[1], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: distillation_targets(LABELS, SOFT[:5]), ValueError, "labels must be"),
        (lambda: distillation_targets(LABELS + 1, SOFT), ValueError, "below the 4 cl"),
        (
            lambda: distillation_targets(LABELS, 2 * SOFT),
            ValueError,
            "of sum 1 in each",
        ),
        (lambda: distillation_targets(LABELS, LABELS), TypeError, "soft must be"),
        (
            lambda: soft_label_evidence(SOFT, SOFT[:, :3]),
            ValueError,
            "of the 4 classes",
        ),
        (lambda: ranked_first(np.zeros((3, 2))), ValueError, "B from 1 to N"),
        (lambda: soft_labels(SOFT, logits_of=len), TypeError, "images must be uint8"),
    ],
)
def test_bad_input_is_refused_by_name(make, error, words):
    with pytest.raises(error, match=words):
        make()

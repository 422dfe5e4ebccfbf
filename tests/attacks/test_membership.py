import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vmixjax.attacks.membership import (
    loss_threshold,
    membership_metrics,
    shadow_models,
)
from vmixjax.attacks.threat_model import ThreatModel
from vmixjax.data.digits import enlarged_digits
from vmixjax.networks.classifier import train_classifier

MEMBERS = 100
KEY = jax.random.key(0)
TRAINING = {"steps": 80, "batch_size": 32, "width": 8, "mirror": False}


def unchanged(_, image):
    return image


def data():
    """Digits, a third with a wrong label, which can only be learned by heart."""
    train, _ = enlarged_digits()
    rng = np.random.default_rng(0)
    wrong = rng.random(len(train.labels)) < 1 / 3
    labels = np.where(wrong, rng.integers(0, 10, len(wrong)), train.labels)
    return jnp.asarray(train.images[:, ::4, ::4]), jnp.asarray(labels, jnp.int32)


IMAGES, LABELS = data()
ASKED, OTHERS = slice(0, 2 * MEMBERS), slice(2 * MEMBERS, 3 * MEMBERS)
PUBLIC = slice(3 * MEMBERS, 5 * MEMBERS)
IS_MEMBER = np.arange(2 * MEMBERS) < MEMBERS
KNOWN = ThreatModel(unchanged, IMAGES[PUBLIC], labels=LABELS[PUBLIC])


@functools.cache
def model(of_members):
    part = slice(0, MEMBERS) if of_members else OTHERS
    return train_classifier(
        jax.random.key(7), IMAGES[part], LABELS[part], **TRAINING, protect=unchanged
    )


def scores(attack, target, **options):
    return attack(
        KEY,
        IMAGES[ASKED],
        KNOWN,
        labels=LABELS[ASKED],
        logits_of=target.logits,
        **options,
    )


SHADOWS = functools.partial(shadow_models, shadows=2, **TRAINING)


@pytest.mark.parametrize("attack", [loss_threshold, SHADOWS])
def test_members_of_an_overfitted_model_are_found_and_of_no_other(attack):
    found = membership_metrics(scores(attack, model(True)), IS_MEMBER)
    assert found.auc > 0.7
    assert found.advantage > 0.3
    control = membership_metrics(scores(attack, model(False)), IS_MEMBER)
    # Four standard errors of the AUC of scores that say nothing.
    assert abs(control.auc - 0.5) < 4 * np.sqrt((2 * MEMBERS + 1) / (12 * MEMBERS**2))


def test_losses_are_those_of_the_model_averaged_over_queries():
    logits = model(True).logits(IMAGES[ASKED])
    expected = np.take_along_axis(
        np.asarray(jax.nn.log_softmax(logits)), np.asarray(LABELS[ASKED])[:, None], 1
    )[:, 0]
    for queries in (1, 2):
        got = scores(loss_threshold, model(True), queries=queries)
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_each_query_has_keys_of_its_own_and_the_attack_repeats_itself():
    def noisy(key, image):
        return jax.random.bits(key, image.shape, jnp.uint8)

    asked = []

    def logits_of(images):
        asked.append(np.asarray(images))
        return jnp.zeros((len(images), 10))

    known = ThreatModel(noisy, IMAGES[PUBLIC])
    for _ in range(2):
        loss_threshold(
            KEY,
            IMAGES[:4],
            known,
            labels=LABELS[:4],
            logits_of=logits_of,
            queries=2,
        )
    assert (asked[0] != asked[1]).any()
    np.testing.assert_array_equal(asked[:2], asked[2:])


def test_metrics_by_hand():
    values = [5, 4, 3, 2, 1, 0]
    truth = [True, True, False, True, False, False]
    got = membership_metrics(values, truth)
    assert got.auc == pytest.approx(8 / 9)
    assert got.advantage == pytest.approx(2 / 3)
    assert got.true_positives == pytest.approx(2 / 3)
    loose = membership_metrics(values, truth, false_positives=1 / 3)
    assert loose.true_positives == 1


@pytest.mark.parametrize(
    ("known", "options", "words"),
    [
        (ThreatModel(unchanged, IMAGES[:9]), {}, "threat_model.labels must be given"),
        (ThreatModel(unchanged, IMAGES[:7]), {}, "public must be at least 8 images"),
        (KNOWN, {"members": 201}, "members must be 2 to 200"),
        (KNOWN, {"shadows": 0}, "shadows must be at least 1"),
        (KNOWN, {"queries": 0}, "queries must be at least 1"),
        (KNOWN, {"labels": None}, "labels must be given"),
        (KNOWN, {"labels": jnp.full(2, 10)}, "below the model's 10 classes; got 10"),
    ],
)
def test_bad_input_is_refused_by_name(known, options, words):
    options = {"labels": LABELS[:2], "logits_of": model(True).logits} | options
    with pytest.raises(ValueError, match=words):
        shadow_models(KEY, IMAGES[:2], known, **options)


@pytest.mark.parametrize(
    ("values", "truth", "words"),
    [
        ([1, 2], [True], "must be one for each image"),
        ([1, 2], [True, True], "both members and others"),
    ],
)
def test_metrics_refuse_what_says_nothing(values, truth, words):
    with pytest.raises(ValueError, match=words):
        membership_metrics(values, truth)

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from methods import KEY

from vmixjax.attacks.recognition import ATTACK, recognition
from vmixjax.attacks.threat_model import ThreatModel
from vmixjax.data.digits import enlarged_digits
from vmixjax.networks import train_classifier

TRAINING = {"steps": 60, "batch_size": 32, "width": 8, "mirror": False}
TRAIN, TEST = enlarged_digits()
PUBLIC = jnp.asarray(TRAIN.images[:, ::4, ::4])
IMAGES, LABELS = jnp.asarray(TEST.images[:, ::4, ::4]), np.asarray(TEST.labels)


def upside_down(key, image):
    del key
    return 255 - image[::-1]


KNOWN = ThreatModel(upside_down, PUBLIC, labels=jnp.asarray(TRAIN.labels))


def test_who_trains_on_protected_images_recognises_more_than_who_does_on_clean_ones():
    protected = 255 - IMAGES[:, ::-1]
    told = np.asarray(recognition(KEY, protected, KNOWN, **TRAINING))
    assert told.shape == LABELS.shape
    clean = train_classifier(KEY, PUBLIC, KNOWN.labels, **TRAINING)
    assert clean.accuracy(IMAGES, TEST.labels) > 0.7
    assert np.mean(told == LABELS) > clean.accuracy(protected, TEST.labels) + 0.3
    # In an audit the network is there already.
    known = dataclasses.replace(KNOWN, classifier=lambda: clean)
    again = np.asarray(ATTACK.recognise(KEY, IMAGES, known, {}))
    assert np.mean(again == LABELS) == pytest.approx(
        clean.accuracy(IMAGES, TEST.labels)
    )


@pytest.mark.parametrize(
    ("known", "error", "words"),
    [
        ({"labels": None}, ValueError, "threat_model.labels must be given"),
        ({"public": PUBLIC / 255}, TypeError, "threat_model.public must be uint8"),
    ],
)
def test_bad_arguments_are_named(known, error, words):
    with pytest.raises(error, match=words):
        recognition(KEY, IMAGES, dataclasses.replace(KNOWN, **known))


def test_without_a_network_the_threat_model_says_how_to_get_one():
    with pytest.raises(ValueError, match="has no trained network: make it with"):
        KNOWN.classifier()

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vmixjax
from vmixjax.data.digits import enlarged_digits
from vmixjax.networks.classifier import cross_entropy, train_classifier

TRAIN, TEST = enlarged_digits()
# Every second pixel of the enlarged digits: a quarter of the work.
IMAGES, SEEN = TRAIN.images[:, ::2, ::2], TEST.images[:, ::2, ::2]
KEY = jax.random.key(0)
SMALL = {"steps": 160, "batch_size": 64, "width": 8, "mirror": False}


def perhaps_inverted(key, image):
    return jnp.where(jax.random.bernoulli(key), 255 - image, image)


@functools.cache
def model():
    return train_classifier(
        KEY, IMAGES, TRAIN.labels, **SMALL, protect=perhaps_inverted
    )


def mix(key, image):
    config = vmixjax.MixConfig(tile_size=16, ladder=((16, 1),))
    return vmixjax.mix(key, image, vmixjax.full_plan(image.shape, config))


def test_it_learns_digits_as_fresh_keys_protect_them():
    assert model().accuracy(SEEN, TEST.labels) > 0.7
    assert model().accuracy(255 - SEEN, TEST.labels) > 0.7


def test_digits_are_lost_in_large_regions():
    keys = jax.random.split(jax.random.key(1), len(SEEN))
    mixed = jax.vmap(mix)(keys, jnp.asarray(SEEN))
    assert model().accuracy(mixed, TEST.labels) < 0.3


def test_features_are_what_logits_are_made_of():
    features = model().features(SEEN[:5])
    head = jax.tree.leaves_with_path(model().parameters["head"])
    weights = {str(path[-2].key): value for path, value in head}
    logits = features @ weights["kernel"] + weights["bias"]
    np.testing.assert_allclose(model().logits(SEEN[:5]), logits, rtol=1e-4, atol=1e-4)


def test_the_same_key_gives_the_same_classifier():
    short = {**SMALL, "steps": 3}
    one, two, other = (
        train_classifier(
            jax.random.key(k), IMAGES, TRAIN.labels, **short, protect=perhaps_inverted
        )
        for k in (0, 0, 1)
    )
    np.testing.assert_array_equal(one.logits(SEEN[:9]), two.logits(SEEN[:9]))
    assert (one.logits(SEEN[:9]) != other.logits(SEEN[:9])).any()


def test_soft_labels_count_each_class_by_its_probability():
    rng = np.random.default_rng(0)
    logits, soft = rng.normal(size=(5, 4)), rng.dirichlet(np.ones(4), 5)

    def loss(labels):
        images = np.zeros((5, 8, 8, 1), np.uint8)
        value, _ = cross_entropy(lambda _: jnp.asarray(logits), (images, labels))
        return float(value)

    told = np.log(np.exp(logits) / np.exp(logits).sum(1, keepdims=True))
    expected = -(soft * told).sum(1).mean()
    assert loss(jnp.asarray(soft)) == pytest.approx(expected, rel=1e-5)
    classes = jnp.arange(5) % 4
    assert loss(classes) == pytest.approx(loss(jnp.eye(4)[classes]), rel=1e-5)


@pytest.mark.parametrize(
    ("images", "labels", "options", "words"),
    [
        (IMAGES[:4], None, {}, "labels must be given"),
        (IMAGES[:4], [0, 1], {}, r"one for each image, shape \(4,\); got \(2,\)"),
        (IMAGES[:2], [0, -1], {}, "labels must be at least 0"),
        (IMAGES[:2], [0, 5], {"classes": 5}, "below classes = 5; got 5"),
        (IMAGES[:1], [0], {}, "images must be at least 2 images"),
        (IMAGES[:2], [0, 1], {"batch_size": 0}, "batch_size must be at least 1"),
        (IMAGES[:2], np.eye(3), {}, r"shape \(2, 3\); got \(3, 3\)"),
        (IMAGES[:2], np.eye(2), {"classes": 3}, r"shape \(2, 3\); got \(2, 2\)"),
        (IMAGES[:2], np.ones((2, 2)), {}, "labels must be at least 0, and of sum 1"),
        (IMAGES[:2], [[1.5, -0.5], [0.0, 1.0]], {}, "a lowest of -0.5"),
    ],
)
def test_bad_input_is_refused_by_name(images, labels, options, words):
    with pytest.raises(ValueError, match=words):
        train_classifier(KEY, images, labels, **options)


def test_labels_that_are_no_integers_are_refused():
    with pytest.raises(TypeError, match="labels must be integers; got float32"):
        train_classifier(KEY, IMAGES[:2], [0.0, 1.0])
    with pytest.raises(TypeError, match=r"labels must be integers .*; got int32"):
        train_classifier(KEY, IMAGES[:2], np.eye(2, dtype=np.int32))

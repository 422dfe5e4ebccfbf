"""Networks that find objects, and that tell classes of pixels.

That they learn is tested where audits train them; here, what they are trained on.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from made_places import squares

from vmixjax.data import Boxes
from vmixjax.dense.masks import IGNORED
from vmixjax.networks import (
    DenseNet,
    Segmenter,
    detector,
    train_detector,
    train_segmenter,
)
from vmixjax.networks import protected_training as training
from vmixjax.networks.inputs import mirror

KEY = jax.random.key(0)
IMAGES, OBJECTS, MASKS = squares(6, side=16)


@pytest.mark.parametrize(("size", "grid"), [((16, 16), (4, 4)), ((18, 7), (5, 2))])
def test_a_network_says_something_of_each_place_of_four_pixels(size, grid):
    def apply(x):
        return DenseNet(3, 5, width=4, rngs=nnx.Rngs(0))(x)

    x = jax.ShapeDtypeStruct((2, *size, 3), jnp.float32)
    found = jax.eval_shape(apply, x)
    assert (found.shape, found.dtype) == ((2, *grid, 5), jnp.float32)


def batch(key, targets, mirrored, protect=None):
    images = jnp.asarray(IMAGES)
    return training._batch(protect, 32, mirrored, images, targets, key)


def test_boxes_are_mirrored_with_their_images():
    images, (corners, labels) = batch(
        KEY, detector._targets(OBJECTS), detector._mirrored
    )
    turned = 0
    for image, boxes, classes in zip(images, corners, labels, strict=True):
        turned += not any((image == one).all() for one in IMAGES)
        for box, label in zip(boxes, classes, strict=True):
            top, left, bottom, right = np.round(np.asarray(box) * 16).astype(int)
            inside = np.asarray(image[top:bottom, left:right]).reshape(-1, 3)
            # Red squares have the label 0, blue ones 1, and nothing else is in a box.
            assert (inside == ((30, 30, 220) if label else (220, 30, 30))).all()
    assert 5 < turned < 27


def test_masks_are_mirrored_with_their_images():
    images, masks = batch(KEY, jnp.asarray(MASKS), mirror)
    colours = np.array([(220, 30, 30), (30, 30, 220)])
    for number, colour in enumerate(colours, 1):
        np.testing.assert_array_equal(masks == number, (images == colour).all(-1))
    assert not all(any((m == one).all() for one in MASKS) for m in masks)


def test_each_image_is_protected_with_a_key_of_its_own_and_its_boxes_are_not():
    def noise(key, image):
        return jax.random.bits(key, image.shape, jnp.uint8)

    targets = detector._targets(OBJECTS)
    images, asked = batch(KEY, targets, detector._mirrored, noise)
    assert len({image.tobytes() for image in np.asarray(images)}) == 32
    _, bare = batch(KEY, targets, detector._mirrored)
    jax.tree.map(np.testing.assert_array_equal, asked, bare)
    again, _ = batch(jax.random.key(1), targets, detector._mirrored, noise)
    assert (again != images).any()


def test_boxes_become_arrays_of_one_length():
    one = Boxes(
        np.array([[0, 0, 0.1, 0.1], [0, 0, 1, 1]], np.float32), np.array([1, 0])
    )
    none = Boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.int64))
    corners, labels = detector._targets([one, none])
    assert labels.tolist() == [[1, 0], [-1, -1]]
    assert corners[0, 1].tolist() == [0, 0, 1, 1]
    many = Boxes(np.tile(one.corners, (80, 1)), np.tile(one.labels, 80))
    assert detector._targets([many])[1].shape == (1, detector.MOST_OBJECTS)
    assert detector._targets([none, none])[1].shape == (2, 1)


def test_a_network_that_says_what_masks_say_is_right(monkeypatch):
    masks = MASKS.copy()
    masks[:, 0] = IGNORED
    network = Segmenter(None, None)

    def said(found):
        monkeypatch.setattr(Segmenter, "classes_of", lambda self, _: jnp.asarray(found))
        return network.mean_iou(IMAGES, masks)

    assert said(MASKS) == 1
    # What is ignored may be anything.
    assert said(np.where(masks == IGNORED, 2, MASKS)) == 1
    # One of two is all that is found, of half the area, and nothing of the third.
    assert said(np.zeros_like(MASKS)) == pytest.approx(
        (masks == 0).sum() / masks[:, 1:].size / 3
    )


FEW = {"steps": 1, "width": 4, "batch_size": 2}


@pytest.mark.parametrize(
    ("objects", "options", "words"),
    [
        (OBJECTS[:2], {}, "objects must be those of each image, 6; got those of 2"),
        (OBJECTS, {"classes": 1}, "labels must be below classes = 1; got 1"),
        (OBJECTS, {"steps": 0}, "steps must be at least 1"),
        (OBJECTS, {"width": 0}, "width must be at least 1"),
    ],
)
def test_bad_objects_are_refused_by_name(objects, options, words):
    with pytest.raises(ValueError, match=words):
        train_detector(KEY, IMAGES, objects, **{**FEW, **options})


@pytest.mark.parametrize(
    ("masks", "options", "words"),
    [
        (MASKS[:, :8], {}, r"masks must be one for each image, shape \(6, 16, 16\)"),
        (MASKS, {"classes": 2}, "masks must be below classes = 2; got 2"),
        (MASKS, {"batch_size": 0}, "batch_size must be at least 1"),
        (MASKS, {"width": 0}, "width must be at least 1"),
    ],
)
def test_bad_masks_are_refused_by_name(masks, options, words):
    with pytest.raises(ValueError, match=words):
        train_segmenter(KEY, IMAGES, masks, **{**FEW, **options})


def test_masks_that_are_no_bytes_are_refused():
    with pytest.raises(TypeError, match="masks must be uint8; got int32"):
        train_segmenter(KEY, IMAGES, MASKS.astype(np.int32), **FEW)

"""Networks that find objects, and that tell classes of pixels."""

import functools

import jax
import jax.numpy as jnp
import pytest
from made_places import squares

import vmixjax
from vmixjax.networks import (
    train_detector,
    train_segmenter,
)

KEY = jax.random.key(0)
IMAGES, OBJECTS, MASKS = squares(96)
SEEN, THERE, KNOWN = squares(48, seed=1)
SMALL = {"steps": 120, "batch_size": 16, "width": 8, "learning_rate": 4e-3}


def mix(key, image):
    """Whole images are one region: nothing is left of where things are."""
    config = vmixjax.MixConfig(tile_size=32, ladder=((32, 1),))
    return vmixjax.mix(key, image, vmixjax.full_plan(image.shape, config))


@functools.cache
def mixed():
    keys = jax.random.split(jax.random.key(1), len(SEEN))
    return jax.vmap(mix)(keys, jnp.asarray(SEEN))


def test_a_detector_finds_squares_but_not_in_mixed_images():
    pytest.importorskip("hotcoco")
    clean = train_detector(KEY, IMAGES, OBJECTS, **SMALL)
    assert clean.average_precision(SEEN, THERE, 2)["ap50"] > 0.6
    protected = train_detector(KEY, IMAGES, OBJECTS, **SMALL, protect=mix)
    assert protected.average_precision(mixed(), THERE, 2)["ap50"] < 0.2


def test_a_segmenter_tells_pixels_but_not_of_mixed_images():
    clean = train_segmenter(KEY, IMAGES, MASKS, **SMALL)
    assert clean.mean_iou(SEEN, KNOWN) > 0.7
    assert clean.classes_of(SEEN).shape == SEEN.shape[:3]
    protected = train_segmenter(KEY, IMAGES, MASKS, **SMALL, protect=mix)
    assert protected.mean_iou(mixed(), KNOWN) < 0.4

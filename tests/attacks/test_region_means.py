import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from methods import KEY, error, mixed, mixing, photographs, region_means

from vmixjax.attacks.region_means import thumbnail

PHOTOS = photographs(96)


def test_the_thumbnail_of_a_mix_is_that_of_the_original():
    knowledge = mixing(PHOTOS.shape[1:], 16)
    protected = mixed(knowledge, PHOTOS)
    seen = np.asarray(thumbnail(KEY, protected, knowledge))
    assert seen.shape == PHOTOS.shape
    assert seen.dtype == np.uint8
    assert (seen == np.asarray(thumbnail(KEY, PHOTOS, knowledge))).all()
    # Smooth: nearer to the photographs than the means themselves.
    assert error(seen, PHOTOS) < error(region_means(PHOTOS, 16), PHOTOS)
    assert error(seen, PHOTOS) < 0.7 * error(protected, PHOTOS)


def test_means_of_flat_regions_are_their_values():
    knowledge = mixing((16, 16, 1), 8)
    flat = np.full((2, 16, 16, 1), 200, np.uint8)
    assert (np.asarray(thumbnail(KEY, flat, knowledge)) == 200).all()
    # Overshoot is clipped, not wrapped.
    edge = flat.copy()
    edge[:, :8], edge[:, 8:] = 255, 0
    drawn = np.asarray(thumbnail(KEY, edge, knowledge)).astype(int)
    assert (np.diff(drawn, axis=1) <= 0).all()


def test_without_regions_images_stay_as_they_are():
    knowledge = dataclasses.replace(mixing(PHOTOS.shape[1:], 16), region=None)
    assert (np.asarray(thumbnail(KEY, PHOTOS, knowledge)) == PHOTOS).all()


@pytest.mark.parametrize(
    ("protected", "region", "error", "words"),
    [
        (PHOTOS[0], 16, ValueError, r"protected must be a batch.*protected\[None\]"),
        (PHOTOS[:0], 16, ValueError, "protected must be a batch"),
        (jnp.asarray(PHOTOS, float), 16, TypeError, "protected must be uint8"),
        (PHOTOS, 15, ValueError, "knowledge.region of 15 does not divide .*96 x 96"),
        (PHOTOS, 0, ValueError, "knowledge.region must be a positive integer"),
    ],
)
def test_bad_arguments_are_named(protected, region, error, words):
    knowledge = dataclasses.replace(mixing(PHOTOS.shape[1:], 16), region=region)
    with pytest.raises(error, match=words):
        thumbnail(KEY, protected, knowledge)

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from methods import KEY, error, means_of_regions, mixed, mixing, photographs

from vmixjax.attacks.region_means import region_means

PHOTOS = photographs(96)


def test_the_thumbnail_of_a_mix_is_that_of_the_original():
    threat_model = mixing(PHOTOS.shape[1:], 16)
    protected = mixed(threat_model, PHOTOS)
    seen = np.asarray(region_means(KEY, protected, threat_model))
    assert seen.shape == PHOTOS.shape
    assert seen.dtype == np.uint8
    assert (seen == np.asarray(region_means(KEY, PHOTOS, threat_model))).all()
    # Smooth: nearer to the photographs than the means themselves.
    assert error(seen, PHOTOS) < error(means_of_regions(PHOTOS, 16), PHOTOS)
    assert error(seen, PHOTOS) < 0.7 * error(protected, PHOTOS)


def test_means_of_flat_regions_are_their_values():
    threat_model = mixing((16, 16, 1), 8)
    flat = np.full((2, 16, 16, 1), 200, np.uint8)
    assert (np.asarray(region_means(KEY, flat, threat_model)) == 200).all()
    # Overshoot is clipped, not wrapped.
    edge = flat.copy()
    edge[:, :8], edge[:, 8:] = 255, 0
    drawn = np.asarray(region_means(KEY, edge, threat_model)).astype(int)
    assert (np.diff(drawn, axis=1) <= 0).all()


def test_without_regions_images_stay_as_they_are():
    threat_model = dataclasses.replace(mixing(PHOTOS.shape[1:], 16), region=None)
    assert (np.asarray(region_means(KEY, PHOTOS, threat_model)) == PHOTOS).all()


@pytest.mark.parametrize(
    ("protected", "region", "error", "words"),
    [
        (PHOTOS[0], 16, ValueError, r"protected must be a batch.*protected\[None\]"),
        (PHOTOS[:0], 16, ValueError, "protected must be a batch"),
        (jnp.asarray(PHOTOS, float), 16, TypeError, "protected must be uint8"),
        (PHOTOS, 15, ValueError, "threat_model.region of 15 does not divide .*96 x 96"),
        (PHOTOS, 0, ValueError, "threat_model.region must be a positive integer"),
    ],
)
def test_bad_arguments_are_named(protected, region, error, words):
    threat_model = dataclasses.replace(mixing(PHOTOS.shape[1:], 16), region=region)
    with pytest.raises(error, match=words):
        region_means(KEY, protected, threat_model)

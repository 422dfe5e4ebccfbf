import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from methods import KEY, PUBLIC, error, photographs, shuffled

from vmixjax.attacks.region_means import region_means
from vmixjax.attacks.threat_model import ThreatModel
from vmixjax.attacks.total_variation import (
    ATTACK,
    _divergence,
    _gradient,
    refined,
    total_variation,
)
from vmixjax.methods import named
from vmixjax.metrics import ssim

PHOTOS = photographs()[:, ::4, ::4]
KNOWN = ThreatModel(lambda key, image: image, PUBLIC, region=8)


@pytest.mark.parametrize("channels", ["independent", "shared"])
def test_it_sees_more_than_the_means_and_the_same_under_any_key(channels):
    mixes = [shuffled(PHOTOS, 8, channels=channels, seed=seed) for seed in (0, 1)]
    seen, again = (
        np.asarray(total_variation(KEY, x, KNOWN, channels=channels)) for x in mixes
    )
    assert seen.shape == PHOTOS.shape
    assert seen.dtype == np.uint8
    means = np.asarray(region_means(KEY, mixes[0], KNOWN))
    assert ssim(PHOTOS, seen).mean() > ssim(PHOTOS, means).mean() + 0.05
    assert (mixes[0] != mixes[1]).mean() > 0.5
    assert error(seen, again) < 1


def test_what_another_attack_recovered_is_brought_nearer_to_the_known_values():
    noise = np.random.default_rng(0).normal(0, 12, PHOTOS.shape)
    found = np.clip(PHOTOS + noise, 0, 255).astype(np.uint8)
    seen = np.asarray(refined(found, shuffled(PHOTOS, 8), KNOWN))
    assert error(seen, PHOTOS) < 0.8 * error(found, PHOTOS)
    with pytest.raises(ValueError, match=r"images are of shape .*the same images"):
        refined(found[:2], PHOTOS, KNOWN)


def test_a_flat_image_stays_flat_and_an_edge_between_regions_stays_sharp():
    image = np.full((2, 80, 80, 3), 30, np.uint8)
    image[1, :, 40:] = 220
    seen = np.asarray(total_variation(KEY, image, KNOWN)).astype(int)
    assert (seen[0] == 30).all()
    assert (seen[1, :, 40] - seen[1, :, 39] > 150).all()


def test_the_divergence_is_the_negative_transpose_of_the_gradient():
    rng = np.random.default_rng(0)
    image, dual = (jnp.asarray(rng.normal(size=(n, 5, 6, 2))) for n in (1, 2))
    dual = dual[:, None]
    across = float(jnp.sum(_gradient(image) * dual))
    assert across == pytest.approx(-float(jnp.sum(image * _divergence(dual))), 1e-4)


def test_it_applies_where_single_values_move_in_regions_of_known_channels():
    names = ("mix:8", "mix-shared:8", "csvar", "mix:8/2", "mix-joint:8", "le", "etc")
    fits = [ATTACK.applies(named(name, (32, 32, 3)), 32) for name in names]
    assert fits == [True, True, True, False, False, False, False]


@pytest.mark.parametrize(
    ("region", "options", "words"),
    [
        (7, {}, "threat_model.region of 7 does not divide"),
        (8, {"channels": "joint"}, "channels is 'joint'.*'independent' and 'shared'"),
        (8, {"channels": "both"}, "channels must be one of"),
        (8, {"rounds": 0}, "rounds must be at least 1"),
    ],
)
def test_bad_arguments_are_named(region, options, words):
    known = dataclasses.replace(KNOWN, region=region)
    with pytest.raises(ValueError, match=words):
        total_variation(KEY, PHOTOS, known, **options)

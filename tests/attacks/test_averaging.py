import numpy as np
import pytest
from methods import KEY, PUBLIC, error, means_of_regions, photographs, shuffled

from vmixjax.attacks.averaging import averaging
from vmixjax.attacks.region_means import region_means
from vmixjax.attacks.threat_model import ThreatModel

PHOTOS = photographs(64)


def knowing(region):
    return ThreatModel(lambda key, image: image, PUBLIC, region=region)


def averaged(mixed_in, count, known=None):
    """Of `count` mixes in regions of one size, by who knows of regions of another."""
    mixes = [shuffled(PHOTOS, mixed_in, seed=seed) for seed in range(count + 1)]
    threat_model = knowing(known or mixed_in)
    return averaging(KEY, mixes[0], threat_model, repeats=np.stack(mixes[1:]))


def test_many_full_mixes_tend_to_the_means_of_regions():
    means = means_of_regions(PHOTOS, 16)
    distances = [error(averaged(16, count), means) for count in (1, 7, 31)]
    assert distances[0] > distances[1] > distances[2]
    assert distances[2] < 1
    # So averaging shows no more than one mix does.
    one = region_means(KEY, shuffled(PHOTOS, 16), knowing(16))
    assert error(averaged(16, 31), PHOTOS) > error(one, PHOTOS)


def test_weaker_levels_show_more_than_the_means_of_the_largest_regions():
    seen = averaged(8, 31, known=32)
    assert error(seen, means_of_regions(PHOTOS, 8)) < 6
    assert error(seen, PHOTOS) < 0.7 * error(means_of_regions(PHOTOS, 32), PHOTOS)


@pytest.mark.parametrize("draw", ["normal", "laplace"])
def test_many_noisy_copies_tend_to_the_original(draw):
    noise = getattr(np.random.default_rng(0), draw)(0, 40, (64, *PHOTOS.shape))
    noisy = np.clip(PHOTOS + noise, 0, 255).round().astype(np.uint8)
    threat_model = knowing(None)
    errors = [
        error(averaging(KEY, noisy[0], threat_model, repeats=noisy[1:n]), PHOTOS)
        for n in (2, 8, 64)
    ]
    assert errors[0] > 1.5 * errors[1] > 2.25 * errors[2]
    assert errors[2] < 7
    # A plain mean stays away from black and white, where noise was cut off.
    assert errors[2] < error(noisy.mean(0), PHOTOS)


def test_equal_repeats_change_nothing():
    seen = averaging(KEY, PHOTOS, knowing(16), repeats=PHOTOS[None])
    assert (np.asarray(seen) == PHOTOS).all()


@pytest.mark.parametrize(
    ("repeats", "error", "words"),
    [
        (PHOTOS, ValueError, r"repeats must be .*\(M, 5, 64, 64, 3\).*got \(5, 64"),
        (PHOTOS[None, :2], ValueError, r"repeats must be .*got \(1, 2, 64"),
        (PHOTOS[None][:0], ValueError, r"repeats must be .*at least 1"),
        (PHOTOS[None] > 9, TypeError, r"repeats must be uint8; got bool"),
    ],
)
def test_bad_repeats_are_named(repeats, error, words):
    with pytest.raises(error, match=words):
        averaging(KEY, PHOTOS, knowing(16), repeats=repeats)

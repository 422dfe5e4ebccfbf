import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from crops import blurred, crops, pixelated, psnr

import vmixjax
from vmixjax.attacks._region_features import sorted_blocks
from vmixjax.attacks.reconstruction import (
    reconstruction,
    train_restorer,
)
from vmixjax.attacks.threat_model import ThreatModel

PUBLIC = np.concatenate([crops(name) for name in ("astronaut", "cat", "rocket")])
PRIVATE = crops("coffee")[::3]
KEY = jax.random.key(1)
SMALL = {"steps": 200, "batch_size": 16, "width": 16, "depth": 1}


def protect_all(protect, images):
    keys = jax.random.split(jax.random.key(2), len(images))
    return jax.vmap(protect)(keys, jnp.asarray(images))


def threat_model(protect, public=PUBLIC, **kwargs):
    return ThreatModel(protect=protect, public=jnp.asarray(public), **kwargs)


def pixels(_, image):
    return pixelated(image)


def mixing(region, block=1, side=32, **kwargs):
    config = vmixjax.MixConfig(tile_size=region, ladder=((region, block),), **kwargs)
    plan = vmixjax.full_plan((side, side, 3), config)
    return lambda key, image: vmixjax.mix(key, image, plan)


def test_blur_is_undone_in_part():
    protected = protect_all(lambda _, image: blurred(image), PRIVATE)
    found = reconstruction(
        KEY, protected, threat_model(lambda _, image: blurred(image)), **SMALL
    )
    assert (found.shape, found.dtype) == (PRIVATE.shape, jnp.uint8)
    assert psnr(found, PRIVATE) > psnr(protected, PRIVATE) + 1


@functools.cache
def filled_in():
    known = threat_model(pixels, region=4)
    protected = protect_all(pixels, PRIVATE)
    return known, protected, reconstruction(KEY, protected, known, **SMALL)


def test_pixels_are_filled_in():
    _, protected, found = filled_in()
    assert psnr(found, PRIVATE) > psnr(protected, PRIVATE) + 0.8


def test_the_same_key_gives_the_same_network_whatever_the_batch():
    known, protected, _ = filled_in()
    short = {**SMALL, "steps": 5}
    one = reconstruction(KEY, protected, known, **short)
    again = train_restorer(KEY, known, **short)
    np.testing.assert_array_equal(one, again.restore(protected))
    # To the last unit: other shapes are summed in other orders.
    alone = again.restore(protected[:1])
    assert np.abs(np.subtract(alone, one[:1], dtype=int)).max() <= 1


def test_mixed_regions_give_more_than_their_means():
    known = threat_model(mixing(4), region=4)
    protected = protect_all(known.protect, PRIVATE)
    means = protect_all(pixels, PRIVATE)
    found = reconstruction(KEY, protected, known, **SMALL)
    assert psnr(found, PRIVATE) > psnr(means, PRIVATE) + 0.8


def test_a_discriminator_asks_for_sharper_images_also_of_pieces():
    known, protected, plain = filled_in()
    sharp = reconstruction(KEY, protected, known, **SMALL, crop=16, adversarial=0.01)

    def detail(images):
        return np.square(np.diff(np.asarray(images, float), axis=2)).mean()

    assert detail(sharp) > 1.1 * detail(plain)
    assert psnr(sharp, PRIVATE) > psnr(protected, PRIVATE) - 3


@pytest.mark.parametrize("mode", ["shared", "independent"])
def test_sorted_blocks_are_the_same_for_every_key(mode):
    image = jnp.asarray(crops("cat")[:1])
    one = mixing(8, 2, channels=mode)(jax.random.key(3), image[0])
    expected = sorted_blocks(image.astype(jnp.float32), 8, 2)
    mixed = sorted_blocks(one[None].astype(jnp.float32), 8, 2)
    # Blocks of equal means may trade places.
    sums = [x.reshape(4, 4, 16, 4, 3).sum(-2) for x in (mixed, expected)]
    np.testing.assert_array_equal(*sums)
    np.testing.assert_array_equal(jnp.sort(mixed, -1), jnp.sort(expected, -1))


def test_sorted_single_pixels_are_the_canonical_form():
    image = jnp.asarray(crops("cat")[0])
    form = vmixjax.canonical(image, 8).reshape(4, 8, 4, 8, 3)
    form = form.transpose(0, 2, 1, 3, 4).reshape(4, 4, -1)
    np.testing.assert_array_equal(sorted_blocks(image[None], 8, 1)[0], form)
    # Of larger regions, 64 values from the lowest to the highest.
    few = sorted_blocks(image[None], 32, 1)[0].reshape(64, 3)
    np.testing.assert_array_equal(few[0], image.min((0, 1)))
    np.testing.assert_array_equal(few[-1], image.max((0, 1)))


@pytest.mark.parametrize(
    ("changes", "options", "words"),
    [
        ({"public": PUBLIC[:3]}, {}, "threat_model.public must be at least 4 images"),
        (
            {"public": PUBLIC[0]},
            {},
            r"public must be a batch \(B, H, W, C\)",
        ),
        ({"region": 5}, {}, "threat_model.public are 32 x 32, which are not whole"),
        ({"region": 8, "block": 3}, {}, "threat_model.block must divide"),
        ({}, {"steps": 0}, "steps must be at least 1; got 0"),
        ({}, {"adversarial": -1.0}, "adversarial must be at least 0"),
    ],
)
def test_bad_input_is_refused_by_name(changes, options, words):
    known = threat_model(mixing(4), **changes)
    with pytest.raises(ValueError, match=words):
        train_restorer(KEY, known, **options)


def test_values_that_are_not_bytes_are_refused():
    with pytest.raises(TypeError, match="public must be uint8; got float32"):
        train_restorer(KEY, threat_model(mixing(4), PUBLIC / np.float32(255)))

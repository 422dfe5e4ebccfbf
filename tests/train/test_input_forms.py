import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vmixjax
from train.forms import BINS, FORMS
from vmixjax.config import MixConfig

SIDE = 4
FREE = [name for name in FORMS if name != "plain"]


def images(count=3, colours=3):
    rng = np.random.default_rng(0)
    # Different regions, and a region of one colour.
    values = rng.integers(0, 256, (count, 8, 12, colours))
    values[:, :SIDE, :SIDE] = 77
    return jnp.asarray(values, jnp.uint8)


def region(images, row, column):
    """Values of a region, (colours, pixels)."""
    cut = images[0, row * SIDE :][:SIDE, column * SIDE :][:, :SIDE]
    return np.asarray(cut, np.float32).reshape(SIDE * SIDE, -1).T / 255 - 0.5


@pytest.mark.parametrize("name", FREE)
def test_they_are_the_same_for_every_key(name):
    form = FORMS[name]
    for channels in form.channels:
        config = MixConfig(SIDE, ((SIDE, 1),), channels)
        plan = vmixjax.full_plan((8, 12, 3), config)
        mix = jax.vmap(lambda key, image, p=plan: vmixjax.mix(key, image, p))
        seen = [
            form.make(mix(jax.random.split(jax.random.key(seed), 3), images()), 4, name)
            for seed, name in ((1, channels), (2, channels))
        ]
        if name in ("moments", "histogram") and channels == "joint":
            # Values that changed channels are told by none of these.
            continue
        np.testing.assert_allclose(*seen, atol=1e-5)


@pytest.mark.parametrize("name", FORMS)
def test_a_place_is_a_region_or_a_pixel(name):
    made = FORMS[name].make(images(), SIDE, FORMS[name].channels[0])
    assert made.dtype == jnp.float32
    assert made.shape[:3] == ((3, 2, 3) if FORMS[name].place else (3, 8, 12))
    assert jnp.isfinite(made).all()
    assert jnp.abs(made).max() <= 1


def test_tuples_are_pixels_from_dark_to_bright():
    made = np.asarray(FORMS["tuples"].make(images(), SIDE, "shared")[0, 1, 2])
    pixels = region(images(), 1, 2)
    order = np.argsort(np.array([0.299, 0.587, 0.114]) @ pixels)
    np.testing.assert_allclose(made.reshape(3, -1), pixels[:, order], atol=1e-6)


def test_moments_are_those_of_the_values():
    made = np.asarray(FORMS["moments"].make(images(), SIDE, "shared")[0, 1, 2])
    values = region(images(), 1, 2).astype(np.float64)
    apart = values - values.mean(1, keepdims=True)
    expected = np.stack(
        [
            values.mean(1),
            values.std(1),
            np.cbrt((apart**3).mean(1)),
            values.min(1),
            values.max(1),
        ]
    )
    np.testing.assert_allclose(made[:15].reshape(5, 3), expected, atol=1e-4)
    correlations = np.corrcoef(values)[np.triu_indices(3, 1)] / 2
    np.testing.assert_allclose(made[15:], correlations, atol=1e-4)
    parted = FORMS["moments"].make(images(), SIDE, "independent")
    assert parted.shape[-1] == 15


def test_a_histogram_shares_out_each_value():
    made = np.asarray(FORMS["histogram"].make(images(), SIDE, "independent")[0])
    shares = made.reshape(2, 3, 3, BINS) + 1 / BINS
    np.testing.assert_allclose(shares.sum(-1), 1, atol=1e-5)
    # 77 lies between the levels 2 and 3 of 0 to 7.
    place = 77 / 255 * (BINS - 1)
    np.testing.assert_allclose(shares[0, 0, 0, 2:4], [3 - place, place - 2], atol=1e-5)
    means = (shares * np.linspace(-0.5, 0.5, BINS)).sum(-1)
    np.testing.assert_allclose(means[1, 2], region(images(), 1, 2).mean(1), atol=1e-5)


def test_grey_images_have_forms_too():
    for form in FORMS.values():
        made = form.make(images(colours=1), SIDE, form.channels[0])
        assert jnp.isfinite(made).all()

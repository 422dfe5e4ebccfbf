import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest

import vmixjax
from vmixjax.data.digits import SIDE, enlarged_digits
from vmixjax.demo.learning import (
    CONFIG,
    Curve,
    fit,
    learn_clean_and_mixed,
    mixer_for,
)


@pytest.fixture(scope="module")
def digits():
    return enlarged_digits()


def test_digits_are_enlarged_and_apart(digits):
    train, test = digits
    assert train.images.shape == (1297, SIDE, SIDE, 1)
    assert test.images.shape == (500, SIDE, SIDE, 1)
    assert train.images.dtype == np.uint8
    assert train.images.max() == 255
    assert set(test.labels) == set(range(10))
    seen = {image.tobytes() for image in train.images}
    assert sum(image.tobytes() in seen for image in test.images) == 0


def kept_and_moved(image, mixed, size):
    """Every region has its values, and hardly one of its own is where it was."""
    before, after = (oracle.regions(np.asarray(x), size) for x in (image, mixed))
    assert (np.sort(before) == np.sort(after)).all()
    varied = before.std(-1) > 0
    assert (before[varied] != after[varied]).mean() > 0.5


def test_the_mixer_mixes_each_image_by_its_own_key(digits):
    images = jnp.asarray(digits[1].images[:3])
    keys = jax.random.split(jax.random.key(1), 3)
    mixed = mixer_for(images.shape[1:], CONFIG)(keys, images)
    plan = vmixjax.full_plan(images.shape[1:], CONFIG)
    for i in range(3):
        assert (mixed[i] == vmixjax.mix(keys[i], images[i], plan)).all()
        kept_and_moved(images[i], mixed[i], CONFIG.ladder[0][0])


@pytest.mark.parametrize("mixed", [False, True])
def test_the_loss_falls_and_a_run_repeats_itself(digits, mixed):
    train, test = digits
    mixer = mixer_for(test.images.shape[1:], CONFIG) if mixed else None
    curve = fit("short", train, test, mixer, seed=3, steps=40, every=10)
    assert isinstance(curve, Curve)
    assert curve.steps == (10, 20, 30, 40)
    assert curve.losses[-1] < curve.losses[0] / 1.5
    assert curve.accuracies[-1] > 0.5
    # Clean training has no randomness that mixed training has not.
    if mixed:
        assert fit("short", train, test, mixer, seed=3, steps=40, every=10) == curve


def test_the_shown_digits_are_mixed_as_those_that_are_learned_from(digits, monkeypatch):
    monkeypatch.setattr("vmixjax.demo.learning.fit", lambda *args, **_: args)
    lessons = learn_clean_and_mixed(0)
    (_, *data, clean_mixer), (_, *same_data, mixer) = lessons.curves
    assert clean_mixer is None
    assert mixer is not None
    assert data == same_data
    _, test = digits
    for i, (clean, mixed, means) in enumerate(
        zip(lessons.clean, lessons.mixed, lessons.means, strict=True)
    ):
        (place,) = np.flatnonzero((test.images == clean).all((1, 2, 3)))
        assert test.labels[place] == i
        kept_and_moved(clean, mixed, lessons.region)
        exact = oracle.regions(clean, lessons.region).mean(-1)
        assert (
            np.abs(oracle.regions(means, lessons.region) - exact[..., None]).max()
            <= 0.5
        )


def test_mixing_happens_inside_training(digits):
    train, test = digits
    seen = []

    def spy(keys, images):
        seen.append((keys.shape, images.shape, images.dtype))
        return jnp.zeros_like(images)

    curve = fit("blind", train, test, spy, seed=0, steps=10, every=10)
    assert [shape for shape, _, _ in seen] == [(128,), (500,)]
    # A network that is shown nothing learns nothing.
    assert curve.accuracies[-1] < 0.2

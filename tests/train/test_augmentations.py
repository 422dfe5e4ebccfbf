import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from train import augmentations, inputs
from train.augmentations import blended, whole_side
from train.config import Config, Data, Mixing, Optimizer

SHAPE = (16, 24, 3)


def augmented(config, keys, images):
    """Images alone, without anything that is to be learned of them."""
    seen, _ = augmentations.augmented(
        config, keys, images, {}, moved=lambda targets, move: targets
    )
    return seen


def batch(count=3):
    rng = np.random.default_rng(0)
    images = jnp.asarray(rng.integers(0, 256, (count, *SHAPE)), jnp.uint8)
    return inputs.image_keys(5, jnp.uint32(7), jnp.arange(count)), images


def test_augmentation_shifts_and_mirrors_each_image_for_itself():
    of = Config(data=Data(augment="crop-flip", shift="pixels"))
    image = jnp.broadcast_to(jnp.arange(24, dtype=jnp.uint8)[None, :, None], SHAPE)
    keys = inputs.image_keys(0, jnp.uint32(0), jnp.arange(64))
    seen = np.asarray(augmented(of, keys, jnp.stack([image] * 64)))
    assert seen.shape == (64, *SHAPE)
    mirrored = np.diff(seen[:, 0, 8:16, 0].astype(int), axis=1).mean(1) < 0
    assert 16 < mirrored.sum() < 48
    assert len(np.unique(seen[~mirrored][:, 0, 8, 0])) > 3
    again = augmented(of, keys[5:6], image[None])
    np.testing.assert_array_equal(again[0], seen[5])


def test_none_leaves_images_as_they_are():
    keys, images = batch()
    np.testing.assert_array_equal(augmented(Config(), keys, images), images)


def shifting(where="step", sizes=(4, 8), **data):
    mixing = Mixing(
        where, tile_size=8, ladder=tuple((size, 1) for size in sizes), form="plain"
    )
    return Config(data=Data(augment="crop-flip", **data), mixing=mixing)


@pytest.mark.parametrize("where", ["step", "done"])
def test_shifts_by_regions_tell_nothing_new_of_any_region(where):
    rng = np.random.default_rng(0)
    image = jnp.asarray(rng.integers(0, 256, (32, 64, 3)), jnp.uint8)
    keys = inputs.image_keys(0, jnp.uint32(0), jnp.arange(64))
    images = jnp.broadcast_to(image, (64, *image.shape))

    def regions(images):
        cut = np.asarray(images).reshape(len(images), 4, 8, 8, 8, 3)
        values = np.sort(cut.swapaxes(2, 3).reshape(-1, 64, 3), axis=1)
        return {value.tobytes() for value in values}

    seen = augmented(shifting(where), keys, images)
    assert regions(seen) == regions(image[None])
    assert len(np.unique(np.asarray(seen), axis=0)) > 9
    by_pixels = augmented(shifting(where, shift="pixels"), keys, images)
    assert len(regions(by_pixels)) > 4 * len(regions(image[None]))


def test_half_are_shifted_by_regions_and_all_by_pixels():
    keys = inputs.image_keys(0, jnp.uint32(0), jnp.arange(400))
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 1), np.uint8)
    images = jnp.broadcast_to(jnp.asarray(image), (400, *image.shape))

    def share(**data):
        """Of images that are not where they were, nor mirrored there."""
        seen = np.asarray(augmented(shifting(**data), keys, images))
        same = [(seen == one).all((1, 2, 3)) for one in (image, image[:, ::-1])]
        return 1 - np.logical_or(*same).mean()

    every = share(shifted=1.0)
    assert share() == share(shifted=0.5) == pytest.approx(every / 2, abs=0.1)
    by_pixels = share(shift="pixels")
    assert by_pixels == share(shift="pixels", shifted=1.0) > 0.95


def test_clean_images_are_shifted_by_pixels_whatever_is_said():
    keys, images = batch(2)
    either = [
        augmented(shifting("off", shift=shift), keys, images)
        for shift in ("regions", "pixels")
    ]
    np.testing.assert_array_equal(*either)


def test_a_region_that_is_half_of_an_image_is_not_shifted():
    keys, images = batch(2)
    seen = augmented(shifting(sizes=(8,)), keys, images)
    there = [np.asarray(images), np.asarray(images)[:, :, ::-1]]
    assert all(
        any((one == image[i]).all() for image in there)
        for i, one in enumerate(np.asarray(seen))
    )


def regions_of(images, side):
    """Values of each region, sorted, as a set."""
    images = np.asarray(images)
    count, height, width, colours = images.shape
    cut = images.reshape(count, height // side, side, width // side, side, colours)
    values = np.sort(cut.swapaxes(2, 3).reshape(-1, side * side, colours), axis=1)
    return {value.tobytes() for value in values}


def test_colours_change_alike_before_mixing_and_after():
    config = Config(data=Data(jitter=0.4))
    keys, images = batch()
    order = np.random.default_rng(1).permutation(SHAPE[0] * SHAPE[1])

    def shuffled(images):
        pixels = images.reshape(len(images), -1, 3)
        return pixels[:, order].reshape(images.shape)

    before = augmented(config, keys, shuffled(images))
    after = shuffled(augmented(config, keys, images))
    # Sums are taken in another order, so that values may be rounded otherwise.
    assert np.abs(before.astype(int) - after.astype(int)).max() <= 1
    assert (before != shuffled(images)).mean() > 0.5
    assert before.dtype == jnp.uint8


def test_a_rectangle_of_whole_regions_is_erased_in_some_images():
    config = shifting("done", sizes=(4,))
    config = dataclasses.replace(config, data=Data(erase=0.5))
    rng = np.random.default_rng(0)
    one = jnp.asarray(rng.integers(0, 256, (32, 32, 3)), jnp.uint8)
    keys = inputs.image_keys(0, jnp.uint32(0), jnp.arange(64))
    seen = np.asarray(augmented(config, keys, jnp.stack([one] * 64)))
    gone = (seen != np.asarray(one)).any(-1)
    assert 16 < gone.any((1, 2)).sum() <= 40
    mean = np.round(np.asarray(one, np.float32).mean((0, 1)))
    for image, where in zip(seen, gone, strict=True):
        assert (image[where] == mean).all()
        cut = where.reshape(8, 4, 8, 4)
        # Apart from pixels that have the mean colour anyway, regions go as wholes.
        shares = cut.mean((1, 3))
        assert ((shares == 0) | (shares > 0.9)).all()
    assert gone.mean((1, 2)).max() <= 0.3


@pytest.mark.parametrize("unit", [1, 4])
def test_cutmix_pastes_whole_regions_and_mixes_labels_by_their_area(unit):
    x = jnp.stack([jnp.zeros((16, 16, 3)), jnp.ones((16, 16, 3))])
    y = jnp.eye(2)
    shares = []
    for seed in range(20):
        key = jax.random.key(seed)
        seen, asked = blended(key, Optimizer(cutmix=1.0), unit, x, y)
        share = float(seen[0].mean())
        np.testing.assert_allclose(asked, [[1 - share, share], [share, 1 - share]])
        assert set(np.unique(seen)) <= {0, 1}
        if unit > 1:
            whole = seen.reshape(2, 4, 4, 4, 4, 3).mean((2, 4))
            assert set(np.unique(whole)) <= {0, 1}
        shares.append(share)
    assert min(shares) < 0.1
    assert max(shares) > 0.4


def test_mixup_blends_inputs_and_all_targets_alike():
    x, y = jnp.stack([jnp.zeros((4, 4, 1)), jnp.ones((4, 4, 1))]), jnp.eye(2)
    key, options = jax.random.key(0), Optimizer(mixup=1.0)
    seen, asked, taught = blended(key, options, 1, x, y, 3 * y)
    share = float(seen[0, 0, 0, 0])
    assert 0 < share < 1
    np.testing.assert_allclose(seen[0], share)
    np.testing.assert_allclose(asked[0], [1 - share, share], atol=1e-6)
    np.testing.assert_allclose(taught, 3 * asked, atol=1e-6)


def test_with_both_each_batch_gets_one_of_mixup_and_cutmix():
    x, y = jnp.stack([jnp.zeros((16, 16, 1)), jnp.ones((16, 16, 1))]), jnp.eye(2)
    pasted = []
    for seed in range(40):
        options = Optimizer(mixup=1.0, cutmix=1.0)
        seen, asked = blended(jax.random.key(seed), options, 1, x, y)
        np.testing.assert_allclose(asked[0, 1], seen[0].mean(), atol=1e-5)
        pasted.append(len(np.unique(seen)) == 2 and seen.max() == 1)
    assert 8 < sum(pasted) < 36


def test_without_either_nothing_is_blended():
    x, y = jnp.ones((2, 4, 4, 1)), jnp.eye(2)
    seen, asked = blended(jax.random.key(0), Optimizer(), 1, x, y)
    assert seen is x
    assert asked is y


def test_what_stays_whole_holds_regions_of_all_sizes():
    assert whole_side(shifting(sizes=(4, 8))) == 8
    assert whole_side(shifting("off", sizes=(4, 8))) == 1
    assert inputs.unit(shifting(sizes=(4, 8))) == 8
    regions = Mixing(tile_size=8, ladder=((4, 1), (8, 1)))
    assert inputs.unit(Config(mixing=regions)) == 1

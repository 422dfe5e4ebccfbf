import dataclasses

import numpy as np
import pytest
from methods import KEY, mixing, photographs, shuffled

from vmixjax.attacks.jigsaw import jigsaw

PHOTOS = photographs()


def in_place(images, originals, block):
    """Share of blocks, each channel by itself, that are as they were."""
    batch, height, width, channels = originals.shape
    same = np.asarray(images) == originals
    grid = same.reshape(batch, height // block, block, width // block, block, channels)
    return grid.all((2, 4)).mean()


@pytest.mark.parametrize("channels", ["shared", "independent"])
@pytest.mark.parametrize(("region", "least"), [(32, 0.98), (64, 0.95)])
def test_blocks_of_16_are_put_back(channels, region, least):
    threat_model = mixing(PHOTOS.shape[1:], region, 16, channels)
    protected = shuffled(PHOTOS, region, 16, channels)
    solved = jigsaw(KEY, protected, threat_model, channels=channels)
    assert in_place(protected, PHOTOS, 16) < 0.35
    assert in_place(solved, PHOTOS, 16) > least
    regions = [np.sort(x.reshape(5, -1), 1) for x in (np.asarray(solved), PHOTOS)]
    assert (regions[0] == regions[1]).all()


def test_single_pixels_are_not_put_back():
    photos = photographs(32)[:2]
    threat_model = mixing(photos.shape[1:], 4)
    protected = shuffled(photos, 4)
    solved = jigsaw(KEY, protected, threat_model)
    chance = in_place(protected, photos, 1)
    assert in_place(solved, photos, 1) < chance + 0.1


def test_grey_images_and_regions_that_are_the_whole_image():
    photos = photographs(64)[:, :32, :, 1:2]
    whole = dataclasses.replace(mixing((32, 32, 1), 32, 16), region=None)
    moved = photos.reshape(5, 32, 4, 16, 1)[:, :, [2, 0, 3, 1]].reshape(photos.shape)
    solved = jigsaw(KEY, np.roll(moved, 16, axis=1), whole)
    assert in_place(solved, photos, 16) > 0.7


def test_too_many_blocks_come_back_as_they_are():
    photos = photographs(64)
    threat_model = mixing(photos.shape[1:], 32)
    assert (np.asarray(jigsaw(KEY, photos, threat_model)) == photos).all()


@pytest.mark.parametrize(
    ("block", "channels", "words"),
    [
        (5, "shared", "threat_model.block of 5 does not divide regions of 32 x 32"),
        (0, "shared", "threat_model.block must be a positive integer"),
        (16, "joint", "channels is 'joint'.*solves 'shared'"),
        (16, "both", "channels must be one of"),
    ],
)
def test_bad_arguments_are_named(block, channels, words):
    threat_model = dataclasses.replace(mixing(PHOTOS.shape[1:], 32), block=block)
    with pytest.raises(ValueError, match=words):
        jigsaw(KEY, PHOTOS, threat_model, channels=channels)

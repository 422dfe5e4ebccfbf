import numpy as np
import pytest
from methods import KEY, PUBLIC, error, means_of_regions, photographs, shuffled

from vmixjax.attacks._scene import parts_of, reflected_parts
from vmixjax.attacks.region_means import region_means
from vmixjax.attacks.shifted_grids import (
    estimate_shifts,
    shifted_grids,
    solve_overlaps,
    solve_releases,
)
from vmixjax.attacks.threat_model import ThreatModel
from vmixjax.metrics import ssim
from vmixjax.scenes import Scene, View

SIDE, REGION = 64, 8
SCENES = photographs(SIDE + REGION)


def knowing(region=REGION, channels="independent"):
    return ThreatModel(
        lambda key, image: image, PUBLIC, region=region, channels=channels
    )


def frames(scene, count, seed=0, side=SIDE):
    """Views of a scene at random, and where they lie."""
    draw = np.random.default_rng(seed)
    places = draw.integers(0, len(scene) - side + 1, (count, 2))
    return np.stack([scene[y:, x:][:side, :side] for y, x in places]), places


def scene_of(places):
    return Scene(tuple(View(i, 1.0, *map(float, at)) for i, at in enumerate(places)))


def likeness(originals, found):
    return float(ssim(originals, np.asarray(found)).mean())


def test_sixteen_frames_with_known_shifts_give_photographs_back():
    found = []
    for photograph in SCENES[:3]:
        views, places = frames(photograph, 16)
        solved = solve_overlaps(
            shuffled(views, REGION), knowing(), scenes=(scene_of(places),)
        )
        found.append(likeness(views, solved))
    assert np.mean(found) >= 0.85


def test_copies_on_one_grid_give_no_more_than_one_does():
    views = np.stack([SCENES[0][:SIDE, :SIDE]] * 16)
    places = np.zeros((16, 2))
    solved = solve_overlaps(
        shuffled(views, REGION), knowing(), scenes=(scene_of(places),)
    )
    means = region_means(KEY, shuffled(views[:1], REGION), knowing())
    # The prior smooths a little better than enlarging does; frames give twice as much.
    assert likeness(views, solved) < likeness(views[:1], means) + 0.1


def test_images_of_no_scene_are_left_to_their_means():
    views, places = frames(SCENES[0], 16)
    mixed = shuffled(np.concatenate([SCENES[1:3, :SIDE, :SIDE], views]), REGION)
    scene = Scene(
        tuple(View(i + 2, 1.0, *map(float, at)) for i, at in enumerate(places))
    )
    solved = np.asarray(solve_overlaps(mixed, knowing(), scenes=(scene,)))
    means = np.asarray(region_means(KEY, mixed, knowing()))
    np.testing.assert_array_equal(solved[:2], means[:2])
    assert error(solved[2:], views) < 0.6 * error(means[2:], views)


def test_resized_views_are_put_together_too():
    fine = SCENES[3][:SIDE, :SIDE].astype(float)
    coarse = fine.reshape(32, 2, 32, 2, 3).mean((1, 3))
    parts = parts_of(np.array([0.5]), np.array([2.0]), 32, SIDE)[0]
    lines = np.einsum("ih,hwc->iwc", parts, fine)
    np.testing.assert_allclose(np.einsum("jw,iwc->ijc", parts, lines), coarse)


@pytest.mark.parametrize("shift", [0, 3, -5])
def test_reflected_edges_are_those_of_numpy(shift):
    line = np.arange(8.0)
    padded = np.pad(line, 7, "reflect")
    parts = reflected_parts(np.array([shift]), 8)[0]
    np.testing.assert_array_equal(parts @ line, padded[7 + shift :][:8])


def crops(count):
    image = SCENES[0, :32, :32]
    padded = np.pad(image, ((7, 7), (7, 7), (0, 0)), "reflect")
    shifts = np.random.default_rng(1).integers(-7, 8, (count, 2))
    views = np.stack([padded[7 + y :, 7 + x :][:32, :32] for y, x in shifts])
    return image[None], shuffled(views, REGION)[:, None], shifts[:, None]


def test_crops_of_a_training_give_its_images_back():
    image, views, shifts = crops(31)
    mixed = shuffled(image, REGION, seed=5)
    found = shifted_grids(KEY, mixed, knowing(), views=views, shifts=shifts)
    assert found.dtype == np.uint8
    assert likeness(image, found) > 0.85
    assert error(found, image) < 0.4 * error(means_of_regions(image, REGION), image)


def test_of_joint_channels_a_grey_picture_comes_back():
    image, views, shifts = crops(31)
    grey = image.mean(-1, keepdims=True).round().astype(np.uint8).repeat(3, -1)
    mixed = shuffled(np.concatenate([image, views[:, 0]]), REGION, channels="joint")
    del views
    # The views themselves are shuffled already, which channels do not notice.
    found = shifted_grids(
        KEY,
        mixed[:1],
        knowing(channels="joint"),
        views=mixed[1:, None],
        shifts=shifts,
    )
    assert np.ptp(np.asarray(found).astype(int), axis=-1).max() <= 1
    assert error(found, grey) < 0.7 * error(means_of_regions(grey, REGION), grey)


def test_releases_with_regions_of_other_sizes_tell_more_than_the_smallest():
    image = SCENES[0, :48, :48][None]
    releases = [shuffled(image, region, seed=region) for region in (8, 6)]
    found = solve_releases(releases, regions=(8, 6))
    assert error(found, image) < 0.9 * error(means_of_regions(image, 6), image)


def test_shifts_that_nobody_told_are_found():
    views, places = frames(photographs(80)[2], 24, side=SIDE)
    found = np.asarray(
        estimate_shifts(KEY, shuffled(views, REGION), knowing(), reach=16, rounds=4)
    )
    away = np.abs(found - (places - places[0])).max(1)
    # By chance, one in 40 would be as near.
    assert (away <= 2).mean() > 0.9
    assert (found[0] == 0).all()


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"views": np.zeros((8, 8, 8, 3), np.uint8)}, ValueError, r"views must be"),
        ({"views": np.zeros((2, 1, 8, 8, 3))}, TypeError, r"views must be uint8"),
        ({"shifts": np.zeros((2, 2), int)}, ValueError, r"shape \(2, 1, 2\); got"),
        ({"shifts": np.zeros((2, 1, 2))}, ValueError, r"integers.* got float64"),
        ({"shifts": np.full((2, 1, 2), 8)}, ValueError, r"less than a side.* got 8"),
        ({"threat_model": knowing(None)}, ValueError, r"region is None"),
        ({"threat_model": knowing(3)}, ValueError, r"region of 3 does not divide"),
    ],
)
def test_what_cannot_be_put_together_is_named(change, error, words):
    values = {
        "threat_model": knowing(4),
        "views": np.zeros((2, 1, 8, 8, 3), np.uint8),
        "shifts": np.zeros((2, 1, 2), int),
        **change,
    }
    threat_model = values.pop("threat_model")
    with pytest.raises(error, match=words):
        shifted_grids(KEY, np.zeros((1, 8, 8, 3), np.uint8), threat_model, **values)


def test_releases_need_a_region_each():
    images = np.zeros((1, 8, 8, 3), np.uint8)
    with pytest.raises(ValueError, match="one of regions for each"):
        solve_releases([images, images], regions=(8,))

"""Boxes and masks go where their images go, and images where they always went."""

import dataclasses
import itertools

import dm_pix as pix
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from train import inputs
from train.augmentations import augmented
from train.config import Config, Data, Mixing
from train.geometry import Move, Shift, Zoom, mean_colour
from train.tasks.detect import Detect
from train.tasks.segment import Segment
from vmixjax.dense.masks import IGNORED

SHAPE = (32, 48, 3)
COUNT = 24
KEYS = inputs.image_keys(3, jnp.uint32(1), jnp.arange(COUNT))

MANY = jax.random.split(jax.random.key(2), 1000)

PIXELS = Shift(4, 1, "reflect")
REGIONS = Shift(8, 4, "symmetric")


def painted(corners, size=SHAPE[:2]):
    """Which pixels are in a box whose corners are whole numbers, bool (H, W)."""
    rows, columns = np.ogrid[: size[0], : size[1]]
    top, left, bottom, right = corners
    return (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)


@pytest.mark.parametrize(
    "shift", [None, PIXELS, REGIONS], ids=["", "pixels", "regions"]
)
def test_a_box_is_where_its_picture_is(shift):
    rng = np.random.default_rng(0)
    corners = [[0, 0, 32, 48], [5, 7, 6, 9], [0, 40, 12, 48], [20, 3, 32, 11]]
    pictures = np.stack([painted(box) for box in corners], -1)
    turns = list(itertools.product([False, True], repeat=2))
    starts = [[0, 0], [2 * shift.margin] * 2] if shift else [[0, 0]]
    if shift:
        steps = 2 * shift.margin // shift.unit + 1
        starts += (shift.unit * rng.integers(0, steps, (4, 2))).tolist()

    @jax.jit
    def both(start, mirrored, upended):
        move = Move(SHAPE[:2], shift, start, mirrored, upended)
        # Black beyond, since reflections have no boxes.
        picture = move.picture(jnp.asarray(pictures), jnp.zeros(len(corners), bool))
        return picture, move.boxes(jnp.asarray(corners, jnp.float32))

    for start, (mirrored, upended) in itertools.product(starts, turns):
        seen, boxes = both(np.int32(start), mirrored, upended)
        for i, box in enumerate(np.asarray(boxes)):
            np.testing.assert_array_equal(seen[..., i], painted(box))
            # Cut by nothing: it is as large as it was.
            assert (box[2:] - box[:2]).tolist() == [
                corners[i][2] - corners[i][0],
                corners[i][3] - corners[i][1],
            ]


@pytest.mark.parametrize("shift", [PIXELS, REGIONS], ids=["pixels", "regions"])
def test_a_share_of_images_is_shifted_by_what_all_would_be(shift):
    draws = [
        np.asarray(jax.vmap(dataclasses.replace(shift, share=share).draw)(MANY))
        for share in (1.0, 0.25, 0.0)
    ]
    moved = (draws[1] != shift.margin).any(1)
    np.testing.assert_array_equal(draws[1][moved], draws[0][moved])
    # Of those that are shifted, some are by nothing.
    expected = 0.25 * (draws[0] != shift.margin).any(1).mean()
    assert moved.mean() == pytest.approx(expected, abs=0.04)
    assert (draws[2] == shift.margin).all()


def test_never_is_not_even_asked_for():
    move = Move(SHAPE[:2], None, None, None, None)
    image, boxes = jnp.zeros(SHAPE, jnp.uint8), jnp.ones((2, 4))
    assert move.picture(image) is image
    assert move.boxes(boxes) is boxes


CONFIGS = {
    f"{where} {shift} {augment} {'upend' if upend else ''}": Config(
        data=Data(augment=augment, shift=shift, upend=upend, boxes=4),
        mixing=Mixing(where, 4, ((4, 1),)),
    )
    for where, shift in (("off", "pixels"), ("step", "regions"), ("done", "pixels"))
    for augment, upend in (
        ("crop", False),
        ("flip", False),
        ("crop-flip", True),
        ("none", True),
    )
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_masks_and_boxes_are_augmented_with_their_images(config):
    rng = np.random.default_rng(0)
    mask = rng.integers(0, 4, SHAPE[:2]).astype(np.uint8)
    mask[3:7, 2:30] = IGNORED
    box = [4, 6, 24, 27]
    # The first channel shows the mask; the third the box, alone.
    image = np.stack([mask, mask, 255 * painted(box)], -1).astype(np.uint8)
    images = np.broadcast_to(image, (COUNT, *SHAPE))
    segment, detect = Segment(config, SHAPE, 4), Detect(config, SHAPE, 2)
    boxes = np.zeros((COUNT, 4, 4), np.float32)
    boxes[:, 1] = box
    labels = np.full((COUNT, 4), -1, np.int32)
    labels[:, 1] = 1

    @jax.jit
    def both(keys, images, masks, boxes, labels):
        return [
            augmented(config, keys, images, targets, moved=one.moved, fills=one.fills)
            for one, targets in (
                (segment, {"mask": masks}),
                (detect, {"boxes": boxes, "box_labels": labels}),
            )
        ]

    masks = np.broadcast_to(mask, (COUNT, *mask.shape))
    (seen, moved), (shown, found) = both(KEYS, images, masks, boxes, labels)
    np.testing.assert_array_equal(seen[..., 0], moved["mask"])
    assert moved["mask"].dtype == np.uint8
    assert len(np.unique(np.asarray(seen), axis=0)) > 1
    np.testing.assert_array_equal(found["box_labels"], labels)
    for picture, corners in zip(shown, found["boxes"], strict=True):
        np.testing.assert_array_equal(picture[..., 2] == 255, painted(corners[1]))
    # What is learned is moved by the same draws, whatever the task is.
    inside = np.asarray(shown)[:, 8:24, 8:40]
    if "crop" not in config.data.augment:
        np.testing.assert_array_equal(seen, shown)
    assert (inside == np.asarray(seen)[:, 8:24, 8:40]).all((1, 2, 3)).any()


def zoom(factor, start):
    return Zoom(jnp.float32(factor), jnp.float32(start))


def test_twice_as_large_a_pixel_is_four_and_its_box_goes_with_it():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, SHAPE).astype(np.uint8)
    move = Move(SHAPE[:2], None, None, None, None, zoom(2, [-8, -10]))
    mask = move.mask(jnp.asarray(image[..., 0]), IGNORED)
    middle = image[4:20, 5:29, 0]
    np.testing.assert_array_equal(mask, middle.repeat(2, 0).repeat(2, 1))
    box = move.boxes(jnp.float32([[4, 5, 6, 9]]))
    np.testing.assert_array_equal(box, [[0, 0, 4, 8]])
    # Between two pixels linear: a quarter of the way from the nearer one.
    seen = np.asarray(move.picture(jnp.asarray(image)), np.float64)[1:-1, 1:-1]
    rows, columns = np.arange(1, 31) / 2 + 3.75, np.arange(1, 47) / 2 + 4.75
    expected = scipy.ndimage.map_coordinates(
        image[..., 1].astype(np.float64),
        np.meshgrid(rows, columns, indexing="ij"),
        order=1,
    )
    assert np.abs(seen[..., 1] - expected).max() <= 0.51


def test_half_as_large_the_rest_is_of_the_mean_colour_and_of_no_class():
    image = jnp.asarray(np.arange(np.prod(SHAPE)).reshape(SHAPE) % 251, jnp.uint8)
    move = Move(SHAPE[:2], None, None, None, None, zoom(0.5, [4, 6]))
    seen, mask = move.picture(image), move.mask(image[..., 0], IGNORED)
    inside = painted([4, 6, 20, 30])
    assert (np.asarray(seen)[~inside] == mean_colour(image)).all()
    np.testing.assert_array_equal(mask == IGNORED, ~inside)
    np.testing.assert_array_equal(mask[4:20, 6:30], np.asarray(image)[1::2, 1::2, 0])
    assert move.boxes(jnp.float32([[0, 0, *SHAPE[:2]]])).tolist() == [[4, 6, 20, 30]]


def test_factors_and_places_are_any_that_there_is_room_for():
    drawn = jax.vmap(lambda key: vars(Zoom.draw(key, (32, 48), (0.5, 2.0))))(MANY)
    factor, start = np.asarray(drawn["factor"]), np.asarray(drawn["start"])
    assert 0.5 <= factor.min() < 0.51
    assert 1.97 < factor.max() <= 2
    # As often smaller as larger.
    assert (factor > 1).mean() == pytest.approx(0.5, abs=0.05)
    room = np.array([32, 48]) * (1 - factor[:, None])
    share = start / room
    assert 0 <= share.min() < 0.01
    assert 0.99 < share.max() <= 1


@pytest.mark.parametrize(
    ("where", "shift", "zooms"),
    [
        ("off", "regions", True),
        ("step", "pixels", True),
        ("step", "regions", False),
        ("done", "regions", False),
    ],
)
def test_only_images_that_need_not_keep_their_regions_are_scaled(where, shift, zooms):
    config = Config(
        data=Data(shift=shift, zoom=(0.5, 2.0)), mixing=Mixing(where, 4, ((4, 1),))
    )
    segment = Segment(config, SHAPE, 4)
    rng = np.random.default_rng(0)
    masks = rng.integers(0, 4, (COUNT, 8, 12)).astype(np.uint8)
    masks = masks.repeat(4, 1).repeat(4, 2)
    images = np.repeat(60 * masks[..., None], 3, -1)
    seen, targets = jax.jit(
        lambda *arrays: augmented(
            config, *arrays, moved=segment.moved, fills=segment.fills
        )
    )(KEYS, images, {"mask": masks})
    moved = np.asarray(targets["mask"])
    assert (np.asarray(seen) != images).any() == zooms
    assert (moved != masks).any() == zooms
    # What is far from any edge shows what its mask says.
    known = moved != IGNORED
    right = np.abs(np.asarray(seen)[..., 0] - 60.0 * moved) < 2
    assert right[known].mean() > 0.6


def test_boxes_of_which_little_is_left_are_gone():
    shift = Shift(8, 1, "reflect")
    detect = Detect(Config(data=Data(boxes=4)), SHAPE, 2)
    # 8 pixels up: of the first no row is left, of the others 2, 3 and 24.
    boxes = np.float32([[0, 0, 8, 9], [0, 0, 10, 9], [0, 0, 11, 9], [8, 0, 32, 9]])
    targets = {"boxes": boxes, "box_labels": np.int32([0, 1, 1, 0])}

    def moved(start):
        move = Move(SHAPE[:2], shift, start, None, None)
        return detect.moved(targets, move)

    found = jax.jit(moved)(np.int32([16, 8]))
    assert found["box_labels"].tolist() == [-1, -1, 1, 0]
    expected = [[0, 0, 0, 9], [0, 0, 2, 9], [0, 0, 3, 9], [0, 0, 24, 9]]
    np.testing.assert_array_equal(found["boxes"], expected)


def as_before(config, key, image):
    """How images are shifted and mirrored since the first release, by dm_pix."""
    crop_key, flip_key = jax.random.split(jax.random.fold_in(key, 1))
    if "crop" in config.data.augment:
        shortest = min(image.shape[:2])
        if config.mixing.where == "off" or config.data.shift == "pixels":
            margin = max(1, shortest // 8)
            sides = ((margin, margin), (margin, margin), (0, 0))
            padded = jnp.pad(image, sides, "reflect")
            image = pix.random_crop(crop_key, padded, image.shape)
        else:
            side = config.mixing.ladder[0][0]
            most = max(1, shortest // 8 // side) if 4 * side <= shortest else 0
            start = side * jax.random.randint(crop_key, (2,), 0, 2 * most + 1)
            sides = ((most * side,) * 2, (most * side,) * 2, (0, 0))
            padded = jnp.pad(image, sides, "symmetric")
            image = jax.lax.dynamic_slice(padded, (*start, 0), image.shape)
    if "flip" in config.data.augment:
        image = pix.random_flip_left_right(flip_key, image)
    return image


@pytest.mark.parametrize(
    ("where", "shift", "side"),
    [
        ("off", "regions", 4),
        ("step", "pixels", 4),
        ("step", "regions", 4),
        ("done", "regions", 2),
        ("step", "regions", 16),
    ],
)
def test_images_are_moved_as_they_always_were(where, shift, side):
    config = Config(
        data=Data(augment="crop-flip", shift=shift, shifted=1.0),
        mixing=Mixing(where, 16, ((side, 1),)),
    )
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (COUNT, *SHAPE)).astype(np.uint8)

    @jax.jit
    def both(keys, images):
        seen, _ = augmented(config, keys, images, {}, moved=lambda one, move: one)
        return seen, jax.vmap(lambda k, x: as_before(config, k, x))(keys, images)

    seen, before = both(KEYS, images)
    np.testing.assert_array_equal(seen, before)
    assert (np.asarray(seen) != images).any()

"""Masks: their classes and sizes, and how much of them is told right."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from train.config import Config
from train.tasks.segment import Segment
from train.tasks.task import Letterbox
from vmixjax.data import Mask
from vmixjax.dense.masks import IGNORED, mean_iou
from vmixjax.errors import RunError

CONFIG = Config(task="segment")


def task(shape=(8, 12, 3), classes=3, **optimizer):
    options = dataclasses.replace(CONFIG.optimizer, **optimizer)
    config = dataclasses.replace(CONFIG, optimizer=options)
    return Segment(config, shape, classes)


def oracle(found, mask, classes):
    """Mean intersection over union as sets of pixels."""
    known = mask != IGNORED
    shares = []
    for label in range(classes):
        asked, said = known & (mask == label), known & (found == label)
        if asked.any():
            shares.append((asked & said).sum() / (asked | said).sum())
    return np.mean(shares) if shares else 0.0


def test_mean_iou_by_hand():
    # Of class 0, 3 pixels right and 1 taken for class 1; of class 1, 2 of 2.
    assert mean_iou(np.array([[3, 1], [0, 2]])) == pytest.approx((3 / 4 + 2 / 3) / 2)
    assert mean_iou(np.array([[5, 0], [0, 7]])) == 1
    assert mean_iou(np.array([[0, 5], [7, 0]])) == 0
    # A class that there is none of does not count, but taking others for it does.
    assert mean_iou(np.array([[4, 0, 0], [0, 4, 0], [0, 0, 0]])) == 1
    assert mean_iou(np.array([[3, 0, 1], [0, 4, 0], [0, 0, 0]])) == (3 / 4 + 1) / 2
    assert mean_iou(np.zeros((3, 3), int)) == 0


@pytest.mark.parametrize("seed", range(4))
def test_scores_are_those_of_sets_of_pixels(seed):
    rng = np.random.default_rng(seed)
    one = task()
    shape = (2, 8, 12)
    masks = [rng.integers(0, 2 + seed % 2, shape).astype(np.uint8) for _ in range(2)]
    for mask in masks:
        mask[rng.random(shape) < 0.3] = IGNORED
    likely = [rng.dirichlet(np.ones(3), shape).astype(np.float32) for _ in range(2)]
    told = jax.jit(one.told)
    parts = [told(p, {"mask": m}) for p, m in zip(likely, masks, strict=True)]
    scores = one.scores(parts, iter(()))
    every, mask = np.concatenate(likely), np.concatenate(masks)
    found, known = every.argmax(-1), mask != IGNORED
    assert scores["mean_iou"] == pytest.approx(oracle(found, mask, 3))
    right = (found == mask)[known]
    assert scores["pixel_accuracy"] == pytest.approx(right.mean())
    own = np.take_along_axis(every, np.where(known, mask, 0)[..., None], -1)[..., 0]
    assert scores["loss"] == pytest.approx(-np.log(own[known]).mean(), rel=1e-4)


def test_images_of_which_nothing_is_known_count_for_nothing():
    one = task()
    blank = {name: array[None] for name, array in one.blank().items()}
    likely = np.full((1, 8, 12, 3), 1 / 3, np.float32)
    part = jax.jit(one.told)(likely, blank)
    assert not np.asarray(part["confusion"]).any()
    assert part["loss"] == 0
    assert set(one.scores([part], iter(())).values()) == {0}
    outputs = {
        "classes": jnp.asarray(np.random.default_rng(0).normal(size=(1, 4, 6, 3)))
    }
    loss, slope = jax.jit(jax.value_and_grad(one.loss))(outputs, blank)
    assert loss == 0
    assert not np.asarray(slope["classes"]).any()


def test_ignored_pixels_are_not_learned():
    one = task()
    rng = np.random.default_rng(0)
    mask = np.minimum(2, rng.integers(0, 6, (1, 8, 12))).astype(np.uint8)
    mask[:, :, 6:] = IGNORED
    logits = rng.normal(size=(1, 8, 12, 3)).astype(np.float32)
    other = logits.copy()
    other[:, :, 6:] = 100 * rng.normal(size=(1, 8, 6, 3))
    loss = jax.jit(one.loss)
    assert loss({"classes": logits}, {"mask": mask}) == loss(
        {"classes": other}, {"mask": mask}
    )
    powers = np.exp(logits[0, :, :6])
    shares = powers / powers.sum(-1, keepdims=True)
    own = np.take_along_axis(shares, mask[0, :, :6, None].astype(int), -1)
    # Classes weigh by how rare they are among pixels that something is known of.
    share = np.bincount(mask[0, :, :6].ravel(), minlength=3) / (8 * 6)
    weight = (1 / np.log(1.02 + share))[mask[0, :, :6]]
    assert weight.max() > 1.1 * weight.min()
    assert loss({"classes": logits}, {"mask": mask}) == pytest.approx(
        -np.average(np.log(own)[..., 0], weights=weight), rel=1e-4
    )
    shown = np.eye(3)[mask[0, :, :6]]
    both, either = (one.sum((0, 1)) for one in (shares * shown, shares + shown))
    dice = task(dice=2.0).loss
    assert dice({"classes": logits}, {"mask": mask}) == pytest.approx(
        float(loss({"classes": logits}, {"mask": mask}))
        + 2 * np.mean(1 - (2 * both + 1) / (either + 1)),
        rel=1e-4,
    )
    assert dice({"classes": logits}, {"mask": mask}) == dice(
        {"classes": other}, {"mask": mask}
    )
    noted = one.noted({"classes": jnp.asarray(other)}, {"mask": jnp.asarray(mask)})
    right = other.argmax(-1)[:, :, :6] == mask[:, :, :6]
    assert float(noted["accuracy"]) == pytest.approx(right.mean())


def test_coarse_answers_become_as_large_as_images():
    one = task((8, 8, 3), 2)
    # The left half is of class 0, the right one of class 1.
    logits = np.zeros((1, 2, 2, 2), np.float32)
    logits[:, :, 0, 0] = logits[:, :, 1, 1] = 5
    found = one.answers(jax.jit(one.likely)({"classes": logits}))
    np.testing.assert_array_equal(found[0], np.repeat([[0, 1]], 4, 1).repeat(8, 0))


def test_masks_of_cells_become_as_large_as_images():
    cells = np.array([[0, 1, 2], [2, 1, IGNORED]], np.uint8)
    mask = task().targets(cells, 0)["mask"]
    assert mask.shape == (8, 12)
    np.testing.assert_array_equal(mask[::4, ::4], cells)
    assert (mask[4:, 8:] == IGNORED).all()
    assert (mask[:4, 4:8] == 1).all()
    whole = np.zeros((8, 12), np.uint8)
    assert task().targets(whole, 0)["mask"] is whole


@pytest.mark.parametrize("shape", [(8, 8), (12, 8), (16, 24), (4, 12), (3, 5), (9, 13)])
def test_masks_of_other_sizes_are_refused(shape):
    with pytest.raises(RunError) as error:
        task().targets(np.zeros(shape, np.uint8), 7)
    line = str(error.value)
    assert f"image 7 is 8 x 12 and its mask {shape[0]} x {shape[1]}" in line
    assert "\n" not in line


def test_classes_that_there_are_not_are_refused():
    mask = np.full((8, 12), 2, np.uint8)
    task().targets(mask, 0)
    mask[3, 5] = 3
    with pytest.raises(RunError, match=r"image 4 has the class 3 .* must be 0 to 2"):
        task().targets(mask, 4)
    mask[3, 5] = IGNORED
    task().targets(mask, 0)


@pytest.mark.parametrize("name", ["void", "Unlabelled", "unlabeled", "IGNORE"])
@pytest.mark.parametrize("place", [0, 1, 3])
def test_classes_that_are_none_are_ignored_and_the_others_counted_on(name, place):
    names = ["sky", "road", "car"]
    field = Mask(4, (*names[:place], name, *names[place:]))
    assert Segment.classes_of(field) == ("sky", "road", "car")
    mask = np.arange(4, dtype=np.uint8).reshape(2, 2)
    learned = Segment.learned(mask, field).ravel().tolist()
    assert learned == [*range(place), IGNORED, *range(place, 3)]


def test_numbers_are_classes_where_nobody_names_them():
    assert Segment.classes_of(Mask(3)) == ("0", "1", "2")
    mask = np.array([[0, 2, IGNORED]], np.uint8)
    np.testing.assert_array_equal(Segment.learned(mask, Mask(3)), mask)
    assert Segment.classes_of(Mask()) is None
    np.testing.assert_array_equal(Segment.learned(mask, Mask()), mask)
    assert Segment.greatest(mask) == 2
    assert Segment.greatest(np.full((2, 2), IGNORED, np.uint8)) == 0


def test_what_is_stored_is_learned_again():
    classes = ("sky", "road", "car")
    field = Segment.field_of(classes)
    assert Segment.classes_of(field) == classes
    mask = np.array([[0, 1], [2, IGNORED]], np.uint8)
    stored = task().stored(mask)
    # Where nothing is known it has a class of its own, so that all are classes.
    assert stored.max() < field.count
    assert stored.dtype == np.uint8
    np.testing.assert_array_equal(Segment.learned(stored, field), mask)


@pytest.mark.parametrize("scale", [1, 2])
def test_a_mask_lies_in_a_larger_image_where_its_own_does(scale):
    mask = np.random.default_rng(0).integers(0, 3, (8, 12)).astype(np.uint8)
    box = Letterbox((8, 12), (8 * scale + 4, 12 * scale))
    found = Segment.resized(mask, box)
    assert found.shape == (8 * scale + 4, 12 * scale)
    expected = mask.repeat(scale, 0).repeat(scale, 1)
    np.testing.assert_array_equal(found[: 8 * scale], expected)
    assert (found[8 * scale :] == IGNORED).all()

"""Boxes in JAX against plain NumPy: overlaps, and which of several boxes stay."""

import functools

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmixjax.dense import boxes as functions

# Jitted as a whole: operation by operation, each would be compiled by itself.
areas, shared, overlaps, generalized_iou = (
    jax.jit(getattr(functions, name))
    for name in ("areas", "shared", "overlaps", "generalized_iou")
)
suppress = jax.jit(functions.suppress, static_argnames="threshold")


def random_boxes(rng, count, side=20):
    """Boxes at whole pixels, so that many touch, or are the same."""
    corners = rng.integers(0, side, (count, 2, 2))
    low, high = corners.min(1), corners.max(1)
    return np.concatenate([low, high + (high == low)], axis=1).astype(np.float32)


def iou(one, other):
    """Of two boxes, number by number."""
    down = min(one[2], other[2]) - max(one[0], other[0])
    across = min(one[3], other[3]) - max(one[1], other[1])
    both = max(0.0, down) * max(0.0, across)
    sizes = [(b[2] - b[0]) * (b[3] - b[1]) for b in (one, other)]
    return both / (sum(sizes) - both)


def giou(one, other):
    hull = (max(one[2], other[2]) - min(one[0], other[0])) * (
        max(one[3], other[3]) - min(one[1], other[1])
    )
    sizes = [(b[2] - b[0]) * (b[3] - b[1]) for b in (one, other)]
    share = iou(one, other)
    # Of the sum of both areas, what they share is counted twice.
    union = sum(sizes) / (1 + share)
    return share - (hull - union) / hull


@pytest.mark.parametrize("seed", range(3))
def test_overlaps_are_those_of_numpy(seed):
    rng = np.random.default_rng(seed)
    one, other = random_boxes(rng, 30), random_boxes(rng, 20)
    expected = [[iou(a.tolist(), b.tolist()) for b in other] for a in one]
    np.testing.assert_allclose(overlaps(one, other), expected, atol=1e-5)
    pairs = zip(one[:20].tolist(), other.tolist(), strict=True)
    expected = [giou(a, b) for a, b in pairs]
    np.testing.assert_allclose(generalized_iou(one[:20], other), expected, atol=1e-5)
    assert min(expected) < -0.3
    assert max(expected) > 0.1


def test_areas_are_never_negative():
    boxes = np.array([[0, 0, 2, 3.0], [5, 5, 5, 9], [4, 4, 2, 2], [4, 0, 2, 2]])
    assert areas(boxes).tolist() == [6, 0, 0, 0]
    assert shared(boxes[0], np.array([1, 1, 9, 9.0])) == 2
    assert shared(boxes[0], np.array([2, 0, 9, 9.0])) == 0


def test_boxes_without_area_overlap_nothing():
    boxes = np.array([[3, 3, 3, 3.0], [0, 0, 9, 9]])
    np.testing.assert_array_equal(overlaps(boxes, boxes), [[0, 0], [0, 1]])
    found = generalized_iou(boxes, boxes)
    assert np.isfinite(found).all()
    assert found[1] == 1


def test_generalized_iou_has_a_slope_where_boxes_are_apart():
    goal = np.array([10, 10, 14, 14.0])
    slope = jax.jit(jax.grad(lambda box: functions.generalized_iou(box, goal)))
    apart = slope(np.array([0, 0, 4, 4.0]))
    assert np.isfinite(apart).all()
    # Larger is nearer, and so is down and to the right.
    assert (apart[:2] < 0).all()
    assert (apart[:2] + apart[2:] > 0).all()
    for same in (goal, np.zeros(4)):
        assert np.isfinite(slope(same)).all()


def oracle(boxes, scores, labels, threshold):
    """Greedy non-maximum suppression, as every textbook has it."""
    stays = np.zeros(len(boxes), bool)
    left = sorted(range(len(boxes)), key=lambda i: (-scores[i], i))
    left = [i for i in left if labels[i] >= 0]
    while left:
        best = left.pop(0)
        stays[best] = True
        left = [
            i
            for i in left
            if labels[i] != labels[best] or iou(boxes[i], boxes[best]) <= threshold
        ]
    return stays


COUNT = 12


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    classes=st.integers(1, 3),
    levels=st.sampled_from([1, 3, 100]),
    padded=st.integers(0, COUNT),
)
def test_what_stays_is_what_the_textbook_keeps(seed, classes, levels, padded):
    rng = np.random.default_rng(seed)
    # No overlap is exactly as much as the threshold: 0.45 is of no such whole pixels.
    boxes = random_boxes(rng, COUNT, side=8)
    scores = rng.integers(0, levels, COUNT).astype(np.float32) / levels
    labels = rng.integers(0, classes, COUNT)
    labels[rng.permutation(COUNT)[:padded]] = -1
    expected = oracle(boxes.tolist(), scores, labels, 0.455)
    found = suppress(boxes, scores, labels, threshold=0.455)
    np.testing.assert_array_equal(found, expected)
    assert found.sum() <= COUNT - padded


def test_a_box_that_is_gone_takes_none_with_it():
    # The second overlaps both others, which do not overlap each other.
    boxes = np.array([[0, 0, 10, 10.0], [0, 3, 10, 13], [0, 6, 10, 16]])
    labels = np.zeros(3, int)
    stays = suppress(boxes, np.array([0.9, 0.8, 0.7]), labels, threshold=0.5)
    assert stays.tolist() == [True, False, True]
    stays = suppress(boxes, np.array([0.7, 0.9, 0.7]), labels, threshold=0.5)
    assert stays.tolist() == [False, True, False]
    # Of equal ones the first is better; other classes are left alone.
    same = np.broadcast_to(boxes[0], (3, 4))
    stays = suppress(same, np.ones(3), np.array([1, 1, 0]), threshold=0.5)
    assert stays.tolist() == [True, False, True]
    # However good, what is no object takes none away.
    stays = suppress(same, np.array([9, 2, 1.0]), np.array([-1, 0, 0]), threshold=0.5)
    assert stays.tolist() == [False, True, False]


def test_all_images_of_a_batch_are_each_as_alone():
    rng = np.random.default_rng(0)
    boxes = np.stack([random_boxes(rng, COUNT, 8) for _ in range(5)])
    scores = rng.random((5, COUNT)).astype(np.float32)
    labels = rng.integers(-1, 2, (5, COUNT))
    labels[3] = -1
    some = jax.jit(jax.vmap(functools.partial(functions.suppress, threshold=0.455)))
    together = some(boxes, scores, labels)
    for i in range(5):
        expected = oracle(boxes[i].tolist(), scores[i], labels[i], 0.455)
        np.testing.assert_array_equal(together[i], expected)
    assert not together[3].any()


def test_no_boxes_are_none():
    nothing = np.zeros((0, 4)), np.zeros(0), np.zeros(0, int)
    assert suppress(*nothing, threshold=0.5).shape == (0,)
    assert overlaps(np.zeros((0, 4)), np.ones((2, 4))).shape == (0, 2)

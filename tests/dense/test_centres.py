"""What a detector is asked of each place, what it loses, and what it finds."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vmixjax.dense import centres

GRID, CELL, CLASSES = (8, 12), (4.0, 4.0), 3
SIZE = (32, 48)


# Jitted as a whole: operation by operation, each would be compiled by itself.
wanted = functools.partial(
    jax.jit(centres.wanted, static_argnames=("grid", "cell", "classes")),
    grid=GRID,
    cell=CELL,
    classes=CLASSES,
)
find = jax.jit(centres.find, static_argnames="count")
sides_to_boxes = jax.jit(centres.sides_to_boxes, static_argnums=1)


def asked(boxes, labels, padding=0, rubbish=0.0):
    """What is asked of an image, with boxes that are none after those that are."""
    count = len(boxes)
    padded = np.full((count + padding, 4), rubbish, np.float32)
    padded[:count] = np.asarray(boxes, np.float32).reshape(-1, 4)
    numbers = np.full(count + padding, -1, np.int32)
    numbers[:count] = labels
    return wanted(padded, numbers)


def sides_of(boxes):
    """What a detector has to say so that its boxes (h, w, 4) are these."""
    rows = (np.arange(GRID[0])[:, None] + 0.5) * CELL[0]
    columns = (np.arange(GRID[1])[None] + 0.5) * CELL[1]
    middle = np.stack(np.broadcast_arrays(rows, columns), -1)
    away = np.concatenate([middle - boxes[..., :2], boxes[..., 2:] - middle], -1)
    return np.log(np.maximum(away, 1e-3) / (4 * np.tile(CELL, 2)))


def test_heat_is_one_at_centres_and_falls_around_them():
    # Middles at (10, 10) and (18, 40): places (2, 2) and (4, 10).
    one = asked([[2, 2, 18, 18], [10, 34, 26, 46]], [0, 2], padding=3)
    heat = np.asarray(one.heat)
    assert heat.shape == (*GRID, CLASSES)
    assert np.argwhere(heat == 1).tolist() == [[2, 2, 0], [4, 10, 2]]
    assert not heat[..., 1].any()
    assert heat.min() >= 0
    # Less and less on the way to the right, and as much to the left.
    assert heat[2, 2, 0] > heat[2, 3, 0] > heat[2, 4, 0]
    assert heat[2, 3, 0] == heat[2, 1, 0]
    # By the published deviation, a sixth of 0.54 of a side, or a third of a place.
    deviation = max(0.54 / 6 * 16, 4 / 3)
    np.testing.assert_allclose(
        heat[2, 3, 0], np.exp(-((4 / deviation) ** 2) / 2), rtol=1e-4
    )
    weight = np.asarray(one.weight)
    assert weight.sum() == pytest.approx(2, rel=1e-5)
    assert weight[4, 10] > 0.9
    np.testing.assert_array_equal(one.boxes[4, 10], [10, 34, 26, 46])


def test_large_objects_are_learned_at_several_places_and_weigh_no_more():
    box = [0, 0, 32, 48]
    weight = np.asarray(asked([box], [1]).weight)
    # The deviation is 2.9 pixels down and 4.3 across: next to the middle heat is 0.38
    # and 0.65, and 0.25 beyond a corner, which is too little.
    around = [[3, 6], [4, 5], [4, 6], [4, 7], [5, 6]]
    assert np.argwhere(weight).tolist() == around
    assert weight.sum() == pytest.approx(1, rel=1e-5)
    both = np.asarray(asked([box, [0, 0, 4, 4]], [1, 1]).weight)
    assert both[0, 0] == pytest.approx(1)
    np.testing.assert_allclose(both - weight, (both == both[0, 0]) * 1.0, atol=1e-6)


BOXES = [[2, 2, 18, 18], [0, 0, 30, 46], [10, 34, 26, 46]]
LABELS = [0, 1, 0]


def alike(one, other):
    return all(
        np.asarray(a).tobytes() == np.asarray(b).tobytes()
        for a, b in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("rubbish", [0.0, 17.0, 1e30, np.nan])
@pytest.mark.parametrize("count", [0, 3])
def test_boxes_that_are_none_change_no_bit(count, rubbish):
    boxes, labels = np.reshape(BOXES[:count], (-1, 4)), LABELS[:count]
    few = asked(boxes, labels, padding=1)
    assert alike(few, asked(boxes, labels, padding=5, rubbish=rubbish))


def test_rubbish_before_the_first_object_changes_nothing_that_counts():
    whole = asked(BOXES, LABELS)
    boxes = np.asarray([[3, 3, 9, 9], *BOXES], np.float32)
    other = wanted(boxes, np.asarray([-1, *LABELS], np.int32))
    assert alike((whole.heat, whole.weight), (other.heat, other.weight))
    there = np.asarray(whole.weight) > 0
    np.testing.assert_array_equal(whole.boxes[there], other.boxes[there])


def test_an_image_without_objects_asks_for_nothing():
    nothing = asked([], [], padding=4)
    assert not np.asarray(nothing.heat).any()
    assert not np.asarray(nothing.weight).any()
    assert np.isfinite(nothing.boxes).all()


@pytest.mark.parametrize(
    ("box", "place"),
    [
        ([0, 0, 2, 2], (0, 0)),
        ([30, 46, 32, 48], (7, 11)),
        # The middle is on the edge itself.
        ([32, 48, 32, 48], (7, 11)),
        ([0, 0, 0, 48], (0, 6)),
    ],
)
def test_objects_at_the_border_have_a_place(box, place):
    one = asked([box], [2])
    assert np.argwhere(np.asarray(one.heat) == 1).tolist() == [[*place, 2]]
    assert one.weight[place] > 0
    np.testing.assert_array_equal(one.boxes[place], box)


def test_of_two_objects_at_one_place_the_smaller_is_learned():
    large, small = [0, 0, 20, 20], [8, 8, 12, 12]
    for boxes in ([large, small], [small, large]):
        one = asked(boxes, [0, 0])
        np.testing.assert_array_equal(one.boxes[2, 2], small)
        assert one.heat[2, 2, 0] == 1
    # Of other classes, both are there.
    two = asked([large, small], [0, 1])
    assert two.heat[2, 2, :2].tolist() == [1, 1]
    # As large as each other: one of them.
    same = asked([small, small], [0, 1])
    assert float(same.weight.sum()) == pytest.approx(1, rel=1e-5)
    np.testing.assert_array_equal(same.boxes[2, 2], small)


def perfect(one, scale=30.0):
    """Logits and sides of a detector that says all that it is asked."""
    logits = np.where(np.asarray(one.heat) == 1, scale, -scale)
    return logits[None], np.asarray(sides_of(np.asarray(one.boxes)))[None]


@jax.jit
def losses(logits, sides, one):
    """Of heat and of sides, and their slopes."""
    batched = jax.tree.map(lambda a: a[None], one)

    def sides_loss(sides):
        return centres.sides_loss(centres.sides_to_boxes(sides, CELL), batched)

    return (
        jax.value_and_grad(centres.heat_loss)(logits, batched.heat),
        jax.value_and_grad(sides_loss)(sides),
    )


def test_perfect_answers_lose_nothing_and_others_much():
    one = asked(BOXES, LABELS, padding=2)
    logits, sides = perfect(one)
    for loss, _ in losses(logits, sides, one):
        assert float(loss) == pytest.approx(0, abs=1e-4)
    (heat, _), (apart, _) = losses(-logits, sides + 1, one)
    assert heat > 10
    assert apart > 0.5


@pytest.mark.parametrize("boxes", [[], BOXES], ids=["none", "some"])
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e4])
def test_losses_and_slopes_are_finite_whatever_is_said(boxes, scale):
    one = asked(boxes, LABELS[: len(boxes)], padding=2)
    rng = np.random.default_rng(0)
    logits = np.float32(scale * rng.normal(size=(1, *GRID, CLASSES)))
    sides = np.float32(scale * rng.normal(size=(1, *GRID, 4)))
    found = losses(logits, sides, one)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found))
    if not boxes:
        assert not any(np.asarray(leaf).any() for leaf in found[1])


def test_the_loss_of_a_new_detector_is_small_where_there_is_nothing():
    # Heat is a tenth to begin with: nothing is drowned by all that is no centre.
    assert centres.likely_heat(jnp.zeros(())) == pytest.approx(0.1, abs=2e-3)
    nothing = asked([], [], padding=1)
    logits, sides = np.zeros((1, *GRID, CLASSES)), np.zeros((1, *GRID, 4))
    (loss, _), _ = losses(np.float32(logits), np.float32(sides), nothing)
    assert loss < 0.002 * GRID[0] * GRID[1] * CLASSES


APART = [[2, 2, 18, 18], [10, 22, 28, 32], [2, 34, 30, 46]]


@pytest.mark.parametrize(
    ("boxes", "labels"),
    [
        ([], []),
        (APART[:1], [2]),
        (APART, [0, 1, 0]),
        (APART, [1, 1, 1]),
        # At one place, of two classes; what is learned there is one box.
        ([[8, 8, 16, 16], [8, 8, 16, 16]], [0, 2]),
        ([[0, 0, 8, 8], [24, 40, 32, 48]], [2, 2]),
    ],
)
def test_what_is_asked_for_is_what_is_found(boxes, labels):
    one = asked(boxes, labels, padding=3)
    found = find(one.heat, one.boxes, count=20)
    there = np.flatnonzero((found.labels >= 0) & (found.scores > 0.99))
    seen = sorted((int(found.labels[i]), found.boxes[i].tolist()) for i in there)
    assert seen == sorted(zip(labels, boxes, strict=True))


def test_answers_become_the_boxes_that_they_stand_for():
    boxes = np.broadcast_to(np.float32([0, 0, 32, 48]), (*GRID, 4))
    back = sides_to_boxes(sides_of(boxes), CELL)
    np.testing.assert_allclose(back, boxes, atol=1e-3)
    # In four places: a detector that has learned nothing says so.
    plain = sides_to_boxes(np.zeros((*GRID, 4), np.float32), CELL)
    np.testing.assert_allclose(plain[2, 3], [10 - 16, 14 - 16, 10 + 16, 14 + 16])


def test_places_need_not_be_squares():
    cell = (8.0, 3.0)
    given = np.float32([[0, 0, 16, 6]]), np.int32([0])
    one = wanted(*given, grid=(4, 16), cell=cell, classes=1)
    assert np.argwhere(np.asarray(one.heat) == 1).tolist() == [[1, 1, 0]]
    box = sides_to_boxes(np.full((4, 16, 4), -np.log(4), np.float32), cell)[1, 1]
    np.testing.assert_allclose(box, [12 - 8, 4.5 - 3, 12 + 8, 4.5 + 3], atol=1e-5)


def test_no_more_places_are_looked_at_than_there_are():
    heat = np.float32([0.9, 0.5, 0.5, 0.5]).reshape(2, 2, 1)
    boxes = np.broadcast_to(np.float32([0, 0, 8, 8]), (2, 2, 4))
    found = find(heat, boxes, count=100)
    assert found.scores.shape == (4,)
    # Its neighbours are no peaks.
    assert (found.labels >= 0).tolist() == [True, False, False, False]
    assert found.scores[0] == np.float32(0.9)
    flat = find(np.zeros((2, 2, 1), np.float32), boxes, count=100)
    assert flat.labels.tolist() == [-1, -1, -1, -1]

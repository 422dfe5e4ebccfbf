"""COCO's metrics, where anybody can tell by hand what they are."""

import numpy as np
import pytest

from vmixjax.data import Boxes
from vmixjax.dense import average_precision

SIZE = (40, 80)
A, B, C = [0, 0, 20, 20], [10, 30, 30, 50], [20, 60, 38, 78]
NOTHING = {"ap50": 0, "ap75": 0, "ap": 0}


def boxes_of(objects):
    corners = np.array([box for _, box in objects], np.float32).reshape(-1, 4)
    labels = np.array([label for label, _ in objects], np.int64)
    return Boxes(corners / np.tile(SIZE, 2).astype(np.float32), labels)


def scored(truth, found, classes=2, most=6):
    """Metrics of images of (class, box) in pixels, for (score, class, box)."""
    told = {
        "corners": np.zeros((len(found), most, 4), np.float32),
        "scores": np.ones((len(found), most), np.float32),
        "labels": np.full((len(found), most), -1, np.int32),
    }
    for i, answers in enumerate(found):
        for j, (score, label, box) in enumerate(answers):
            told["corners"][i, j] = np.float32(box) / np.tile(SIZE, 2)
            told["scores"][i, j], told["labels"][i, j] = score, label
    wanted = [boxes_of(objects) for objects in truth]
    return average_precision(wanted, told, SIZE, classes=classes)


def same(found, expected):
    assert found == pytest.approx(expected, abs=1e-6)


def all_of(value):
    return dict.fromkeys(("ap50", "ap75", "ap"), value)


def test_all_found_is_one():
    truth = [[(0, A), (1, B)], [], [(0, C)]]
    answers = [[(0.9, 0, A), (0.8, 1, B)], [], [(0.1, 0, C)]]
    same(scored(truth, answers), all_of(1))


def test_one_of_two_missed():
    # Precision is 1 up to a recall of a half: 51 of the 101 levels.
    same(scored([[(0, A), (0, B)]], [[(0.9, 0, A)]]), all_of(51 / 101))


def test_something_false_counts_if_it_is_likelier():
    truth = [[(0, A)]]
    same(scored(truth, [[(0.9, 0, C), (0.5, 0, A)]]), all_of(0.5))
    same(scored(truth, [[(0.5, 0, C), (0.9, 0, A)]]), all_of(1))
    # In another image too.
    same(scored([[(0, A)], []], [[(0.5, 0, A)], [(0.9, 0, A)]]), all_of(0.5))


def test_the_wrong_class_is_both_false_and_missed():
    same(scored([[(0, A)]], [[(0.9, 1, A)]]), NOTHING)
    # Of two classes that there are, one is found.
    truth = [[(0, A), (1, B)]]
    same(scored(truth, [[(0.9, 0, A), (0.8, 0, B)]]), all_of(0.5))


def test_an_object_is_found_once():
    truth = [[(0, A), (0, B)]]
    same(
        scored(truth, [[(0.9, 0, A), (0.8, 0, A), (0.7, 0, B)]]),
        all_of(
            # To a recall of a half 1, then 2 of 3.
            (51 + 50 * 2 / 3) / 101
        ),
    )


def test_a_box_that_is_somewhat_off_is_found_at_lower_thresholds():
    # It shares 400 of 640 pixels: 0.625, which reaches 0.5, 0.55 and 0.6.
    same(
        scored([[(0, A)]], [[(0.9, 0, [0, 0, 20, 32])]]),
        {"ap50": 1, "ap75": 0, "ap": 0.3},
    )


def test_rows_and_columns_are_not_exchanged():
    upright, lying = [0, 0, 30, 10], [0, 0, 10, 30]
    same(scored([[(0, upright)]], [[(0.9, 0, upright)]]), all_of(1))
    same(scored([[(0, upright)]], [[(0.9, 0, lying)]]), NOTHING)


def test_classes_that_nothing_is_of_do_not_count():
    truth, answers = [[(0, A)]], [[(0.9, 0, A), (0.95, 3, B)]]
    same(scored(truth, answers, classes=5), all_of(1))


@pytest.mark.parametrize(
    ("truth", "answers"),
    [
        ([[(0, A)]], [[]]),
        ([[]], [[(0.9, 0, A)]]),
        ([[]], [[]]),
        ([[], []], [[], []]),
    ],
    ids=["none found", "no objects", "neither", "neither twice"],
)
def test_nothing_is_nought_and_no_fault(truth, answers, capsys):
    same(scored(truth, answers), NOTHING)
    assert capsys.readouterr().out == ""


def test_images_that_fill_up_a_batch_do_not_count():
    answers = [[(0.5, 0, A)], [(0.9, 0, A)], [(0.9, 0, B)]]
    same(scored([[(0, A)]], answers), all_of(1))

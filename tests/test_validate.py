"""Checks that several parts share: what is refused, and in which words."""

import re

import numpy as np
import pytest

from vmixjax import _validate

BATCH = np.zeros((2, 4, 4, 3), np.uint8)


def test_a_batch_and_its_labels_pass():
    assert _validate.images("images", BATCH, fewest=2).shape == BATCH.shape
    labels = _validate.labels("labels", [3, 0], 2)
    assert labels.tolist() == [3, 0]
    assert labels.dtype == np.int32


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        (BATCH[0], ValueError, "x must be a batch (B, H, W, C); got shape (4, 4, 3)"),
        (BATCH[0], ValueError, "For one image, x[None]"),
        (BATCH[:0], ValueError, "x must be a batch"),
        (BATCH[:, :0], ValueError, "x must be a batch"),
        (BATCH[:1], ValueError, "x must be at least 2 images; got 1"),
        (BATCH / np.float32(9), TypeError, "x must be uint8; got float32. Scale it"),
        (BATCH > 0, TypeError, "x must be uint8; got bool"),
    ],
)
def test_what_is_no_batch_of_bytes_is_refused(value, error, words):
    with pytest.raises(error, match=re.escape(words)):
        _validate.images("x", value, fewest=2)


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        (None, ValueError, "x must be given: one class for each image"),
        ([0.0, 1.0], TypeError, "x must be integers; got float32"),
        ([True, False], TypeError, "x must be integers; got bool"),
        ([1], ValueError, "x must be one for each image, shape (2,); got (1,)"),
        ([0, -1], ValueError, "x must be at least 0; got -1"),
    ],
)
def test_what_is_no_class_for_each_image_is_refused(value, error, words):
    with pytest.raises(error, match=re.escape(words)):
        _validate.labels("x", value, 2)


@pytest.mark.parametrize("value", [0, -1.5, float("nan")])
def test_a_number_below_the_least_is_refused(value):
    with pytest.raises(ValueError, match=f"x must be at least 1; got {value}"):
        _validate.at_least("x", value, 1)

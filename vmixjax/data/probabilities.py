"""Probabilities of classes: what a data set calls them, and what they have to be."""

import numpy as np

SOFT_LABEL = "soft_label"
"""The field that holds them, whatever the format of the data set."""

_CLOSE = 1e-3
"""A sum of probabilities may be so far from 1: networks add in 16 bits."""

_TOGETHER = 2**14
"""Rows that are looked at before others."""


def find_unfit(rows: np.ndarray) -> int | None:
    """Finds the first row that is no probabilities: each at least 0, together 1.

    Args:
      rows: float32 (N, C).

    Returns:
      Its number; None where all are fit.
    """
    for start in range(0, len(rows), _TOGETHER):
        some = rows[start : start + _TOGETHER]
        # What is not finite makes a sum that is not near 1, or none.
        with np.errstate(invalid="ignore", over="ignore"):
            sums = some.sum(axis=1, dtype=np.float64)
        fit = (some >= 0).all(axis=1) & (np.abs(sums - 1) <= _CLOSE)
        if not fit.all():
            return start + int(fit.argmin())
    return None


def check_probabilities(values: np.ndarray, count: int) -> np.ndarray:
    """Gives back the probabilities of one image, float32 (C,).

    Args:
      values: What may be such.
      count: How many classes there are.

    Raises:
      ValueError: They are none, or of other classes.
    """
    if values.dtype != np.float32 or values.shape != (count,):
        raise ValueError(f"{values.dtype} {values.shape} is not float32 {(count,)}")
    if find_unfit(values[np.newaxis]) is not None:
        raise ValueError("it is not at least 0 each, and 1 together")
    return values

"""YOLO's text of an image: a line for each object, its class and its box in shares."""

import json
import re
from collections.abc import Sequence

import numpy as np

from vmixjax.data.formats.sidecars.numbers import parse_number, short
from vmixjax.data.objects import Boxes
from vmixjax.errors import ImageError

_CLASS = re.compile(r"\d{1,9}", re.ASCII)
_POINT = 2
_FEWEST_POINTS = 3
_DIGITS = range(6, 18)
"""Behind the point: six are usual, and 17 tell any two numbers apart."""

_NOTHING = 1e-10
"""A share of an image that no box has: what rounding leaves of 0."""


def parse(data: bytes) -> Boxes:
    """Parses the text of an image.

    An outline, of three points or more, becomes the box around it.

    Raises:
      ValueError: It is none; says why, as a sentence goes on behind its name.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError("is no text in UTF-8") from error
    labels: list[int] = []
    corners: list[Sequence[float]] = []
    for number, line in enumerate(text.split("\n"), 1):
        words = line.split()
        if not words:
            continue
        try:
            label, box = _object(words)
        except ValueError as error:
            raise ValueError(f"has line {number}, in which {error}") from error
        labels.append(label)
        corners.append(box)
    return Boxes(
        np.array(corners, np.float64).reshape(-1, 4).astype(np.float32),
        np.array(labels, np.int64),
    )


def _object(words: Sequence[str]) -> tuple[int, Sequence[float]]:
    if not _CLASS.fullmatch(words[0]):
        raise ValueError(f"{short(words[0])} is no number of a class")
    numbers = [parse_number(word) for word in words[1:]]
    if len(numbers) == 4:
        x, y, width, height = numbers
        box = [y - height / 2, x - width / 2, y + height / 2, x + width / 2]
    elif len(numbers) == 5:
        raise ValueError(
            "a sixth number, how sure a network is, makes it a guess and no label"
        )
    elif len(numbers) % _POINT == 0 and len(numbers) >= _POINT * _FEWEST_POINTS:
        xs, ys = numbers[::_POINT], numbers[1::_POINT]
        box = [min(ys), min(xs), max(ys), max(xs)]
    else:
        raise ValueError(
            f"there are {len(words)} numbers: a box has 5, its class, middle, width "
            f"and height"
        )
    return int(words[0]), [0 if abs(end) < _NOTHING else end for end in box]


def render(boxes: Boxes) -> bytes:
    """Gives the text of an image: alike for boxes that are alike only.

    Raises:
      ImageError: A box cannot be written so that it comes back.
    """
    lines = []
    for label, corners in zip(boxes.labels, boxes.corners, strict=True):
        ymin, xmin, ymax, xmax = corners
        (x, width), (y, height) = _extent(xmin, xmax), _extent(ymin, ymax)
        lines.append(f"{label} {x} {y} {width} {height}\n")
    return "".join(lines).encode()


def meaning(boxes: Boxes, names: Sequence[str]) -> bytes:
    """Gives what is told of objects: their boxes, and the names of all classes."""
    return json.dumps(names).encode() + b"\n" + render(boxes)


def _extent(low: np.float32, high: np.float32) -> tuple[str, str]:
    """Gives middle and length of a box, in as few digits as bring its ends back."""
    middle, length = (float(low) + float(high)) / 2, float(high) - float(low)
    for digits in _DIGITS:
        texts = f"{middle:.{digits}f}", f"{length:.{digits}f}"
        there, half = float(texts[0]), float(texts[1]) / 2
        if _is(there - half, low) and _is(there + half, high):
            return texts
    raise ImageError(
        f"a box from {low} to {high} cannot be written as its middle and its length; "
        f"choose another --format"
    )


def _is(number: float, share: np.float32) -> bool:
    if abs(number) < _NOTHING and abs(float(share)) < _NOTHING:
        return True
    return bool(np.float32(number) == share)

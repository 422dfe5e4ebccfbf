"""Photographs of many sizes, made without network of the few that libraries ship.

Each is made of pieces of those that lie over each other, as things in front of others
do: turned, mirrored, made smaller, bent a little, in other tones. Neighbours, edges and
flat parts stay those of photographs, which codecs and VFE depend on; and however many
are made, no two show the same scene, which a release would refuse.

References:
  A. Lee, D. Mumford and J. Huang, "Occlusion Models for Natural Images: A Statistical
  Study of a Scale-Invariant Dead Leaves Model", IJCV 2001.
"""

import functools
import itertools
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from skimage import data
from sklearn.datasets import load_sample_images

Size = tuple[int, int]
"""Height and width."""

QUALITY = 90
"""Of the JPEG files."""

_COMMON: tuple[tuple[Size, float], ...] = (
    ((375, 500), 0.22),
    ((333, 500), 0.09),
    ((500, 375), 0.06),
    ((500, 333), 0.03),
)
"""What most photographs of ImageNet have; and which part of all that is."""

_OTHERS = (
    ((500, 500), (250, 500), 0.42),
    ((90, 320), (70, 300), 0.10),
    ((600, 1280), (450, 960), 0.08),
)
"""Ranges of two sides of all others, and which part of all; about as it is there."""

_LANDSCAPE = 0.7
"""Part of those others that are wider than high."""

_PART = 1024
"""Longest side of the parts that large photographs are made of."""

_PIECES, _SIDES, _LONGER = 6, (0.2, 0.7), 1.8
"""Pieces on the background of a part; their sides, of its own; how long they are."""

_ROUGH, _SMOOTH = 0.2, range(2, 6)
"""Waves along the border of a piece: how high, and how many."""

_BEND, _WAVES = 0.05, 4
"""By how much a piece is bent, as a part of its shorter side; places along a side."""

_SMALLER = 0.6, 1.0
"""Size of a piece, of what it was. Larger ones would have less detail than it had."""

_GAMMA, _GAINS = 0.15, 0.12
"""Spread of the logarithms of a piece's tones and colours."""


def sizes_like_imagenet(count: int) -> list[Size]:
    """Draws sizes of so many photographs, the same each time.

    They have 0.2 megapixels on average; two hundred have more than a hundred sizes.
    """
    rng = np.random.default_rng(0)
    parts = [part for *_, part in (*_COMMON, *_OTHERS)]
    return [_size(rng, int(kind)) for kind in rng.choice(len(parts), count, p=parts)]


def _size(rng: np.random.Generator, kind: int) -> Size:
    if kind < len(_COMMON):
        return _COMMON[kind][0]
    *ranges, _ = _OTHERS[kind - len(_COMMON)]
    low, high = sorted(int(rng.integers(least, most + 1)) for least, most in ranges)
    return (low, high) if rng.random() < _LANDSCAPE else (high, low)


def megapixels(sizes: Sequence[Size]) -> float:
    """Counts the pixels of photographs of these sizes."""
    return sum(height * width for height, width in sizes) / 1e6


def write_photographs(
    folder: Path, sizes: Sequence[Size], *, seed: int = 0
) -> list[Path]:
    """Writes photographs of these sizes as JPEG files into a new folder."""
    folder.mkdir(parents=True)

    def write(number: int) -> Path:
        picture = photograph(np.random.default_rng((seed, number)), *sizes[number])
        path = folder / f"{number:05d}.jpg"
        Image.fromarray(picture).save(path, quality=QUALITY)
        return path

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return list(threads.map(write, range(len(sizes))))


def photograph(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Makes a photograph, a large one of parts beside each other.

    Returns:
      uint8 (height, width, 3).
    """
    picture = np.empty((height, width, 3), np.uint8)
    cuts = [
        np.linspace(0, side, -(-side // _PART) + 1).astype(int).tolist()
        for side in (height, width)
    ]
    for (top, bottom), (left, right) in itertools.product(
        *map(itertools.pairwise, cuts)
    ):
        _paint(rng, picture[top:bottom, left:right])
    return picture


def _paint(rng: np.random.Generator, picture: np.ndarray) -> None:
    """Lays pieces over each other until a picture is full."""
    height, width, _ = picture.shape
    picture[:] = _piece(rng, height, width)
    for _ in range(_PIECES):
        side = np.sqrt(height * width) * rng.uniform(*_SIDES)
        longer = np.sqrt(rng.uniform(1, _LONGER))
        h, w = (max(8, round(side * x)) for x in rng.permutation([longer, 1 / longer]))
        rows, from_rows = _laid(int(rng.integers(-h // 2, height - h // 2)), h, height)
        columns, from_columns = _laid(
            int(rng.integers(-w // 2, width - w // 2)), w, width
        )
        inside = _outline(rng, h, w)[from_rows, from_columns, None]
        piece = _piece(rng, h, w)[from_rows, from_columns]
        behind = picture[rows, columns]
        behind[:] = np.rint(behind + inside * (piece - behind.astype(np.float32)))


def _laid(start: int, length: int, most: int) -> tuple[slice, slice]:
    """Where a piece lies on a picture, and which part of it does, along one axis."""
    begin, end = max(0, start), min(most, start + length)
    return slice(begin, end), slice(begin - start, end - start)


def _outline(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Gives float32 (height, width), 1 inside of a round piece and 0 outside."""
    angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    radius = np.full(64, 0.8)
    for waves in _SMOOTH:
        phase = rng.uniform(0, 2 * np.pi)
        radius += rng.normal(0, _ROUGH / waves) * np.cos(waves * angles + phase)
    x, y = width * (1 + radius * np.cos(angles)), height * (1 + radius * np.sin(angles))
    # In sixteenths of a pixel, for a border without steps.
    points = np.rint(np.stack([x, y], 1) * 8).astype(np.int32)
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [points], (255,), cv2.LINE_AA, 4)
    return mask.astype(np.float32) / 255


def _piece(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Gives a piece of a photograph, where that ends its mirror image: uint8."""
    source = _sources()[rng.integers(len(_sources()))]
    y, x = (
        axis - side / 2 + _bends(rng, height, width)
        for axis, side in zip(np.ogrid[:height, :width], (height, width), strict=True)
    )
    y *= rng.choice([-1, 1])
    turn, larger = rng.uniform(0, 2 * np.pi), 1 / rng.uniform(*_SMALLER)
    cos, sin = larger * np.cos(turn), larger * np.sin(turn)
    top, left = (rng.uniform(0, side) for side in source.shape[:2])
    piece = cv2.remap(
        source,
        (cos * x - sin * y + left).astype(np.float32),
        (sin * x + cos * y + top).astype(np.float32),
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    gamma, gains = rng.lognormal(0, _GAMMA), rng.lognormal(0, _GAINS, 3)
    tones = np.outer((np.arange(256) / 255) ** gamma, gains)
    return cv2.LUT(piece, np.rint(255 * np.minimum(tones, 1)).astype(np.uint8)[None])


def _bends(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Gives how far each pixel is moved along one axis: float32 (height, width)."""
    places = rng.normal(0, _BEND * min(height, width), (_WAVES, _WAVES))
    return cv2.resize(
        places.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC
    )


@functools.cache
def _sources() -> list[np.ndarray]:
    """All photographs in colour that come with scikit-image and scikit-learn.

    The eye and the stars of scikit-image are left out: they are like no others.
    """
    return [
        data.astronaut(),
        data.coffee(),
        data.chelsea(),
        data.rocket(),
        data.stereo_motorcycle()[0],
        *load_sample_images().images,
    ]

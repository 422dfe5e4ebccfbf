"""Faces that are still found."""

import functools

import jax
import numpy as np
from skimage import data, feature

from vmixjax.metrics.metric import Measure, Metric, Reference, batch

_SMALLEST = 24


def faces(images: jax.typing.ArrayLike) -> np.ndarray:
    """Counts the frontal faces that a classical detector sees in each image.

    A cascade of local binary patterns, which scikit-image ships: small, offline, and
    easily deceived. It misses turned faces and those below 24 pixels, and sees some
    where there are none, as in a blurred cup of coffee. That it sees no face does not
    say that nobody would; count it against what it sees in the originals. In the
    pictures of `skimage.data.lfw_subset`, enlarged to 100 pixels, with a margin of 50,
    it finds 96 of 100 faces, and none in 100 pictures of other things.

    Args:
      images: Images, uint8 (B, H, W, C), C = 1 or 3.

    Returns:
      Counts, int32 (B,); overlapping finds count once.

    Raises:
      TypeError: Images that are not uint8.
      ValueError: No batch, or other than 1 or 3 channels.

    References:
      Viola and Jones (CVPR 2001) for cascades, Liao et al. (ICB 2007) for the
      patterns; scikit-image's `Cascade` with OpenCV's frontal face file.
    """
    pictures = batch("images", images)
    channels = pictures.shape[-1]
    if channels not in (1, 3):
        raise ValueError(
            f"images must have 1 or 3 channels to look for faces in; got {channels}"
        )
    if min(pictures.shape[1:3]) < _SMALLEST:
        return np.zeros(len(pictures), np.int32)
    return np.array([_count_faces(picture) for picture in pictures], np.int32)


def _count_faces(image: np.ndarray) -> int:
    seen = np.ascontiguousarray(image[..., 0] if image.shape[-1] == 1 else image)
    found = _cascade().detect_multi_scale(
        img=seen,
        scale_factor=1.2,
        step_ratio=1.0,
        min_size=(_SMALLEST, _SMALLEST),
        max_size=image.shape[:2],
    )
    return _distinct([(f["r"], f["c"], f["height"], f["width"]) for f in found])


def _distinct(boxes: list[tuple[int, int, int, int]]) -> int:
    """Counts boxes (row, column, height, width), those around one centre once."""
    distinct: list[tuple[int, int, int, int]] = []
    for row, column, height, width in sorted(boxes, key=lambda b: -b[2] * b[3]):
        middle = row + height / 2, column + width / 2
        inside = any(
            r <= middle[0] < r + h and c <= middle[1] < c + w for r, c, h, w in distinct
        )
        if not inside:
            distinct.append((row, column, height, width))
    return len(distinct)


@functools.lru_cache(maxsize=1)
def _cascade() -> feature.Cascade:
    return feature.Cascade(data.lbp_frontal_face_cascade_filename())


def _prepare(reference: Reference) -> Measure | None:
    showing = faces(reference.originals) > 0
    if not showing.any():
        return None
    return lambda images: faces(images[showing]) > 0


METRIC = Metric(
    name="faces",
    prepare=_prepare,
    about="Faces that scikit-image's cascade finds, of those it finds in the "
    "originals.",
    number=".0%",
    rank=4,
)

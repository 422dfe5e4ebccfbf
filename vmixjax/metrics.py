"""How much of an image came back: what an audit measures reconstructions by.

On batches of uint8 images (B, H, W, C), in NumPy and float64, on the host: an audit
looks at few images, once. With originals first, all but `faces` compare.

>>> rng = np.random.default_rng(0)
>>> images = rng.integers(0, 256, (4, 16, 16, 3), np.uint8)
>>> psnr(images, images).tolist()
[inf, inf, inf, inf]
>>> ssim(images, images).tolist()
[1.0, 1.0, 1.0, 1.0]
>>> features = region_means(images, 8)
>>> reidentified(features, features)
1.0
"""

import functools

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist
from skimage import data, feature, filters, metrics

_SSIM_RADIUS, _SSIM_SIGMA = 5, 1.5
_MANY = 256
"""Reconstructions that are compared with all originals at a time."""


def psnr(originals: npt.ArrayLike, images: npt.ArrayLike) -> np.ndarray:
    """Peak signal-to-noise ratio of each image, in decibels; higher is more alike.

    Args:
      originals: uint8 (B, H, W, C).
      images: of the same shape and dtype.

    Returns:
      float64 (B,), at least 0; infinite for images that are equal.

    Raises:
      TypeError: images that are not uint8.
      ValueError: shapes that differ, or are not batches.

    Source: 10 log10(255^2 / mean squared error).
    """
    originals, images = _pair(originals, images)
    apart = originals.astype(np.float64) - images
    errors = np.square(apart).mean((1, 2, 3))
    with np.errstate(divide="ignore"):
        return np.asarray(10 * np.log10(255**2 / errors))


def ssim(originals: npt.ArrayLike, images: npt.ArrayLike) -> np.ndarray:
    """Structural similarity of each image, the mean over pixels and channels.

    The window is the usual Gaussian, sigma 1.5 over 11 x 11 pixels. Images smaller than
    that get the largest odd window that fits, with sigma in proportion: such values
    compare with each other only.

    Args:
      originals: uint8 (B, H, W, C), H and W at least 3.
      images: of the same shape and dtype.

    Returns:
      float64 (B,), -1 to 1; 1 for images that are equal, constant ones too.

    Raises:
      TypeError: images that are not uint8.
      ValueError: shapes that differ or are not batches, sides below 3.

    Source: Wang, Bovik, Sheikh and Simoncelli, "Image Quality Assessment: From Error
    Visibility to Structural Similarity" (IEEE TIP 2004), as scikit-image has it.
    """
    originals, images = _pair(originals, images)
    smallest = min(originals.shape[1:3])
    if smallest < 3:
        raise ValueError(
            f"images of {originals.shape[1]} x {originals.shape[2]} have no window of "
            f"3 x 3 to be compared in; SSIM needs sides of at least 3"
        )
    radius = min(_SSIM_RADIUS, (smallest - 1) // 2)
    values = [
        metrics.structural_similarity(
            original,
            image,
            data_range=255,
            channel_axis=-1,
            gaussian_weights=True,
            sigma=_SSIM_SIGMA * radius / _SSIM_RADIUS,
            use_sample_covariance=False,
        )
        for original, image in zip(originals, images, strict=True)
    ]
    return np.array(values, np.float64)


def edge_correlation(originals: npt.ArrayLike, images: npt.ArrayLike) -> np.ndarray:
    """Whether edges are where they were: correlation of gradient magnitudes.

    Of the mean over channels, by Sobel's filter. People recognise line drawings: this
    tells what PSNR and SSIM do not, where colours are wrong and outlines are right.

    Args:
      originals: uint8 (B, H, W, C).
      images: of the same shape and dtype.

    Returns:
      float64 (B,), Pearson's correlation, -1 to 1. It is 0 where original or image
      has no edges, or equally strong ones everywhere: then nothing agrees, nor differs.

    Raises:
      TypeError: images that are not uint8.
      ValueError: shapes that differ, or are not batches.

    Source: ours; Sobel's filter as scikit-image has it.
    """
    a, b = (_edges(x) for x in _pair(originals, images))
    spread = np.sqrt((a * a).sum(1) * (b * b).sum(1))
    together = (a * b).sum(1)
    values = np.divide(together, spread, out=np.zeros_like(spread), where=spread > 0)
    return np.clip(values, -1, 1)


def reidentified(originals: npt.ArrayLike, images: npt.ArrayLike) -> float:
    """Share of images whose own original is the nearest of all originals.

    Args:
      originals: features (B, D) of the originals, such as `region_means`, or values
        of a network; any numbers. Chance is 1 / B.
      images: features (B, D) of what came back, in the same order.

    Returns:
      0 to 1, by Euclidean distance. Where the nearest originals are k equally near
      ones, own one among them, the image counts 1 / k, as if one were picked blindly:
      features that say nothing score chance.

    Raises:
      ValueError: shapes that differ or are not (B, D), values that are not finite.

    Source: ours; re-identification is usual where faces are protected, such as
    McPherson, Shokri and Shmatikov (2016).
    """
    a, b = np.asarray(originals, np.float64), np.asarray(images, np.float64)
    if a.shape != b.shape or a.ndim != 2 or 0 in a.shape:
        raise ValueError(
            f"originals and images must be features (B, D) of the same images; got "
            f"{a.shape} and {b.shape}"
        )
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("originals and images must be finite; got NaN or infinity")
    found = 0.0
    for start in range(0, len(b), _MANY):
        distances = cdist(b[start : start + _MANY], a, "sqeuclidean")
        nearest = distances == distances.min(1, keepdims=True)
        own = nearest[np.arange(len(nearest)), start + np.arange(len(nearest))]
        found += float((own / nearest.sum(1)).sum())
    return found / len(b)


def region_means(images: npt.ArrayLike, region: int) -> np.ndarray:
    """Mean colour of each region, as features for `reidentified`.

    What mixing inside regions never hides, and so the fewest features that an attacker
    has.

    Args:
      images: uint8 (B, H, W, C), H and W multiples of `region`.
      region: side of a region in pixels.

    Returns:
      float64 (B, H // region * W // region * C), 0 to 255.

    Raises:
      TypeError: images that are not uint8.
      ValueError: no batch, or sides that the region does not divide.

    Source: ours.
    """
    batch = _batch("images", images)
    count, height, width, channels = batch.shape
    if region < 1 or height % region or width % region:
        raise ValueError(
            f"region of {region} does not divide images of {height} x {width}; choose "
            f"a size that does"
        )
    rows, columns = height // region, width // region
    grid = batch.reshape(count, rows, region, columns, region, channels)
    return grid.mean((2, 4), np.float64).reshape(count, -1)


def faces(images: npt.ArrayLike) -> np.ndarray:
    """How many frontal faces a classical detector sees in each image.

    A cascade of local binary patterns, which scikit-image ships: small, offline, and
    easily deceived. It misses turned faces and those below 24 pixels, and sees some
    where there are none, as in a blurred cup of coffee. That it sees no face does not
    say that nobody would; count it against what it sees in the originals. In the
    pictures of `skimage.data.lfw_subset`, enlarged to 100 pixels, with a margin of 50,
    it finds 96 of 100 faces, and none in 100 pictures of other things.

    Args:
      images: uint8 (B, H, W, C), C = 1 or 3.

    Returns:
      int32 (B,), overlapping finds counted once.

    Raises:
      TypeError: images that are not uint8.
      ValueError: no batch, or other than 1 or 3 channels.

    Source: Viola and Jones (CVPR 2001) for cascades, Liao et al. (ICB 2007) for the
    patterns; scikit-image's `Cascade` with OpenCV's frontal face file.
    """
    batch = _batch("images", images)
    if batch.shape[-1] not in (1, 3):
        raise ValueError(
            f"images must have 1 or 3 channels to look for faces in; got "
            f"{batch.shape[-1]}"
        )
    if min(batch.shape[1:3]) < _SMALLEST_FACE:
        return np.zeros(len(batch), np.int32)
    return np.array([_count_faces(image) for image in batch], np.int32)


_SMALLEST_FACE = 24


def _count_faces(image: np.ndarray) -> int:
    seen = np.ascontiguousarray(image[..., 0] if image.shape[-1] == 1 else image)
    found = _cascade().detect_multi_scale(
        img=seen,
        scale_factor=1.2,
        step_ratio=1.0,
        min_size=(_SMALLEST_FACE, _SMALLEST_FACE),
        max_size=image.shape[:2],
    )
    return _distinct([(f["r"], f["c"], f["height"], f["width"]) for f in found])


def _distinct(boxes: list[tuple[int, int, int, int]]) -> int:
    """Counts boxes (row, column, height, width), those around one centre once."""
    kept: list[tuple[int, int, int, int]] = []
    for row, column, height, width in sorted(boxes, key=lambda b: -b[2] * b[3]):
        middle = row + height / 2, column + width / 2
        inside = any(
            r <= middle[0] < r + h and c <= middle[1] < c + w for r, c, h, w in kept
        )
        if not inside:
            kept.append((row, column, height, width))
    return len(kept)


@functools.lru_cache(maxsize=1)
def _cascade() -> feature.Cascade:
    return feature.Cascade(data.lbp_frontal_face_cascade_filename())


def _edges(images: np.ndarray) -> np.ndarray:
    """Gradient magnitudes (B, H * W), less their mean; zeros where all are alike."""
    grey = images.mean(-1, dtype=np.float64)
    edges = np.stack([filters.sobel(one) for one in grey]).reshape(len(images), -1)
    # Constant up to roundings of the filter, which must not pass for edges.
    alike = np.ptp(edges, axis=1, keepdims=True) < 1e-9
    return np.where(alike, 0, edges - edges.mean(1, keepdims=True))


def _pair(
    originals: npt.ArrayLike, images: npt.ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    a, b = _batch("originals", originals), _batch("images", images)
    if a.shape != b.shape:
        raise ValueError(
            f"images of shape {b.shape} cannot be compared with originals of "
            f"{a.shape}; they must be the same images in the same order"
        )
    return a, b


def _batch(name: str, value: npt.ArrayLike) -> np.ndarray:
    array = np.asarray(value)
    if array.dtype != np.uint8:
        raise TypeError(
            f"{name} must be uint8, 0 to 255; got {array.dtype}. Convert it with "
            f"{name}.astype(np.uint8)"
        )
    if array.ndim != 4 or 0 in array.shape:
        raise ValueError(
            f"{name} must be a batch (B, H, W, C); got shape {array.shape}. For one "
            f"image, {name}[None]"
        )
    return array

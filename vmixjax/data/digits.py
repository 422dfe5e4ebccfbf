"""Handwritten digits that need no download, enlarged: labelled images to try with."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_digits

ENLARGED = 4
"""Times that a digit of 8 x 8 pixels is enlarged."""
SIDE = 8 * ENLARGED
TEST_IMAGES = 500


@dataclasses.dataclass(frozen=True)
class Images:
    """Labelled images: uint8 (N, H, W, C) and int32 (N,)."""

    images: np.ndarray
    labels: np.ndarray


def enlarged_digits() -> tuple[Images, Images]:
    """Loads scikit-learn's 1,797 digits as 32 x 32 grey images: train and test."""
    digits = load_digits()
    small = jnp.asarray(digits.images * (255 / 16), jnp.float32)
    large = jax.image.resize(small, (len(small), SIDE, SIDE), "linear")
    images = np.asarray(jnp.round(large).astype(jnp.uint8))[..., None]
    labels = digits.target.astype(np.int32)
    # The split belongs to the data: the same whatever the seed of a run.
    order = np.random.default_rng(0).permutation(len(labels))
    test, train = order[:TEST_IMAGES], order[TEST_IMAGES:]
    return (
        Images(images[train], labels[train]),
        Images(images[test], labels[test]),
    )

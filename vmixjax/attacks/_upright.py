"""Which way up a picture is, and in which colours, as pictures like it tell."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from vmixjax._grid import cut
from vmixjax.attacks._symmetries import WAYS, colours_of, lay
from vmixjax.networks.inputs import in_chunks

CELLS = 4
"""Squares down and across that a picture is summed up by."""

SPREAD, FLAT = 50.0, 2.0
"""A logarithm of a spread counts as so many grey values; how flat is flat."""

RIDGE = 4.0
"""Added to variances: more than few public images can tell."""


def upright(images: np.ndarray, public: np.ndarray) -> np.ndarray:
    """Turns, mirrors and colours whole images to be the likeliest of all ways.

    Means and spreads of the cells of a coarse grid are taken as Gaussian, as those of
    the public images are (mirrored ones too, so left and right stay open).

    Args:
      images: uint8 (B, H, W, C), each right but for one turn and colouring of it all.
      public: Images like the originals, uint8 (N, H, W, C).

    Returns:
      Each image in its likeliest way, uint8 (B, H, W, C).

    References:
      Ours.
    """
    known = np.concatenate([_summaries(public), _summaries(public[:, :, ::-1])])
    mean, covariance = known.mean(0), np.atleast_2d(np.cov(known.T, bias=True))
    precision = np.linalg.inv(covariance + RIDGE * np.eye(len(mean)))
    colours = colours_of(images.shape[-1])
    best, least = images, np.full(len(images), np.inf)
    for way, colour in itertools.product(range(WAYS), range(len(colours.ways))):
        seen = colours.paint(lay(images, way), colour)
        if seen.shape != images.shape:
            continue
        off = _summaries(seen) - mean
        distance = np.einsum("bi,ij,bj->b", off, precision, off)
        best = np.where((distance < least)[:, None, None, None], seen, best)
        least = np.minimum(distance, least)
    return best


def _summaries(images: np.ndarray) -> np.ndarray:
    """Summaries of many images, a few at a time: float64 (B, features)."""
    return np.asarray(in_chunks(_summary, jnp.asarray(images)), np.float64)


@jax.jit
def _summary(images: jax.Array) -> jax.Array:
    """Means of cells, and logarithms of their spreads: float32 (B, features)."""
    height, width = (max(side // CELLS, 1) for side in images.shape[1:3])
    rows, columns = (min(side, CELLS) for side in images.shape[1:3])
    cells = cut(
        images[:, : rows * height, : columns * width].astype(jnp.float32),
        (height, width),
    )
    spreads = SPREAD * jnp.log(cells.std((2, 4)) + FLAT)
    return jnp.concatenate([cells.mean((2, 4)), spreads], -1).reshape(len(images), -1)

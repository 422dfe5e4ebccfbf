"""How badly two blocks fit together, from the pixels on both sides of their border."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

FLAT = 1.0
"""Added to variances of gradients: eight bits cannot tell how flat a flat block is."""


def misfits(before: Sequence[jax.Array], after: Sequence[jax.Array]) -> jax.Array:
    """Computes the misfit of each block with each that may come next to it.

    Across the border, the gradient should be what it is on this side of it: half the
    mean and half the very gradient of the last two lines of a block predict the step
    to the next. The rest is measured in units of the block's own gradients, colours
    together (Mahalanobis), and the same seen from the other side. Roots and logarithm
    keep single edges and busy blocks from deciding everything.

    Args:
      before: The last line of each block and the one inside it, (..., P, n, C)
        floating.
      after: The first line of each block and the one inside it, (..., Q, n, C).

    Returns:
      Misfits, (..., P, Q): smaller is better, and differences mean something.

    References:
      MGC of Gallagher, "Jigsaw Puzzles with Pieces of Unknown Orientation" (CVPR 2012);
      the prediction by very gradients is Pomeranz et al.'s (CVPR 2011); the mean of
      both, roots and logarithm are ours, chosen by trial on photographs.
    """
    here, here_inside = (lines[..., :, None, :, :] for lines in before)
    there, there_inside = (lines[..., None, :, :, :] for lines in after)
    return _surprise(here, here_inside, there) + _surprise(there, there_inside, here)


def _surprise(outer: jax.Array, inner: jax.Array, beyond: jax.Array) -> jax.Array:
    gradient = outer - inner
    mean = gradient.mean(-2, keepdims=True)
    spread = gradient - mean
    covariance = jnp.einsum("...ni,...nj->...ij", spread, spread) / outer.shape[-2]
    flat = FLAT * jnp.eye(outer.shape[-1], dtype=covariance.dtype)
    covariance += jnp.broadcast_to(flat, covariance.shape)
    rest = beyond - outer - (gradient + mean) / 2
    distance = jnp.sqrt(_mahalanobis(covariance, rest) + 1e-6)
    return jnp.log1p(distance.mean(-1)) / 2


def _mahalanobis(covariance: jax.Array, values: jax.Array) -> jax.Array:
    """(..., C, C) and (..., n, C) -> (..., n), squared distances.

    Channel after channel: what the earlier ones do not predict of it, in units of its
    own spread. Unrolled, since channels are few: a solver's call for each pair of
    blocks is many times slower.
    """
    total = jnp.zeros(values.shape[:-1], values.dtype)
    for channel in range(values.shape[-1]):
        own = covariance[..., channel, channel]
        rest = values[..., channel]
        total += rest**2 / own[..., None]
        slope = covariance[..., channel] / own[..., None]
        values = values - rest[..., None] * slope[..., None, :]
        covariance -= slope[..., :, None] * covariance[..., channel, None, :]
    return total

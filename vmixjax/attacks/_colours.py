"""Finding the blocks of several channels that belong together."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import linear_sum_assignment


def partners(pieces: jax.Array) -> np.ndarray:
    """Finds which blocks of each channel lie at the same place as those of another.

    Channels of a photograph have their edges in the same places, so the gradients
    inside a block are alike in all of them, and its mean not far from theirs; the best
    match of all blocks of a region at once is a linear assignment.

    Args:
      pieces: Blocks, float32 (regions, P, b, b, C), the channels shuffled each by
        itself.

    Returns:
      Numbers, int (regions, P, C): block of each channel that belongs to block p of the
      middle one, in which that is p.
    """
    regions, count, *_, channels = pieces.shape
    middle = channels // 2
    found = np.empty((regions, count, channels), np.int64)
    for channel in range(channels):
        costs = np.asarray(_unlikeness(pieces[..., middle], pieces[..., channel]))
        for region in range(regions):
            found[region, :, channel] = linear_sum_assignment(costs[region])[1]
    found[..., middle] = np.arange(count)
    return found


@jax.jit
def _unlikeness(some: jax.Array, others: jax.Array) -> jax.Array:
    """(regions, P, b, b) twice -> (regions, P, P)."""

    def gradients(blocks: jax.Array) -> jax.Array:
        parts = (jnp.diff(blocks, axis=-1), jnp.diff(blocks, axis=-2))
        return jnp.concatenate([x.reshape(*x.shape[:2], -1) for x in parts], axis=-1)

    a, b = gradients(some), gradients(others)
    unlike = jnp.abs(a[:, :, None] - b[:, None]).sum(-1)
    means = jnp.abs(some.mean((-1, -2))[:, :, None] - others.mean((-1, -2))[:, None])
    number = max(a.shape[-1], 1)
    return number * jnp.log(1 + unlike / number) + jnp.log(1 + means)

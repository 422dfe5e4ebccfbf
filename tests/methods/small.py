"""Small images, and what they are made of."""

import jax
import numpy as np
import oracle

KEY = jax.random.key(3)
PHOTO = oracle.smooth_image(16, 12)
NUMBERS = np.random.default_rng(0).integers(0, 256, (16, 12, 3), np.uint8)


def blocks(image, size):
    """(H, W, C) -> one (size, size, C) after the other."""
    image = np.asarray(image)
    rows, columns = image.shape[0] // size, image.shape[1] // size
    return [
        image[i * size : (i + 1) * size, j * size : (j + 1) * size]
        for i in range(rows)
        for j in range(columns)
    ]


def half_bytes(block):
    return np.concatenate([block.reshape(-1) & 15, block.reshape(-1) >> 4])


def multiset(things):
    return sorted(np.asarray(thing).tobytes() for thing in things)

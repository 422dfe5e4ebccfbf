"""Small crops of the photographs that scikit-image ships."""

import functools

import jax.numpy as jnp
import numpy as np
from PIL import Image
from skimage import data


@functools.cache
def crops(name, side=32, stride=16, scaled=160):
    """uint8 (N, side, side, 3), from everywhere in a photograph."""
    picture = Image.fromarray(getattr(data, name)()).resize((scaled, scaled))
    picture = np.asarray(picture)
    corners = range(0, scaled - side + 1, stride)
    return np.stack(
        [picture[i : i + side, j : j + side] for i in corners for j in corners]
    )


def psnr(a, b):
    error = np.mean((np.asarray(a, float) - np.asarray(b, float)) ** 2)
    return 10 * np.log10(255**2 / error)


def blurred(image, sigma=1.5):
    radius = 5
    kernel = jnp.exp(-0.5 * (jnp.arange(-radius, radius + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    x = jnp.pad(
        image.astype(jnp.float32),
        ((radius, radius), (radius, radius), (0, 0)),
        mode="edge",
    )
    height, width, _ = image.shape
    x = sum(k * x[i : i + height] for i, k in enumerate(kernel))
    x = sum(k * x[:, i : i + width] for i, k in enumerate(kernel))
    return jnp.round(x).astype(jnp.uint8)


def pixelated(image, size=4):
    height, width, channels = image.shape
    squares = image.astype(jnp.float32)
    squares = squares.reshape(height // size, size, width // size, size, channels)
    means = jnp.round(squares.mean((1, 3))).astype(jnp.uint8)
    return jnp.repeat(jnp.repeat(means, size, 0), size, 1)

"""What else is done to images that people should not recognise, to compare with.

Each is a pure function of one image (H, W, C) uint8, and gives one of the same shape
and dtype; each has one strength, a keyword. Those that draw at random take a `key`
first. Batches are `jax.vmap`. `method` gives any of them in the form that attacks and
audits take, with what everybody knows of it.

>>> import jax
>>> import jax.numpy as jnp
>>> image = jnp.arange(48, dtype=jnp.uint8).reshape(4, 4, 3)
>>> pixelate(image, block=4)[0, 0].tolist()
[23, 24, 25]
>>> key = jax.random.key(0)
>>> [bool((f(key, image) == image).all()) for f in (le, ele, pe)]
[False, False, False]
"""

from vmixjax.methods.encryption import ele, etc, le, pe
from vmixjax.methods.methods import METHODS, Keys, Method, method
from vmixjax.methods.noise import dp_pix, gaussian_noise, noise_epsilon
from vmixjax.methods.shuffling import csvar_plan, permute_blocks, published_plan
from vmixjax.methods.smoothing import gaussian_blur, pixelate

__all__ = [
    "METHODS",
    "Keys",
    "Method",
    "csvar_plan",
    "dp_pix",
    "ele",
    "etc",
    "gaussian_blur",
    "gaussian_noise",
    "le",
    "method",
    "noise_epsilon",
    "pe",
    "permute_blocks",
    "pixelate",
    "published_plan",
]

"""How images can be protected: by mixing, and by what mixing is compared with.

`METHODS` has them by name; `named` makes one for a shape, as users name it. The
functions beside them are what mixing is compared with: each is a pure function of one
image (H, W, C) uint8, and gives one of the same shape and dtype; each has one
strength, a keyword. Those that draw at random take a `key` first. `csvar_plan` and
`published_plan` give plans, for `vmixjax.mix`. Batches are `jax.vmap`.

>>> import jax
>>> import jax.numpy as jnp
>>> image = jnp.arange(48, dtype=jnp.uint8).reshape(4, 4, 3)
>>> pixelate(image, block=4)[0, 0].tolist()
[23, 24, 25]
>>> key = jax.random.key(0)
>>> [bool((f(key, image) == image).all()) for f in (le, ele, pe)]
[False, False, False]
>>> [made.title for made in (named("mix:4", image.shape), named("pe", image.shape))]
['vmixjax, regions of 4, pixels', 'pixel-based encryption, PE, share 0.5']
"""

import dataclasses

from vmixjax._registry import Registry
from vmixjax.config import CHANNEL_MODES
from vmixjax.errors import RunError
from vmixjax.methods.csvar import csvar_plan
from vmixjax.methods.dp_pix import dp_pix
from vmixjax.methods.ele import ele
from vmixjax.methods.etc import etc
from vmixjax.methods.gaussian_blur import gaussian_blur
from vmixjax.methods.gaussian_noise import gaussian_noise, noise_epsilon
from vmixjax.methods.le import le
from vmixjax.methods.method import Keys, Method, Protect, Protection
from vmixjax.methods.mixing import method_name
from vmixjax.methods.pe import pe
from vmixjax.methods.permute_blocks import permute_blocks
from vmixjax.methods.pixelate import pixelate
from vmixjax.methods.published_vmix import published_plan

_MIXING = {
    method_name(mode): f"vmixjax.methods.mixing:METHODS.{mode}"
    for mode in CHANNEL_MODES
}
_OTHERS = (
    "gaussian_noise",
    "dp_pix",
    "pixelate",
    "gaussian_blur",
    "permute_blocks",
    "le",
    "ele",
    "pe",
    "etc",
    "csvar",
    "published_vmix",
)

METHODS = Registry(
    "vmixjax.methods",
    Method,
    _MIXING | {name: f"vmixjax.methods.{name}:METHOD" for name in _OTHERS},
)
"""All methods by name: mixing by each channel mode, then the others."""


def method_of(name: str) -> Method:
    """Finds the method of a name, whatever strength the name has.

    Args:
      name: `METHOD[:STRENGTH]`, as a user gave it to `--methods`.

    Returns:
      The method. Whether it has that strength for images of some (H, W, C), only
      `named` can tell.

    Raises:
      RunError: There is none of that name; the nearest names are in the message.

    References:
      Ours.
    """
    return METHODS.find("--methods", name.partition(":")[0], like=name)


def named(name: str, image_shape: tuple[int, ...]) -> Protection:
    """Makes a method by its name: `mix:REGION[/BLOCK]`, or `METHOD[:STRENGTH]`.

    `METHOD:match` has choices: that one counts from which a network learns as much
    as from the first method of an audit.

    Args:
      name: As a user gave it to `--methods`.
      image_shape: (H, W, C) of the images to protect.

    Returns:
      The method at that strength, under the name that it was given.

    Raises:
      RunError: There is none of that name, or it does not fit the images.

    References:
      Ours.
    """
    method, (_, _, strength) = method_of(name), name.partition(":")
    try:
        if strength == "match" and method.strengths:
            choices = method.choices(image_shape)
            return dataclasses.replace(choices[0], name=name, choices=choices)
        made = method.make(image_shape, strength)
    except (TypeError, ValueError) as error:
        raise RunError(f"--methods {name}: {error}") from error
    return dataclasses.replace(made, name=name)


__all__ = [
    "METHODS",
    "Keys",
    "Method",
    "Protect",
    "Protection",
    "csvar_plan",
    "dp_pix",
    "ele",
    "etc",
    "gaussian_blur",
    "gaussian_noise",
    "le",
    "method_of",
    "named",
    "noise_epsilon",
    "pe",
    "permute_blocks",
    "pixelate",
    "published_plan",
]

"""Which implementation of the shuffle runs on which platform.

Another one, such as a kernel, is a file beside this one and a line in the table. All
must give the same bytes, which `tests/golden.json` pins.
"""

import functools
from collections.abc import Callable
from typing import Protocol

import jax

from vmixjax._shuffle import at_once, chunks
from vmixjax.config import MixConfig


class Implementation(Protocol):
    """What the implementations have in common."""

    def __call__(
        self,
        key_data: jax.Array,
        images: jax.Array,
        levels: jax.Array,
        *,
        config: MixConfig,
        inverse: bool,
    ) -> jax.Array:
        """Shuffles the blocks of each region of a batch, or brings them back.

        It is called where a batch is traced, for every platform in the table, and may
        leave what it is not made for to `at_once.permute_images`.

        Args:
          key_data: uint32 (B, 2), the words of Threefry keys.
          images: unsigned integers (B, H, W, C).
          levels: uint8 (B, H // T, W // T).
          config: tile size T, ladder and channel mode.
          inverse: whether to undo the shuffle.

        Returns:
          Same shape and dtype as the images.
        """
        ...


IMPLEMENTATIONS: dict[str, Implementation] = {
    "cpu": chunks.permute_images,
}
"""By JAX's name of the platform, such as `"cuda"`, `"rocm"` or `"tpu"`."""

DEFAULT: Implementation = at_once.permute_images
"""Where the table has none."""


def permute_images(
    key_data: jax.Array,
    images: jax.Array,
    levels: jax.Array,
    *,
    config: MixConfig,
    inverse: bool,
) -> jax.Array:
    """Calls the implementation of the platform that the program will run on."""

    def of(
        implementation: Implementation,
    ) -> Callable[[jax.Array, jax.Array, jax.Array], jax.Array]:
        return functools.partial(implementation, config=config, inverse=inverse)

    return jax.lax.platform_dependent(
        key_data,
        images,
        levels,
        default=of(DEFAULT),
        **{platform: of(made) for platform, made in IMPLEMENTATIONS.items()},
    )

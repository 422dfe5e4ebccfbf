"""Which implementation of the shuffle runs on which platform.

Another one, such as a kernel, is a file beside `chunks.py` and a line in the table. It
is traced for batches of unsigned integers, whichever platform is there; what it is not
made for, it leaves to `at_once.permute_images`. All must give the same bytes.
"""

from collections.abc import Callable

import jax

from vmixjax._shuffle import at_once, chunks
from vmixjax._shuffle.apply import apply_stages
from vmixjax._shuffle.layout import Batch, TileRows
from vmixjax.config import MixConfig

Implementation = Callable[[Batch, MixConfig, bool], jax.Array]
"""From a batch, its config and whether to undo its shuffle, to images like its own."""

IMPLEMENTATIONS: dict[str, Implementation] = {"cpu": chunks.permute_images}
"""By JAX's name of the platform, such as `"cuda"`, `"rocm"` or `"tpu"`."""

DEFAULT: Implementation = at_once.permute_images
"""Where the table has none."""


def permute_images(batch: Batch, config: MixConfig, inverse: bool) -> jax.Array:
    """Calls the implementation of the platform that the program will run on."""

    def of(implementation: Implementation) -> Callable[[Batch], jax.Array]:
        return lambda batch: implementation(batch, config, inverse)

    table = {platform: of(made) for platform, made in IMPLEMENTATIONS.items()}
    return jax.lax.platform_dependent(batch, default=of(DEFAULT), **table)


def permute_rows(
    rows: TileRows, config: MixConfig, channels: int, inverse: bool
) -> jax.Array:
    """Applies the stages to rows of tiles as they lie, all at once."""

    def apply(materialized: bool) -> Callable[[TileRows], jax.Array]:
        return lambda rows: apply_stages(
            rows, config, channels, inverse=inverse, materialized=materialized
        )

    return jax.lax.platform_dependent(rows, cpu=apply(True), default=apply(False))

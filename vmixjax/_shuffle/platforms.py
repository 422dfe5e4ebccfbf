"""Which implementation of the shuffle runs on which platform.

Another one, such as a kernel, is a file beside `chunks.py` and a line in a table. It is
for arrays of unsigned integers, whichever platform is there; what it is not made for,
plain JAX does. All must give the same bytes.
"""

import importlib
import warnings
from collections.abc import Callable
from typing import Any

import jax
from jax.extend.core import Primitive
from jax.interpreters import mlir

from vmixjax._shuffle import at_once, chunks
from vmixjax._shuffle.apply import apply_stages
from vmixjax._shuffle.layout import Batch, TileRows, in_memory
from vmixjax._shuffle.words import can_pack
from vmixjax.config import MixConfig

_MOST_VALUES = 2**31  # counted in 32 bits
_MOST_BYTES = 4  # of a value

Implementation = Callable[..., jax.Array]
"""From a `Batch`, its config and whether to undo its shuffle, to images like its own.
Or from `TileRows`, with the number of channels before the latter, to their values.
"""


def _kernel(
    platform: str, path: str, plain: Implementation, *, exported: bool
) -> Implementation:
    """The kernel of a module, which is loaded and traced only where it is needed.

    That is where a program is made for its platform: elsewhere, nobody waits for it.
    There it is known, too, for how many devices.

    Args:
      platform: Where it runs.
      path: Its module and its name there.
      plain: What does the same in plain JAX.
      exported: Whether JAX exports such kernels: it does if later versions can still
        run them.
    """
    module, name = path.rsplit(".", 1)
    primitive = Primitive(f"{name}_{platform}")

    # What comes out is of the first array's own type, so of its sharding too.
    primitive.def_abstract_eval(lambda values, *_, **__: values)

    def lower(ctx: Any, *arrays: Any, **how: Any) -> Any:
        made = ctx.module_context
        exports = getattr(made.lowering_parameters, "for_export", True)
        if not _is_one_device(made.axis_context) or (exports and not exported):
            return lower_plainly(ctx, *arrays, **how)
        # Kernels have shapes and dtypes, and know of no mesh.
        bare = [jax.core.ShapedArray(x.shape, x.dtype) for x in ctx.avals_in]
        of_kernel = ctx.replace(avals_in=bare, avals_out=bare[:1])
        try:
            kernel = getattr(importlib.import_module(module), name)
            return _lowered(kernel)(of_kernel, *arrays, **how)
        except Exception as error:
            # Pallas is experimental: what it takes changes from version to version.
            warnings.warn(
                f"mixing without its kernel for {platform}, several times slower: JAX "
                f"{jax.__version__} does not take it ({type(error).__name__}: {error})",
                RuntimeWarning,
                stacklevel=2,
            )
            return lower_plainly(ctx, *arrays, **how)

    lower_plainly = _lowered(plain)
    mlir.register_lowering(primitive, lower, platform=platform)
    # Where a program is made for many platforms, JAX makes all for each.
    mlir.register_lowering(primitive, lower_plainly)

    def implementation(arrays: Batch | TileRows, config: MixConfig, *how: Any) -> Any:
        channels = arrays.images.shape[-1] if isinstance(arrays, Batch) else how[0]
        if not _is_for_kernels(arrays[0], config, channels):
            return plain(arrays, config, *how)
        return primitive.bind(*arrays, kind=type(arrays), how=(config, *how))

    return implementation


def _lowered(implementation: Implementation) -> Callable[..., Any]:
    """A rule by which a primitive becomes a program: what an implementation does."""

    def apply(*arrays: jax.Array, kind: Any, how: tuple[Any, ...]) -> jax.Array:
        return implementation(kind(*arrays), *how)

    lowered: Callable[..., Any] = mlir.lower_fun(apply, multiple_results=False)
    return lowered


def _is_for_kernels(values: jax.Array, config: MixConfig, channels: int) -> bool:
    """Whether kernels are made for such values."""
    return (
        all(isinstance(size, int) for size in values.shape)  # not a symbol
        and values.size < _MOST_VALUES
        and values.dtype.itemsize <= _MOST_BYTES
        and can_pack(config, channels)
        and not any(jax.typeof(values).sharding.spec)  # explicitly split
    )


def _is_one_device(context: Any) -> bool:
    """Whether a program is lowered for one device, or for each of many by itself.

    Nobody can split a kernel. What JAX tells of it is not in its public interface: what
    is not understood counts as many.
    """
    count = getattr(context, "num_devices", None)
    if count is not None:
        return bool(count == 1)
    names = getattr(getattr(context, "mesh", None), "axis_names", ())
    return bool(names) and frozenset(names) == getattr(context, "manual_axes", None)


def _rows_in_memory(
    rows: TileRows, config: MixConfig, channels: int, inverse: bool
) -> jax.Array:
    # In memory, or what is done to the result would compute it anew.
    return in_memory(
        apply_stages(rows, config, channels, inverse=inverse, materialized=True)
    )


def _rows_at_once(
    rows: TileRows, config: MixConfig, channels: int, inverse: bool
) -> jax.Array:
    return apply_stages(rows, config, channels, inverse=inverse, materialized=False)


IMAGES: dict[str, Implementation] = {
    "cpu": chunks.permute_images,
    "cuda": _kernel(
        "cuda",
        "vmixjax._shuffle.triton.permute_images",
        at_once.permute_images,
        exported=False,
    ),
    "tpu": _kernel(
        "tpu",
        "vmixjax._shuffle.mosaic.permute_images",
        at_once.permute_images,
        exported=True,
    ),
    "default": at_once.permute_images,
}
"""For a `Batch`, by JAX's name of the platform, such as `"cuda"`, `"rocm"`, `"tpu"`."""

ROWS: dict[str, Implementation] = {
    "cpu": _rows_in_memory,
    "cuda": _kernel(
        "cuda",
        "vmixjax._shuffle.triton.permute_rows",
        _rows_at_once,
        exported=False,
    ),
    "default": _rows_at_once,
}
"""For `TileRows`, likewise."""


def permute_images(batch: Batch, config: MixConfig, inverse: bool) -> jax.Array:
    """Calls the implementation of the platform that the program will run on."""
    return _of_platform(IMAGES, batch, config, inverse)


def permute_rows(
    rows: TileRows, config: MixConfig, channels: int, inverse: bool
) -> jax.Array:
    """As `permute_images`, for rows of tiles as they lie."""
    return _of_platform(ROWS, rows, config, channels, inverse)


def _of_platform(
    table: dict[str, Implementation], arrays: Batch | TileRows, *how: Any
) -> jax.Array:
    def of(implementation: Implementation) -> Implementation:
        return lambda arrays: implementation(arrays, *how)

    made = {platform: of(implementation) for platform, implementation in table.items()}
    result: jax.Array = jax.lax.platform_dependent(arrays, **made)
    return result

"""Which implementation of the shuffle runs on which platform.

Another one, such as a kernel, is a file beside `chunks.py` and a line in the table. It
is for batches of unsigned integers, whichever platform is there; what it is not made
for, `at_once.permute_images` does. All must give the same bytes.
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

Implementation = Callable[[Batch, MixConfig, bool], jax.Array]
"""From a batch, its config and whether to undo its shuffle, to images like its own."""


def _kernel(platform: str, module: str, *, exported: bool) -> Implementation:
    """The kernel of a module, which is loaded and traced only where it is needed.

    That is where a program is made for its platform: elsewhere, nobody waits for it.
    There it is known, too, for how many devices.

    Args:
      platform: Where it runs.
      module: Where its `permute_images` is.
      exported: Whether JAX exports such kernels: it does if later versions can still
        run them.
    """
    primitive = _primitive(platform)

    def lower(ctx: Any, *arrays: Any, **how: Any) -> Any:
        made = ctx.module_context
        exports = getattr(made.lowering_parameters, "for_export", True)
        if not _is_one_device(made.axis_context) or (exports and not exported):
            return lower_plainly(ctx, *arrays, **how)
        # Kernels have shapes and dtypes, and know of no mesh.
        bare = [jax.core.ShapedArray(x.shape, x.dtype) for x in ctx.avals_in]
        of_kernel = ctx.replace(avals_in=bare, avals_out=bare[:1])
        try:
            kernel = importlib.import_module(module).permute_images
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

    lower_plainly = _lowered(at_once.permute_images)
    mlir.register_lowering(primitive, lower, platform=platform)
    # Where a program is made for many platforms, JAX makes all for each.
    mlir.register_lowering(primitive, lower_plainly)

    return _bound(primitive, _is_for_kernels, DEFAULT)


def _traced_late(name: str, made: Implementation) -> Implementation:
    """An implementation that is traced only where a program is made with it.

    Of a platform that a program is not made for, nobody waits for it.
    """
    primitive = _primitive(name)
    mlir.register_lowering(primitive, _lowered(made))

    return _bound(primitive, _is_known_and_whole, made)


def _primitive(name: str) -> Primitive:
    """One that takes a batch's arrays and gives images like its own."""
    primitive = Primitive(f"shuffle_{name}")
    # Of the images' own type, so of their sharding too.
    primitive.def_abstract_eval(lambda images, *_, **__: images)
    # Not compiled, as under `jax.disable_jit`.
    primitive.def_impl(
        lambda *arrays, config, inverse: at_once.permute_images(
            Batch(*arrays), config, inverse
        )
    )
    return primitive


def _bound(
    primitive: Primitive,
    takes: Callable[[jax.Array, MixConfig], bool],
    otherwise: Implementation,
) -> Implementation:
    """Calls a primitive for the images that it takes, and for others something else."""

    def implementation(batch: Batch, config: MixConfig, inverse: bool) -> jax.Array:
        if not takes(batch.images, config):
            return otherwise(batch, config, inverse)
        mixed: jax.Array = primitive.bind(*batch, config=config, inverse=inverse)
        return mixed

    return implementation


def _lowered(implementation: Implementation) -> Callable[..., Any]:
    """A rule by which a primitive becomes a program: what an implementation does."""

    def permute_images(
        *arrays: jax.Array, config: MixConfig, inverse: bool
    ) -> jax.Array:
        return implementation(Batch(*arrays), config, inverse)

    lowered: Callable[..., Any] = mlir.lower_fun(permute_images, multiple_results=False)
    return lowered


def _is_for_kernels(images: jax.Array, config: MixConfig) -> bool:
    """Whether kernels are made for such images."""
    return (
        _is_known_and_whole(images, config)
        and images.size < _MOST_VALUES
        and images.dtype.itemsize <= _MOST_BYTES
        and can_pack(config, images.shape[-1])
    )


def _is_known_and_whole(images: jax.Array, _: MixConfig) -> bool:
    """Whether sizes are numbers, not symbols, and images not split explicitly."""
    known = all(isinstance(size, int) for size in images.shape)
    return known and not any(jax.typeof(images).sharding.spec)


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


DEFAULT: Implementation = _traced_late("anywhere", at_once.permute_images)
"""Where `IMPLEMENTATIONS` has none."""

IMPLEMENTATIONS: dict[str, Implementation] = {
    "cpu": _traced_late("cpu", chunks.permute_images),
    "cuda": _kernel("cuda", "vmixjax._shuffle.triton", exported=False),
    "tpu": _kernel("tpu", "vmixjax._shuffle.mosaic", exported=True),
}
"""By JAX's name of the platform, such as `"cuda"`, `"rocm"` or `"tpu"`."""


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

    def apply(rows: TileRows, materialized: bool) -> jax.Array:
        return apply_stages(
            rows, config, channels, inverse=inverse, materialized=materialized
        )

    return jax.lax.platform_dependent(
        rows,
        # In memory, or what is done to the result would compute it anew.
        cpu=lambda rows: in_memory(apply(rows, True)),
        # A kernel is there for GPUs. Releases, whose originals may be gone, wait until
        # its bytes have been seen on one.
        default=lambda rows: apply(rows, False),
    )

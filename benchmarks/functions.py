"""Our functions on one batch, ready to be timed."""

import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import vmixjax

CEILING = "x + 1, the ceiling"
Case = tuple[Callable[..., Any], tuple[Any, ...]]
"""A function of a batch, and its arguments."""

BATCH, SIDE, REGION = 256, 224, 16
ONE_LEVEL = vmixjax.MixConfig(REGION, ((REGION, 1),))
SETTING = f"{BATCH} x {SIDE} x {SIDE} x 3 uint8, regions of {REGION}"
"""What the functions are compared on."""

FIRST_CALLS = (
    (ONE_LEVEL, 224),
    (vmixjax.MixConfig(), 224),
    (vmixjax.MixConfig(channels="joint"), 224),
    (vmixjax.MixConfig(28, ((14, 2), (4, 2), (28, 1)), "joint"), 224),
    (vmixjax.MixConfig(224, ((224, 1),)), 224),
    (vmixjax.MixConfig(64, ((64, 1),)), 2048),
    (vmixjax.MixConfig(31, ((31, 1),)), 124),
    (vmixjax.MixConfig(251, ((251, 1),)), 251),
)
"""Configs, and sides of an image, whose first mix is timed."""


class Compiled(NamedTuple):
    """A function with its arguments.

    Attributes:
      run: runs it.
      first_call: seconds to trace and compile it.
      temporary: bytes of memory it needs beside arguments and results.
      moved: bytes of images and maps it must read and write.
      text: what it was compiled to.
    """

    run: Callable[[], Any]
    first_call: float
    temporary: int
    moved: int
    text: str


def compiled(function: Callable[..., Any], *arguments: Any) -> Compiled:
    """Compiles a function for its arguments."""
    jax.clear_caches()
    start = time.perf_counter()
    program = jax.jit(function).lower(*arguments).compile()
    seconds = time.perf_counter() - start
    memory: Any = program.memory_analysis()
    moved = memory.argument_size_in_bytes + memory.output_size_in_bytes
    return Compiled(
        functools.partial(program, *arguments),
        seconds,
        memory.temp_size_in_bytes,
        moved,
        program.as_text() or "",
    )


def images_of(batch: int, side: int, dtype: str) -> np.ndarray:
    """Noise, the same each time; floating images in [0, 1]."""
    noise = np.random.default_rng(0).integers(0, 256, (batch, side, side, 3), np.uint8)
    return noise if dtype == "uint8" else (noise / 255).astype(dtype)


def cases(images: np.ndarray, config: vmixjax.MixConfig) -> dict[str, Case]:
    """Each function of ours with its arguments, for a batch; the ceiling first."""
    batch, *shape = images.shape
    x = jnp.asarray(images)
    keys = jax.vmap(vmixjax.image_key, (None, 0))(jax.random.key(0), jnp.arange(batch))
    tile = config.tile_size

    def full(config: vmixjax.MixConfig) -> vmixjax.Plan:
        plan = vmixjax.full_plan(tuple(shape), config)
        return jax.tree.map(lambda x: jnp.broadcast_to(x, (batch, *x.shape)), plan)

    def ragged(config: vmixjax.MixConfig) -> vmixjax.Plan:
        plan = full(config)
        levels = np.random.default_rng(0).integers(
            1, len(config.ladder) + 1, plan.levels.shape, np.uint8
        )
        return vmixjax.Plan(
            jnp.asarray(levels), plan.expected_vfe, plan.reachable, config
        )

    def mode(channels: Any) -> vmixjax.MixConfig:
        return vmixjax.MixConfig(tile, config.ladder, channels)

    sizes = [s for s in (tile // 4, tile // 2, tile) if s > 1 and tile % s == 0]
    steps = vmixjax.MixConfig(tile, tuple((s, 1) for s in sizes))
    default = vmixjax.MixConfig()
    mix, unmix = jax.vmap(vmixjax.mix), jax.vmap(vmixjax.unmix)

    def one_plan(image: jax.Array, target: jax.Array) -> vmixjax.Plan:
        return vmixjax.plan(image, target, config)

    def plan_and_mix(key: jax.Array, image: jax.Array, target: jax.Array) -> jax.Array:
        return vmixjax.mix(key, image, one_plan(image, target))

    lowest, highest = vmixjax.vfe_range(x[0], config)
    targets = jnp.full(batch, (lowest + highest) / 2)
    calls: dict[str, Case] = {
        CEILING: (lambda x: x + np.ones((), images.dtype), (x,)),
        "mix": (mix, (keys, x, full(config))),
        "unmix": (unmix, (keys, x, full(config))),
        "mix, shared": (mix, (keys, x, full(mode("shared")))),
        "mix, joint": (mix, (keys, x, full(mode("joint")))),
        "mix, several levels, full": (mix, (keys, x, full(steps))),
        "mix, several levels, ragged": (mix, (keys, x, ragged(steps))),
        "vfe": (jax.vmap(lambda x: vmixjax.vfe(x, tile)), (x,)),
        "expected_vfe_map": (
            jax.vmap(lambda x: vmixjax.expected_vfe_map(x, config)),
            (x,),
        ),
        "plan": (jax.vmap(one_plan), (x, targets)),
        "plan + mix": (jax.vmap(plan_and_mix), (keys, x, targets)),
        "canonical": (jax.vmap(lambda x: vmixjax.canonical(x, tile)), (x,)),
    }
    if shape[0] % default.tile_size == 0:
        calls["mix, default ladder"] = (mix, (keys, x, full(default)))
    return calls


def ours(
    images: np.ndarray, config: vmixjax.MixConfig, names: tuple[str, ...] | None = None
) -> dict[str, Compiled]:
    """Each function of ours, compiled for a batch; the ceiling first."""
    return {
        name: compiled(function, *arguments)
        for name, (function, arguments) in cases(images, config).items()
        if names is None or name in names or name == CEILING
    }

"""The functions, and training steps, on the accelerator that is there.

Times are medians of runs in turn; the ceiling is `x + 1` on the same images, and a copy
of 2 GiB tells what the memory does. A run of a function is ten calls in a row: the next
are handed over while the device is at work, so that how long that takes, which is more
than `x + 1` itself does, is not counted.
"""

import functools
import platform
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import functions, hlo
from benchmarks.measure import Way, medians

TRAINING = (("resnet18", 32, 512, 4), ("resnet50", 224, 256, 16))
"""Models, sides of images, images in a step, regions."""

COPIED = 2**31
IN_A_ROW = 10


def in_a_row(way: Way) -> Way:
    """Calls several times; what the last gives is there when all are done."""

    def run() -> Any:
        for _ in range(IN_A_ROW - 1):
            way()
        return way()

    return run


def device() -> dict[str, str]:
    """What it is, and when."""
    one = jax.devices()[0]
    return {
        "device": f"{one.device_kind}, {jax.device_count()} of {one.platform}",
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "jax": jax.__version__,
        "date": time.strftime("%Y-%m-%d"),
    }


def copy_bandwidth() -> dict[str, Any]:
    """Bytes read and written in a second by a plain copy."""
    x = jnp.zeros(COPIED, jnp.uint8)
    copy = jax.jit(lambda x: x + np.uint8(1))
    seconds = medians({"copy": lambda: copy(x)}, times=20)["copy"]
    return {"GB per second": 2 * x.nbytes / seconds / 1e9}


def all_functions(only: list[str] | None) -> dict[str, Any]:
    """Each function on one batch, beside the ceiling."""
    images = functions.images_of(functions.BATCH, functions.SIDE, "uint8")
    names = None if only is None else tuple(only)
    ways = functions.ours(images, functions.ONE_LEVEL, names)
    runs = {name: in_a_row(way.run) for name, way in ways.items()}
    together = medians(runs, times=20, at_most=10)
    seconds = {name: taken / IN_A_ROW for name, taken in together.items()}
    ceiling = seconds[functions.CEILING]
    found = {}
    for name, taken in seconds.items():
        kernels = hlo.kernels(ways[name].text)
        moved = sum(kernel.times * kernel.moved.bytes for kernel in kernels)
        found[name] = {
            "milliseconds": 1e3 * taken,
            "images per second": len(images) / taken,
            "of ceiling": ceiling / taken,
            "first call in s": ways[name].first_call,
            "memory, of images": ways[name].temporary / images.nbytes,
            "kernels": sum(kernel.times for kernel in kernels),
            "GB per second": moved / taken / 1e9,
        }
    return found


def training_steps(model: str, side: int, batch: int, region: int) -> dict[str, Any]:
    """Steps on clean images and on mixed ones, as they are and by regions."""
    # The functions need less than training does.
    from benchmarks import training
    from train.config import Model

    config = training.of_model(Model(model), batch, region)
    return training.timed(config, (side, side, 3), 10, times=15, at_most=20)


def steps(
    tables: list[str], only: list[str] | None
) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """What is measured, in order: tables of functions, and of training steps."""
    yield "copy", copy_bandwidth
    if "functions" in tables:
        yield functions.SETTING, functools.partial(all_functions, only)
    for model, side, batch, region in TRAINING if "steps" in tables else ():
        yield (
            f"{model}, {batch} x {side} x {side} x 3, regions of {region}",
            functools.partial(training_steps, model, side, batch, region),
        )

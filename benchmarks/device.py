"""The functions, and training steps, on the accelerator that is there.

    python -m benchmarks.device --out device.json

Every step writes the file anew, so that a cut loses nothing. Times are medians of runs
in turn; the ceiling is x + 1 on the same images, and a plain copy tells what the memory
does.
"""

import argparse
import functools
import json
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import vmixjax
from benchmarks import functions, training
from benchmarks.measure import medians
from train.config import Model

BATCH, SIDE = 256, 224
CONFIG = vmixjax.MixConfig(16, ((16, 1),))
TRAINING = ((Model("resnet18"), 32, 512, 4), (Model("resnet50"), 224, 256, 16))


def copy_bandwidth() -> dict[str, Any]:
    """Bytes read and written in a second by a plain copy of 2 GiB."""
    x = jnp.zeros(2**31, jnp.uint8)
    copy = jax.jit(lambda x: x + np.uint8(1))
    seconds = medians({"copy": lambda: copy(x)}, times=20)["copy"]
    return {"GB per second": 2 * x.nbytes / seconds / 1e9}


def all_functions() -> dict[str, Any]:
    """Each function on one batch, beside the ceiling."""
    images = functions.images_of(BATCH, SIDE, "uint8")
    ways = functions.ours(images, CONFIG)
    seconds = medians({n: w.run for n, w in ways.items()}, times=30, at_most=10)
    ceiling = next(iter(seconds.values()))
    return {
        name: {
            "milliseconds": 1e3 * taken,
            "images per second": BATCH / taken,
            "of ceiling": ceiling / taken,
            "first call in s": ways[name].first_call,
            "memory, of images": ways[name].temporary / images.nbytes,
        }
        for name, taken in seconds.items()
    }


def training_steps(model: Model, side: int, batch: int, region: int) -> dict[str, Any]:
    """A step on clean images, on mixed ones, and on mixed ones by regions."""
    ways = training.steps(model, side, batch, region)
    seconds = medians(ways, times=15, at_most=20)
    return {
        name: {
            "milliseconds": 1e3 * taken,
            "images per second": batch / taken,
            "of clean": seconds["clean"] / taken,
        }
        for name, taken in seconds.items()
    }


def steps() -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """What is measured, in order."""
    yield "copy", copy_bandwidth
    yield f"{BATCH} x {SIDE} x {SIDE} x 3 uint8, regions of 16", all_functions
    for model, side, batch, region in TRAINING:
        yield (
            f"{model.name}, {batch} x {side} x {side} x 3, regions of {region}",
            functools.partial(training_steps, model, side, batch, region),
        )


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    device = jax.devices()[0]
    found: dict[str, Any] = {
        "device": f"{device.device_kind}, {jax.device_count()} of {device.platform}",
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "jax": jax.__version__,
        "date": time.strftime("%Y-%m-%d"),
    }
    print(", ".join(found.values()))
    for name, measure in steps():
        try:
            found[name] = measure()
        except Exception as error:  # One step must not cost the others.
            found[name] = {"failed": f"{type(error).__name__}: {error}"[:300]}
        print(name, json.dumps(found[name], indent=1))
        out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

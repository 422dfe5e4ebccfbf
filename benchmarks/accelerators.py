"""How fast vmixjax is on accelerators: those that are not there, and the one that is.

    python -m benchmarks.accelerators --out found.json

Compiles every public function for TPU v5e, TPU v6e and H100. That needs compilers
(`pip install libtpu 'jax[cuda12]'`), and no device. In what they compile to, bytes that
are read and written are counted (`hlo.py` beside this file): functions that move pixels
are bound by that, so bytes over those of `x + 1` say how many times longer than `x + 1`
they take at best.

    python -m benchmarks.accelerators --tables steps --out found.json

compiles training steps, clean and mixed, which takes minutes for each.

    python -m benchmarks.accelerators --here --out found.json

runs the same functions, and steps, on the device that is there, and times them.

Figures are written as soon as they are there, into what the file holds already.
"""

import argparse
import importlib.metadata
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import functions, here, hlo, tables, targets

TABLES = ("functions", "first", "steps")
SECONDS = ("s to trace", "s to compile", "CPU s of both")
FIRST = "a first mix of one image"


class Found:
    """What was found, in a file that is written anew whenever there is more."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        old = path is not None and path.exists() and path.stat().st_size
        self.values: dict[str, Any] = (
            json.loads(path.read_text()) if old and path else {}
        )

    def add(self, value: Any, *keys: str) -> None:
        """Puts a value under keys, one in the other, and writes the file."""
        here = self.values
        for key in keys[:-1]:
            here = here.setdefault(key, {})
        here[keys[-1]] = value
        if self.path:
            self.path.write_text(json.dumps(self.values, indent=1) + "\n")


def traffic(text: str, image: int) -> dict[str, Any]:
    """Counts what a compiled program does to memory, for images of so many bytes."""
    kernels = hlo.kernels(text)

    def count(which: Iterator[hlo.Kernel]) -> int:
        return sum(kernel.times for kernel in which)

    found: dict[str, Any] = {
        "kernels": count(iter(kernels)),
        "of image's size": count(k for k in kernels if 2 * k.touched >= image),
        "copies": count(k for k in kernels if k.opcode == "copy"),
        "bytes": sum(k.times * k.moved.bytes for k in kernels),
    }
    padded = sum(k.times * k.moved.padded for k in kernels)
    cycles = sum(k.times * k.cycles for k in kernels)
    if cycles or padded > found["bytes"]:
        found["bytes, padded"] = padded
    # A sum without what the kernels of Pallas take would say that they take nothing.
    if cycles and all(k.opcode != "tpu_custom_call" for k in kernels):
        found["estimated cycles"] = cycles
    if any(k.guessed for k in kernels):
        found["loops of unknown length"] = True
    return found


def counted(program: targets.Program, image: int) -> dict[str, Any]:
    """All that is known of a compiled program, as plain figures."""
    memory = program.memory
    found = traffic(program.text, image) | {
        "temporary bytes": memory.temp_size_in_bytes,
        "argument bytes": memory.argument_size_in_bytes,
        "result bytes": memory.output_size_in_bytes - memory.alias_size_in_bytes,
        "s to trace": round(program.trace, 2),
        "s to compile": round(program.compile, 2),
        "CPU s of both": round(program.cpu, 2),
    }
    told = {"flops": program.flops, "bytes by XLA": program.accessed}
    return found | {key: value for key, value in told.items() if value is not None}


def in_functions(
    name: str, only: list[str] | None, show: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Compiles the functions for one target, the ceiling first; yields figures."""
    images = functions.images_of(functions.BATCH, functions.SIDE, "uint8")
    place = targets.copied(targets.mesh(name))
    for title, (function, arguments) in functions.cases(
        images, functions.ONE_LEVEL
    ).items():
        if only and title not in only and title != functions.CEILING:
            continue
        program = targets.compiled_at(place, function, *arguments)
        yield title, counted(program, images.nbytes)
        if show:
            list_kernels(f"{title}, {name}", program.text, images.nbytes)


def in_first_calls(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Compiles a first mix of one image, for several configs."""
    place = targets.copied(targets.mesh(name))
    for config, side in functions.FIRST_CALLS:
        images = functions.images_of(1, side, "uint8")
        function, arguments = functions.cases(images, config)["mix"]
        program = targets.compiled_at(place, function, *arguments)
        figures = counted(program, images.nbytes)
        sizes = " ".join(f"{region}:{block}" for region, block in config.ladder)
        title = f"{side} x {side}, tile {config.tile_size}, {sizes}, {config.channels}"
        yield title, {k: v for k, v in figures.items() if k in SECONDS}


def in_steps(
    name: str, preset: str, only: list[str] | None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Compiles training steps of a preset for one target."""
    # The functions need less than training does.
    from benchmarks.presets import programs

    memory = targets.TARGETS[name].memory
    for title, (program, image) in programs(preset, name, only):
        found = counted(program, image)
        parts = ("argument bytes", "temporary bytes", "result bytes")
        yield title, found | {"of memory": sum(found[part] for part in parts) / memory}


def share_of_mixing(found: dict[str, dict[str, Any]]) -> None:
    """Adds to each step how much of it is mixing, in bytes, FLOPs and cycles.

    Mixing is what preparing mixed images takes beyond preparing clean ones.
    """
    for title, step in found.items():
        form = ", regions" if title.endswith(", regions") else ""
        pair = (f"inputs, mixed{form}", f"inputs, clean{form}")
        chips = int(titled[1]) if (titled := re.search(r"(\d+) chips", title)) else 1
        if title.startswith("step") and all(name in found for name in pair):
            mixed, clean = (found[name] for name in pair)
            # Of kernels of Pallas XLA knows neither FLOPs nor cycles.
            known = "estimated cycles" in mixed
            for key in ("bytes", *(("flops", "estimated cycles") if known else ())):
                if all(key in one for one in (step, mixed, clean)):
                    share = (mixed[key] - clean[key]) / chips / step[key]
                    step[f"mixing, of {key}"] = round(share, 5)


def as_step_rows(found: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of a table of programs of a preset."""
    return [
        {
            "program": title,
            "GB moved": one["bytes"] / 1e9,
            "GB, padded": one.get("bytes, padded", one["bytes"]) / 1e9,
            "GFLOP": one["flops"] / 1e9 if "flops" in one else None,
            "mixing, of bytes": one.get("mixing, of bytes"),
            "of flops": one.get("mixing, of flops"),
            "of cycles": one.get("mixing, of estimated cycles"),
            "arguments, GB": one["argument bytes"] / 1e9,
            "temporary, GB": one["temporary bytes"] / 1e9,
            "of memory": one["of memory"],
            "CPU s": one["CPU s of both"],
        }
        for title, one in found.items()
    ]


def list_kernels(title: str, text: str, image: int) -> None:
    """Prints what runs on arrays of at least a tenth of the images' size."""
    rows = [
        {
            "kernel": kernel.name,
            "what": kernel.opcode,
            "times": kernel.times,
            "read, of images": kernel.read.padded / image,
            "written": kernel.written.padded / image,
            "touched": kernel.touched / image,
            "cycles": kernel.cycles,
        }
        for kernel in hlo.kernels(text)
        if 10 * kernel.times * kernel.touched >= image
    ]
    tables.show(title, rows)


def as_rows(found: dict[str, dict[str, Any]], image: int) -> list[dict[str, Any]]:
    """Rows of a table: bytes and cycles over the ceiling's, memory over the images."""
    ceiling = found[functions.CEILING]
    rows = []
    for name, one in found.items():
        row = {key: one[key] for key in ("kernels", "of image's size", "copies")}
        row |= {
            f"{key}, of x + 1": one[key] / ceiling.get(key, ceiling["bytes"])
            for key in ("bytes", "bytes, padded", "estimated cycles")
            if key in one
        }
        row |= {
            "temporary, of images": one["temporary bytes"] / image,
            "arguments": one["argument bytes"] / image,
            "GFLOP": one["flops"] / 1e9 if "flops" in one else None,
            "first call in s": one["s to trace"] + one["s to compile"],
            "CPU s": one["CPU s of both"],
        }
        rows.append({"what": name} | row)
    return rows


def versions() -> dict[str, str]:
    """What compiles."""
    found = {}
    for package in ("jax", "libtpu", "jax-cuda12-plugin"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def compile_all(options: argparse.Namespace, found: Found) -> None:
    """Compiles what is asked for, for each target; prints and keeps it."""
    targets.without_devices()
    for package, version in versions().items():
        found.add(version, "compiled by", package)
    found.add(time.strftime("%Y-%m-%d"), "date")
    asked = options.tables or ["functions", "first"]
    for name in options.targets:
        title = targets.TARGETS[name].title
        if "functions" in asked:
            rows = {}
            for key, value in in_functions(name, options.only, options.kernels):
                rows[key] = value
                found.add(value, functions.SETTING, name, key)
            image = functions.BATCH * functions.SIDE**2 * 3
            tables.show(f"{title}: {functions.SETTING}", as_rows(rows, image))
        if "first" in asked:
            rows = {}
            for key, value in in_first_calls(name):
                rows[key] = value
                found.add(value, FIRST, name, key)
            tables.show(f"{title}: {FIRST}", [{"what": k} | v for k, v in rows.items()])
        for preset in options.presets if "steps" in asked else ():
            for key, value in in_steps(name, preset, options.only):
                found.add(value, "steps", preset, name, key)
            rows = found.values["steps"][preset][name]
            share_of_mixing(rows)
            found.add(rows, "steps", preset, name)
            tables.show(f"{title}: {preset}, each chip", as_step_rows(rows))


def measure_here(options: argparse.Namespace, found: Found) -> None:
    """Times what is asked for on the device that is there; prints and keeps it."""
    for key, word in here.device().items():
        found.add(word, key)
    print(", ".join(here.device().values()))
    asked = options.tables or ["functions", "steps"]
    for name, measure in here.steps(asked, options.only):
        try:
            figures = measure()
        except Exception as error:  # One step must not cost the others.
            figures = {"failed": f"{type(error).__name__}: {error}"[:300]}
        found.add(figures, name)
        print(name, json.dumps(figures, indent=1), flush=True)


def main() -> None:
    """Compiles or measures, prints and writes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="JSON file for all figures")
    parser.add_argument("--here", action="store_true", help="run on the device here")
    parser.add_argument(
        "--targets", nargs="+", choices=targets.TARGETS, default=list(targets.TARGETS)
    )
    parser.add_argument(
        "--tables",
        nargs="+",
        choices=TABLES,
        help="functions of a batch; first mixes of one image; training steps",
    )
    parser.add_argument(
        "--only", nargs="+", help="these functions, or programs of a step, alone"
    )
    parser.add_argument(
        "--presets",
        nargs="+",
        default=["cifar10", "imagenet100"],
        help="of train, whose steps are compiled",
    )
    parser.add_argument("--kernels", action="store_true", help="list large kernels")
    options = parser.parse_args()
    (measure_here if options.here else compile_all)(options, Found(options.out))


if __name__ == "__main__":
    main()

"""How fast vmixjax is, beside a plain copy and beside other ways to do the same.

    python -m benchmarks --out benchmarks.json

Run it on an idle machine. All ways run in turn, several times over; the tables give
medians, as ratios of one run: times differ from machine to machine and hour to hour,
ratios much less. What limits the figures is in `notes.md` beside this file.
"""

import dataclasses
import json
import platform
import sys
from pathlib import Path
from typing import Any

import jax
import tyro

import vmixjax
from benchmarks import folders, functions, peers, tables, training
from benchmarks.measure import medians
from benchmarks.photographs import megapixels, sizes_like_imagenet
from benchmarks.presets import LEARNED
from benchmarks.releases import CODECS, releases
from train.config import Model
from train.presets import PRESETS

REGION = functions.REGION
CONFIG = functions.ONE_LEVEL


@dataclasses.dataclass(frozen=True)
class Settings:
    """What to measure.

    Attributes:
      tables: which: the functions and their peers on one batch; time per pixel over
        sizes and regions; first calls; training steps; releases of photographs; the
        command line on folders of them, on one very large one, and on a first one;
        every function for every size, dtype, batch.
      batch: images of 224 x 224 x 3 in the first table.
      sizes: sides of the images in the grid.
      dtypes: dtypes in the grid.
      batches: batch sizes in the grid.
      most_values: larger batches in the grid are left out.
      photographs: photographs of many sizes in a release.
      folder: photographs of many sizes in a folder for the command line.
      panorama: megapixels of the very large photograph.
      times: rounds.
      out: where to write all figures as JSON.
    """

    tables: tuple[str, ...] = (
        "peers",
        "scaling",
        "first",
        "training",
        "release",
        "folders",
        "grid",
    )
    batch: int = 256
    sizes: tuple[int, ...] = (32, 224, 1024)
    dtypes: tuple[str, ...] = ("uint8", "float32")
    batches: tuple[int, ...] = (1, 32, 256)
    most_values: int = 1_000_000_000
    photographs: int = 1000
    folder: int = 200
    panorama: int = 100
    times: int = 9
    out: Path | None = None


def beside_peers(settings: Settings) -> list[dict[str, Any]]:
    """All functions and all peers on one batch."""
    images = functions.images_of(settings.batch, 224, "uint8")
    ours = functions.ours(images, CONFIG)
    ways = {name: one.run for name, one in ours.items()}
    ways |= peers.peers(images, REGION)
    seconds = medians(ways, times=settings.times)
    return [
        {
            "way": name,
            "images per second": settings.batch / taken,
            "of ceiling": seconds[functions.CEILING] / taken,
            "mix is faster by": taken / seconds["mix"],
            **(_costs(ours[name], images.nbytes) if name in ours else {}),
        }
        for name, taken in seconds.items()
    ]


def scaling(settings: Settings) -> list[dict[str, Any]]:
    """Mixing as many pixels in images of other sizes, and in regions of other sizes."""
    pixels = 256 * 224 * 224
    ways = {}
    for side in (32, 64, 128, 256, 512, 1024, 2048):
        images = functions.images_of(max(1, round(pixels / side**2)), side, "uint8")
        mix = functions.ours(images, CONFIG, ("mix",))["mix"]
        ways[f"{side} x {side}, region 16", images.size] = mix.run
    images = functions.images_of(pixels // 256**2, 256, "uint8")
    for region in (8, 32, 64):
        config = vmixjax.MixConfig(region, ((region, 1),))
        mix = functions.ours(images, config, ("mix",))["mix"]
        ways[f"256 x 256, region {region}", images.size] = mix.run
    taken = medians({name: ways[name, n] for name, n in ways}, times=settings.times)
    each = {name: taken[name] / n for name, n in ways}
    least = min(each.values())
    return [
        {"images": name, "ns per value": one * 1e9, "of the fastest": one / least}
        for name, one in each.items()
    ]


def first_calls(_: Settings) -> list[dict[str, Any]]:
    """Seconds until a first mix of one image, compiling included."""
    rows = []
    for config, side in functions.FIRST_CALLS:
        images = functions.images_of(1, side, "uint8")
        mix = functions.ours(images, config, ("mix",))["mix"]
        rows.append({"config": str(config), "first call in s": mix.first_call})
    return rows


def in_training(settings: Settings) -> list[dict[str, Any]]:
    """Training steps on clean images and on mixed ones: classes, boxes and masks."""
    if jax.default_backend() == "cpu":
        model, side, batch, region = Model("resnet18"), 32, 32, 4
    else:
        model, side, batch, region = Model("resnet50"), 224, 128, 16
    shape = (side, side, 3)
    cases = {model.name: (training.of_model(model, batch, region), shape, 10)}
    cases |= {name: (PRESETS[name], *LEARNED[name]) for name in ("bccd", "camvid")}
    found: list[dict[str, Any]] = []
    for name, (config, shape, classes) in cases.items():
        rows = training.timed(config, shape, classes, times=settings.times, at_most=120)
        count, sides = config.batch_size, f"{shape[0]} x {shape[1]}"
        found += [
            {"step": f"{name}, {count} of {sides}, {title}", **row}
            for title, row in rows.items()
        ]
    return found


def in_releases(settings: Settings) -> list[dict[str, Any]]:
    """Photographs of many sizes, released, and only decoded and encoded."""
    sizes = sizes_like_imagenet(settings.photographs)
    with releases(sizes) as (ways, tidy):
        seconds = medians(ways, times=min(settings.times, 5), at_most=60, tidy=tidy)
    return [
        {
            "way": name,
            "images per second": len(sizes) / taken,
            "megapixels per second": megapixels(sizes) / taken,
            **{f"of {codec}": seconds[codec] / taken for codec in CODECS},
        }
        for name, taken in seconds.items()
    ]


def in_folders(settings: Settings) -> list[dict[str, Any]]:
    """The command line, each command in a process of its own."""
    times = min(settings.times, 3)
    return [
        *folders.of_many_sizes(sizes_like_imagenet(settings.folder), times=times),
        *folders.of_a_panorama(settings.panorama, times=times),
        *folders.of_first_answers(times=times),
    ]


def grid(settings: Settings) -> list[dict[str, Any]]:
    """Every function for every size, dtype and batch, of the ceiling."""
    rows = []
    for side in settings.sizes:
        for dtype in settings.dtypes:
            for batch in settings.batches:
                if batch * side**2 * 3 > settings.most_values:
                    continue
                images = functions.images_of(batch, side, dtype)
                ours = functions.ours(images, CONFIG)
                ways = {name: one.run for name, one in ours.items()}
                seconds = medians(ways, times=min(settings.times, 5), at_most=5)
                for name, taken in seconds.items():
                    row = {
                        "way": name,
                        "images": f"{batch} x {side}^2 {dtype}",
                        "of ceiling": seconds[functions.CEILING] / taken,
                        "images per second": batch / taken,
                        **_costs(ours[name], images.nbytes),
                    }
                    rows.append(row)
                tables.show(f"{batch} x {side}^2 {dtype}", rows[-len(seconds) :])
    return rows


def _costs(one: functions.Compiled, size: int) -> dict[str, float]:
    return {
        "first call in s": one.first_call,
        "memory, of images": one.temporary / size,
        "bytes, of ceiling": one.moved / (2 * size),
    }


def main() -> None:
    """Measures what is asked for, prints the tables, writes the JSON."""
    settings = tyro.cli(Settings, description=__doc__)
    ways = {
        "peers": beside_peers,
        "scaling": scaling,
        "first": first_calls,
        "training": in_training,
        "release": in_releases,
        "folders": in_folders,
        "grid": grid,
    }
    unknown = set(settings.tables) - set(ways)
    if unknown:
        sys.exit(f"--tables has {sorted(unknown)}; choose from {list(ways)}")
    device = jax.devices()[0]
    found: dict[str, Any] = {
        "device": f"{device.device_kind}, {jax.device_count()} of {device.platform}",
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "jax": jax.__version__,
    }
    print(", ".join(found.values()))
    for name in settings.tables:
        found[name] = ways[name](settings)
        if name != "grid":
            tables.show(name, found[name])
        if settings.out:
            settings.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

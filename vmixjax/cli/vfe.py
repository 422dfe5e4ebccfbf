"""`vmixjax vfe`: sizes of images, their VFE, and the range that mixing can reach."""

import dataclasses
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from vmixjax.cli.options import mix_config, status
from vmixjax.command_line import Command, printable
from vmixjax.config import MixConfig
from vmixjax.errors import RunError

if TYPE_CHECKING:
    from vmixjax.data.pixels import Fit
    from vmixjax.data.room import Claim
    from vmixjax.release.shards import Tell


@dataclasses.dataclass(frozen=True)
class Vfe:
    """Measure images: size, VFE, and the range that mixing can reach."""

    paths: Annotated[
        tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="PATH...")
    ]
    """Image files, or folders of them."""
    tile_size: int = 32
    """Side of a tile in pixels; VFE is taken per tile."""
    fit: Literal["pad", "crop"] = "pad"
    """What to do to images that are not whole tiles."""
    json: bool = False
    """Print JSON instead of a table."""


def run(options: Vfe) -> int:
    """Measures images; returns the exit status."""
    from vmixjax.release.progress import Progress

    config = mix_config(options.tile_size)
    paths = list(_files(options.paths))
    progress = Progress("measuring")
    with progress.of(len(paths)):
        rows = list(_measured(paths, config, options.fit, progress.tell))
    if options.json:
        print(json.dumps({"images": rows, "skipped": progress.skipped}, indent=1))
    elif rows:
        _table(rows)
    if not paths:
        raise RunError("no image to measure")
    return status(len(rows), len(progress.skipped))


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    from vmixjax.data.files import find_files

    for path in paths:
        root = path if path.is_dir() else path.parent
        yield from (root / name for name in find_files(path))


def _measured(
    paths: Sequence[Path],
    config: MixConfig,
    how: "Fit",
    tell: "Tell",
) -> Iterator[dict[str, Any]]:
    """Rows of the table, one for each image that can be measured, in their order."""
    from vmixjax.data.codecs.images import read_image
    from vmixjax.data.example import Example
    from vmixjax.data.pixels import fit
    from vmixjax.data.writing import Shard
    from vmixjax.release.batches import measure_images
    from vmixjax.release.reading import read_windows, start_threads
    from vmixjax.release.transforms import Task

    def read(index: int, claim: "Claim") -> Task:
        name = str(paths[index])
        image = read_image(paths[index], claim=claim)
        fitted = fit(image, config.tile_size, how, name)
        return Task(index, Example(name, "", "", image), name, fitted)

    everything = Shard("", 0, 1, 0, len(paths), len(paths))
    with start_threads() as threads:
        for tasks in read_windows(
            everything, read, threads, lambda error: tell(1, error)
        ):
            images = [task.prepared for task in tasks]
            measured = measure_images(images, config, threads.codec)
            for task, figures in zip(tasks, measured, strict=True):
                height, width, channels = task.example.image.shape
                size = {"height": height, "width": width, "channels": channels}
                yield {"path": task.output, **size, **figures._asdict()}
                tell(1, None)


def _table(rows: Iterable[dict[str, Any]]) -> None:
    """Columns as wide as they need to be; numbers to the right."""
    lines: list[tuple[str, ...]] = [("image", "size", "VFE", "mixed, from", "to")]
    for row in rows:
        size = f"{row['height']} x {row['width']} x {row['channels']}"
        vfe, *reach = (f"{row[name]:.2f}" for name in ("vfe", "lowest", "highest"))
        lines.append((printable(row["path"]), size, vfe, *reach))
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for line in lines:
        cells = [line[0].ljust(widths[0])]
        cells += [cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True)]
        print("  ".join(cells).rstrip())


COMMAND = Command(Vfe, "vmixjax vfe holiday/*.jpg --tile-size 16", run)

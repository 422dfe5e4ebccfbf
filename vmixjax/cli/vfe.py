"""`vmixjax vfe`: sizes of images, their VFE, and the range that mixing can reach."""

import dataclasses
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from vmixjax.cli.options import mix_config, status
from vmixjax.command_line import Command, printable
from vmixjax.config import MixConfig
from vmixjax.errors import RunError


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
    from vmixjax.errors import ImageError
    from vmixjax.release.progress import Progress

    config = mix_config(options.tile_size)
    paths = list(_files(options.paths))
    rows: list[dict[str, Any]] = []
    progress = Progress("measuring")
    with progress.of(len(paths)):
        for path in paths:
            try:
                rows.append(_measured(path, config, options.fit))
                progress.tell(1, None)
            except ImageError as error:
                progress.tell(1, error)
    if options.json:
        print(json.dumps({"images": rows, "skipped": progress.skipped}, indent=1))
    elif rows:
        _table(("image", "size", "VFE", "mixed, from", "to"), map(_cells, rows))
    if not paths:
        raise RunError("no image to measure")
    return status(len(rows), len(progress.skipped))


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    from vmixjax.data.files import find_files

    for path in paths:
        root = path if path.is_dir() else path.parent
        yield from (root / name for name in find_files(path))


def _measured(
    path: Path, config: MixConfig, fit: Literal["pad", "crop"]
) -> dict[str, Any]:
    from vmixjax.data.codecs.images import read_image
    from vmixjax.entropy import vfe
    from vmixjax.planning import vfe_range
    from vmixjax.release.recipe import fit_image

    image = read_image(path)
    fitted = fit_image(str(path), image, config.tile_size, fit)
    lowest, highest = map(float, vfe_range(fitted, config))
    height, width, channels = image.shape
    return {
        "path": str(path),
        "height": height,
        "width": width,
        "channels": channels,
        "vfe": float(vfe(fitted, config.tile_size)),
        "lowest": lowest,
        "highest": highest,
    }


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    size = f"{row['height']} x {row['width']} x {row['channels']}"
    numbers = (f"{row[name]:.2f}" for name in ("vfe", "lowest", "highest"))
    return row["path"], size, *numbers


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """Columns as wide as they need to be; numbers to the right."""
    lines = [head, *([printable(cell) for cell in row] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    for line in lines:
        cells = [line[0].ljust(widths[0])]
        cells += [cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True)]
        print("  ".join(cells).rstrip())


COMMAND = Command(Vfe, "vmixjax vfe holiday/*.jpg --tile-size 16", run)

"""The `vmixjax` command: measure, mix, restore, and the demo.

The edge of the package: what is heavy is imported where it is used, so that help and
complaints come at once; errors are one line on standard error, results go to
standard output.
"""

import contextlib
import dataclasses
import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from vmixjax.config import Channels, MixConfig

if TYPE_CHECKING:
    from vmixjax.release.folder import Job, Mixed
    from vmixjax.release.vault import Vault

DONE, SOME_SKIPPED, REFUSED, INTERRUPTED = 0, 1, 2, 130
"""Exit statuses: all done; some files skipped; nothing or not all tried; Ctrl-C."""

_Paths = Annotated[
    tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="PATH...")
]
_Src = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SRC")]
_Dst = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DST")]


def _optional(metavar: str, unset: str) -> object:
    """How help shows an option that may be left out, and what happens then."""
    return tyro.conf.arg(metavar=metavar, help_behavior_hint=f"(default: {unset})")


@dataclasses.dataclass(frozen=True)
class Vfe:
    """Measure images: size, VFE, and the range that mixing can reach.

    Example: vmixjax vfe holiday/*.jpg --tile-size 16
    """

    paths: _Paths
    """Image files, or folders of them."""
    tile_size: int = 32
    """Side of a tile in pixels; VFE is taken per tile."""
    fit: Literal["pad", "crop"] = "pad"
    """What to do to images that are not whole tiles."""
    json: bool = False
    """Print JSON instead of a table."""


@dataclasses.dataclass(frozen=True)
class Mix:
    """Mix images so that it is hard to recognise what they show.

    Writes PNG files, without any metadata of the originals. Without --vault nobody
    can undo the mixing; with it, you can, and so can whoever gets hold of the vault.
    This is obfuscation, not encryption: the mean colour of each region remains.

    Example: vmixjax mix photos mixed --vault ~/photos-vault
    """

    src: _Src
    """An image file, or a folder that is walked with its subfolders."""
    dst: _Dst
    """Folder to write to; the folder structure of SRC is kept."""
    strength: Annotated[float | None, _optional("S", "1.0")] = None
    """0 to 1, a place in each image's range of VFE; 0 still mixes every tile."""
    target_vfe: Annotated[float | None, _optional("VFE", "by --strength")] = None
    """The VFE to reach, the same for all images; instead of --strength."""
    tile_size: int = 32
    """Side of a tile in pixels."""
    ladder: Annotated[
        tuple[str, ...] | None,
        _optional("REGION:BLOCK...", "8:2 8:1 16:1 32:1, as far as tiles allow"),
    ] = None
    """Levels of mixing, weakest first: sizes of regions and blocks in pixels."""
    channels: Channels = "independent"
    """Whether colours part ways, pixels keep theirs, or values change channels."""
    fit: Literal["pad", "crop"] = "pad"
    """Images that are not whole tiles: repeat the last row and column, or cut off."""
    sensitivity: Annotated[Path | None, _optional("DIR", "all is private")] = None
    """Folder of grey masks, named as the images; black tiles stay as they are."""
    vault: Annotated[Path | None, _optional("DIR", "the secret is forgotten")] = None
    """Folder that will hold what undoes the mixing. Never hand it out."""
    overwrite: bool = False
    """Replace files in DST."""
    strict: bool = False
    """Stop at the first file that cannot be mixed, instead of skipping it."""
    json: bool = False
    """Print JSON instead of a table."""


@dataclasses.dataclass(frozen=True)
class Unmix:
    """Restore mixed images, exactly, with the vault of their mixing.

    Example: vmixjax unmix mixed restored --vault ~/photos-vault
    """

    src: _Src
    """A mixed image file, or a folder of them."""
    dst: _Dst
    """Folder to write to."""
    vault: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """The folder that was given to vmixjax mix --vault."""
    overwrite: bool = False
    """Replace files in DST."""
    strict: bool = False
    """Stop at the first file that cannot be restored, instead of skipping it."""


@dataclasses.dataclass(frozen=True)
class Demo:
    """See it work, offline: photographs mixed at three strengths, a model trained.

    Example: vmixjax demo --out demo
    """

    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("vmixjax-demo")
    """Folder for report.html."""


_Command = (
    Annotated[Vfe, tyro.conf.subcommand("vfe")]
    | Annotated[Mix, tyro.conf.subcommand("mix")]
    | Annotated[Unmix, tyro.conf.subcommand("unmix")]
    | Annotated[Demo, tyro.conf.subcommand("demo")]
)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    command = tyro.cli(
        _Command,
        args=arguments,
        prog="vmixjax",
        description="VisualMixer: images that networks can train on and people "
        "cannot recognise.",
        config=(tyro.conf.FlagCreatePairsOff,),
    )
    run = {Vfe: _vfe, Mix: _mix, Unmix: _unmix, Demo: _demo}[type(command)]
    try:
        return run(command)  # type: ignore[operator]
    except _Refusal as refusal:
        return _complain(str(refusal))
    except KeyboardInterrupt:
        _complain("interrupted; every file that was written is whole")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough; flushing it at exit must not fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return REFUSED
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _complain(f"{where}{error.strerror or error}")


class _Refusal(Exception):
    """Ends a run with one line."""


def _complain(line: str) -> int:
    print(f"vmixjax: {line}", file=sys.stderr)
    return REFUSED


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """Turns what a run cannot go on from into one line."""
    from vmixjax.release.folder import RunError
    from vmixjax.release.vault import VaultError

    try:
        yield
    except (RunError, VaultError) as error:
        raise _Refusal(str(error)) from error


def _config(
    tile_size: int, ladder: Iterable[str] | None, channels: Channels
) -> MixConfig:
    """A config from options; errors name the option."""
    try:
        if ladder is None:
            # The standard ladder as far as it fits, up to a whole tile.
            rungs = [r for r in MixConfig.ladder if tile_size % r[0] == 0]
            if (tile_size, 1) not in rungs:
                rungs.append((tile_size, 1))
        else:
            rungs = [_rung(text) for text in ladder]
        return MixConfig(tile_size, tuple(rungs), channels)
    except (TypeError, ValueError, ZeroDivisionError) as error:
        if tile_size < 2:
            raise _Refusal(f"--tile-size must be 2 or more; got {tile_size}") from error
        raise _Refusal(f"--tile-size {tile_size}, --ladder: {error}") from error


def _rung(text: str) -> tuple[int, int]:
    region, colon, block = text.partition(":")
    if not (colon and region.isdecimal() and block.isdecimal()):
        raise ValueError(f"{text!r} is not REGION:BLOCK, such as 16:1")
    return int(region), int(block)


@dataclasses.dataclass
class _Tally:
    """What became of the files of a run."""

    done: int = 0
    skipped: list[dict[str, str]] = dataclasses.field(default_factory=list)

    @property
    def status(self) -> int:
        return SOME_SKIPPED if self.skipped else DONE


def _each(
    jobs: Sequence[tuple[Path, Callable[[], object]]], title: str, strict: bool = False
) -> _Tally:
    """Runs jobs under a progress bar; files that cannot be used are named, skipped."""
    from tqdm import tqdm

    from vmixjax.release.images import ImageError

    tally = _Tally()
    for path, job in tqdm(jobs, desc=title, unit="image", disable=len(jobs) < 2):
        try:
            job()
            tally.done += 1
        except ImageError as error:
            tqdm.write(f"vmixjax: skipped: {error}", file=sys.stderr)
            tally.skipped.append({"source": str(path), "why": str(error)})
            if strict:
                break
    return tally


def _vfe(options: Vfe) -> int:
    from vmixjax.entropy import vfe
    from vmixjax.planning import vfe_range
    from vmixjax.release.files import find_files
    from vmixjax.release.folder import fit_image
    from vmixjax.release.images import read_image

    config = _config(options.tile_size, None, "independent")
    rows: list[dict[str, object]] = []

    def measure(path: Path) -> None:
        image = read_image(path)
        fitted = fit_image(path, image, config.tile_size, options.fit)
        lowest, highest = map(float, vfe_range(fitted, config))
        rows.append(
            {
                "path": str(path),
                "height": image.shape[0],
                "width": image.shape[1],
                "channels": image.shape[2],
                "vfe": float(vfe(fitted, config.tile_size)),
                "lowest": lowest,
                "highest": highest,
            }
        )

    paths = []
    for path in options.paths:
        root = path if path.is_dir() else path.parent
        paths += [root / name for name in find_files(path)]
    tally = _each([(path, partial(measure, path)) for path in paths], "measuring")
    if options.json:
        print(json.dumps({"images": rows, "skipped": tally.skipped}, indent=1))
    elif rows:
        _table(
            ("image", "size", "VFE", "mixed, from", "to"),
            [
                (
                    row["path"],
                    f"{row['height']} x {row['width']} x {row['channels']}",
                    *(f"{row[name]:.2f}" for name in ("vfe", "lowest", "highest")),
                )
                for row in rows
            ],
        )
    return _status(tally, "no image to measure")


def _mix(options: Mix) -> int:
    if options.strength is not None and options.target_vfe is not None:
        raise _Refusal("--strength and --target-vfe exclude each other; give one")
    strength = 1.0 if options.strength is None else options.strength
    if not 0 <= strength <= 1:
        raise _Refusal(f"--strength must be 0 to 1; got {strength}")
    target = options.target_vfe
    if target is not None and not 0 <= target < math.inf:
        raise _Refusal(f"--target-vfe must be a number of at least 0; got {target}")
    config = _config(options.tile_size, options.ladder, options.channels)
    if options.sensitivity is not None and not options.sensitivity.is_dir():
        raise _Refusal(f"--sensitivity {options.sensitivity} is not a folder of masks")

    from vmixjax.release.files import is_inside
    from vmixjax.release.folder import Recipe, list_jobs, mix_file

    if options.vault is not None and is_inside(options.vault, options.dst):
        raise _Refusal(
            f"--vault {options.vault} lies inside DST {options.dst}, and would be "
            f"handed out with it; name a folder elsewhere"
        )
    recipe = Recipe(config, options.fit, strength, target, options.sensitivity)
    results: list[Mixed] = []

    def work(job: "Job", secret: bytes, vault: "Vault | None") -> None:
        results.append(mix_file(job, recipe, secret, vault))

    with _refusals():
        jobs = list_jobs(options.src, options.dst, overwrite=options.overwrite)
        if not jobs:
            raise _Refusal(f"SRC {options.src} holds no files")
        with _secret(options.vault) as (secret, vault):
            tally = _each(
                [(job.source, partial(work, job, secret, vault)) for job in jobs],
                "mixing",
                options.strict,
            )
    if options.json:
        images = [dataclasses.asdict(result) for result in results]
        for image in images:
            # JSON has no infinity.
            if math.isinf(image["target_vfe"]):
                image["target_vfe"] = None
        print(json.dumps({"images": images, "skipped": tally.skipped}, indent=1))
    elif results:
        _summary(results)
    return _status(tally, "no image was mixed")


@contextlib.contextmanager
def _secret(folder: Path | None) -> "Iterator[tuple[bytes, Vault | None]]":
    """The secret of a vault, or one that is forgotten when the run ends."""
    from vmixjax.release.keys import new_secret
    from vmixjax.release.vault import open_vault

    if folder is None:
        yield new_secret(), None
        return
    with open_vault(folder, create=True) as vault:
        yield vault.secret, vault


def _summary(results: "list[Mixed]") -> None:
    _table(
        ("image", "size", "VFE before", "after", "asked for"),
        [
            (
                result.output,
                f"{result.height} x {result.width} x {result.channels}",
                f"{result.vfe_before:.2f}",
                f"{result.vfe_after:.2f}",
                "strongest"
                if math.isinf(result.target_vfe)
                else f"{result.target_vfe:.2f}"
                + ("" if result.reachable else ", out of reach"),
            )
            for result in results
        ],
    )
    count = len(results)
    before = sum(result.vfe_before for result in results) / count
    after = sum(result.vfe_after for result in results) / count
    print(f"{count} mixed; mean VFE {before:.2f} before, {after:.2f} after")
    clear = sum(result.clear_tiles > 0 for result in results)
    if clear:
        print(f"{clear} of them with tiles left as they are, as the masks say")


def _unmix(options: Unmix) -> int:
    from vmixjax.release.folder import list_jobs, unmix_file
    from vmixjax.release.vault import open_vault

    with _refusals():
        jobs = list_jobs(options.src, options.dst, overwrite=options.overwrite)
        with open_vault(options.vault) as vault:
            tally = _each(
                [(job.source, partial(unmix_file, job, vault)) for job in jobs],
                "restoring",
                options.strict,
            )
    print(f"{tally.done} restored")
    return _status(tally, "no image was restored")


def _demo(options: Demo) -> int:
    from vmixjax.demo import run_demo

    options.out.mkdir(parents=True, exist_ok=True)
    print(run_demo(options.out).summary)
    return DONE


def _status(tally: _Tally, nothing: str) -> int:
    if tally.skipped:
        count = len(tally.skipped)
        print(
            f"vmixjax: {count} file{'s' if count > 1 else ''} skipped, "
            f"{tally.done} done",
            file=sys.stderr,
        )
    elif not tally.done:
        return _complain(nothing)
    return tally.status


def _table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    """Columns as wide as they need to be; numbers to the right."""
    lines = [head, *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    for line in lines:
        cells = [line[0].ljust(widths[0])]
        cells += [cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True)]
        print("  ".join(cells).rstrip())


if __name__ == "__main__":
    sys.exit(main())

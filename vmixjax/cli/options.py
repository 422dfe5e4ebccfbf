"""Options that commands share, and what they mean."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, TypeAlias

import tyro

from vmixjax.command_line import DONE, SOME_SKIPPED
from vmixjax.config import Channels, MixConfig
from vmixjax.errors import RunError


def optional(metavar: str, unset: str, *, help: str | None = None) -> object:
    """Says how help shows an option that may be left out, and what happens then."""
    return tyro.conf.arg(
        metavar=metavar, help=help, help_behavior_hint=f"(default: {unset})"
    )


Destination: TypeAlias = Annotated[
    Path, tyro.conf.Positional, tyro.conf.arg(metavar="DST")
]
DataDir: TypeAlias = Annotated[str | None, optional("DIR", "where TFDS looks")]
FollowLinks: TypeAlias = Annotated[tuple[Path, ...], optional("DIR...", "none")]
Image: TypeAlias = Annotated[str | None, optional("FIELD", "image, or what is one")]
PassphraseFile: TypeAlias = Annotated[Path | None, optional("FILE", "none")]
Splits: TypeAlias = Annotated[tuple[str, ...], optional("SPLIT...", "all")]
Workers: TypeAlias = Annotated[int | None, optional("N", "one for each processor")]


def check_workers(workers: int | None) -> None:
    """Refuses numbers of threads that make no sense.

    Raises:
      RunError: It is less than 1.
    """
    if workers is not None and workers < 1:
        raise RunError(f"--workers must be 1 or more; got {workers}")


def mix_config(
    tile_size: int,
    ladder: tuple[str, ...] | None = None,
    channels: Channels = "independent",
) -> MixConfig:
    """Makes a config of options.

    Args:
      tile_size: Side of a tile in pixels.
      ladder: `REGION:BLOCK` for each level, weakest first; None for the standard one
        as far as it fits, up to a whole tile.
      channels: Mode of the channels.

    Raises:
      RunError: They do not fit together; the option is named.
    """
    try:
        if ladder is None:
            rungs = [r for r in MixConfig.ladder if tile_size % r[0] == 0]
            if (tile_size, 1) not in rungs:
                rungs.append((tile_size, 1))
        else:
            rungs = [_rung(text) for text in ladder]
        return MixConfig(tile_size, tuple(rungs), channels)
    except (TypeError, ValueError, ZeroDivisionError) as error:
        if tile_size < 2:
            raise RunError(f"--tile-size must be 2 or more; got {tile_size}") from error
        raise RunError(f"--tile-size {tile_size}, --ladder: {error}") from error


def _rung(text: str) -> tuple[int, int]:
    region, colon, block = text.partition(":")
    if not (colon and region.isdecimal() and block.isdecimal()):
        raise ValueError(f"{text!r} is not REGION:BLOCK, such as 16:1")
    return int(region), int(block)


@contextlib.contextmanager
def errors_name(path: Path) -> Iterator[None]:
    """Makes errors of the operating system that name no file name this one."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or path
        raise


def status(done: int, skipped: int) -> int:
    """Gives the exit status, and says how many images were skipped, if any were."""
    if not skipped:
        return DONE
    images = f"{skipped} image{'s' if skipped > 1 else ''}"
    print(f"vmixjax: {images} skipped, {done} done", file=sys.stderr)
    return SOME_SKIPPED

"""The command line as users start it, each command in a process of its own.

On a folder of photographs of many sizes, beside as many pixels of one size; on one very
large photograph; and on a small one, until its first answer.
"""

import contextlib
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from benchmarks.fresh import Run, run_vmixjax
from benchmarks.photographs import Size, megapixels, write_photographs

_SIDE = 448
"""Of photographs of one size: whole tiles, and about the pixels of 500 x 375."""

_SMALL: Size = (375, 500)
"""What a first answer is about."""

_WIDE = 4
"""Width of a panorama, of its height."""

_TIMES = "s", "CPU s"
"""Columns that grow with the pixels."""


class Runner(Protocol):
    """What `run_vmixjax` does."""

    def __call__(self, *arguments: str | Path, cache: Path | None = None) -> Run:
        """Runs a command."""


Arguments = Callable[[Path, Path], tuple[str | Path, ...]]
"""Gives those of a command, for photographs and for a folder of results."""

_COMMANDS: dict[str, Arguments] = {
    "vfe": lambda photographs, _: ("vfe", photographs),
    "mix": lambda photographs, out: (
        *("mix", photographs, out / "mixed"),
        *("--vault", out / "vault"),
    ),
    "unmix": lambda _, out: (
        *("unmix", out / "mixed", out / "restored"),
        *("--vault", out / "vault"),
    ),
    "verify": lambda _, out: ("verify", out / "mixed", "--vault", out / "vault"),
}
"""Later ones take what `mix` wrote."""


def of_many_sizes(
    sizes: Sequence[Size], *, times: int, run: Runner = run_vmixjax
) -> list[dict[str, Any]]:
    """Runs every command on photographs of many sizes, and of one, in turn.

    Nothing is cached from one process to the next.

    Args:
      sizes: Sizes of the photographs; as many pixels have one size.
      times: Rounds.
      run: Runs the command line.
    """
    pixels = megapixels(sizes)
    same = [(_SIDE, _SIDE)] * max(1, round(pixels * 1e6 / _SIDE**2))
    kinds: dict[str, Sequence[Size]] = {"one": same, "many": sizes}
    runs: dict[tuple[str, str], list[Run]] = {
        (command, kind): [] for command in _COMMANDS for kind in kinds
    }
    with _folder() as root:
        for seed, kind in enumerate(kinds):
            write_photographs(root / kind, kinds[kind], seed=seed)
        for _ in range(times):
            with _folder() as results:
                for command, kind in runs:
                    (results / kind).mkdir(exist_ok=True)
                    given = _COMMANDS[command](root / kind, results / kind)
                    runs[command, kind].append(run(*given))
    rows = []
    for command in _COMMANDS:
        one, many = (
            _rated(_row(f"{command}, {_told(those)}", runs[command, kind]), those)
            for kind, those in kinds.items()
        )
        rates = (f"{time}/megapixel" for time in _TIMES)
        rows += [one, many | {f"{r}, of one size": many[r] / one[r] for r in rates}]
    return rows


def of_a_panorama(
    size: int, *, times: int, run: Runner = run_vmixjax
) -> list[dict[str, Any]]:
    """Mixes one photograph of so many megapixels; nothing is cached."""
    height = max(1, round((size * 1e6 / _WIDE) ** 0.5))
    runs = []
    with _folder() as root:
        (photograph,) = write_photographs(root / "one", [(height, _WIDE * height)])
        for _ in range(times):
            with _folder() as results:
                runs.append(run(*_COMMANDS["mix"](photograph, results)))
    name = f"mix, one of {height} x {_WIDE * height}"
    return [_rated(_row(name, runs), [(height, _WIDE * height)])]


def of_first_answers(*, times: int, run: Runner = run_vmixjax) -> list[dict[str, Any]]:
    """Measures and mixes one photograph: cold, with no cache yet, and then warm."""
    rows = []
    with _folder() as root:
        (photograph,) = write_photographs(root / "one", [_SMALL])
        for command in ("vfe", "mix"):
            runs: dict[str, list[Run]] = {"cold": [], "warm": []}
            for _ in range(times):
                with _folder() as results:
                    for name in runs:
                        given = _COMMANDS[command](photograph, results / name)
                        one = run(*given, cache=results / "cache")
                        runs[name].append(one)
            cold, warm = (_row(f"{command}, one, {n}", runs[n]) for n in runs)
            rows += [cold, warm | {"of cold": warm["s"] / cold["s"]}]
    return rows


def _told(sizes: Sequence[Size]) -> str:
    count = len(set(sizes))
    return f"{len(sizes)} of {count} size{'s' if count > 1 else ''}"


def _row(name: str, runs: Sequence[Run]) -> dict[str, Any]:
    """Medians of times; the most of what has a limit."""
    return {
        "command": name,
        "s": statistics.median(run.seconds for run in runs),
        "CPU s": statistics.median(run.cpu_seconds for run in runs),
        "peak MB": max(run.peak_bytes for run in runs) / 1e6,
        "compiled": max(run.compiled for run in runs),
    }


def _rated(row: dict[str, Any], sizes: Sequence[Size]) -> dict[str, Any]:
    """Adds the times by the pixels of photographs of these sizes."""
    pixels = megapixels(sizes)
    return row | {f"{time}/megapixel": row[time] / pixels for time in _TIMES}


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)

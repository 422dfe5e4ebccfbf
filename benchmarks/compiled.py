"""Prints the tables of `notes.md` that `compiled.json` stands behind.

python -m benchmarks.compiled
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import functions

TARGETS = {"h100": "H100", "v5e": "v5e", "v6e": "v6e"}
STORED = Path(__file__).with_name("compiled.json")
_IMAGES = functions.BATCH * functions.SIDE**2 * 3


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def of_functions(found: dict[str, Any]) -> Iterator[str]:
    """Bytes over those of the ceiling, kernels of the images' size, and memory."""
    by_target = [found[functions.SETTING].get(name, {}) for name in TARGETS]
    columns = [
        f"{title}: {what}"
        for what in ("bytes", "kernels", "memory")
        for title in TARGETS.values()
    ]
    yield _row("function", *columns)
    yield _row("---", *("---" for _ in columns))
    for name in by_target[0]:
        if name == functions.CEILING:
            continue
        cells = [
            _cells(rows[name], rows[functions.CEILING])
            if name in rows
            else ("", "", "")
            for rows in by_target
        ]
        yield _row(
            name, *(cell for column in zip(*cells, strict=True) for cell in column)
        )


def _cells(one: dict[str, Any], ceiling: dict[str, Any]) -> tuple[str, str, str]:
    return (
        f"{one['bytes'] / ceiling['bytes']:.1f}",
        str(one["of image's size"]),
        f"{one['temporary bytes'] / _IMAGES:.1f}",
    )


def of_steps(found: dict[str, Any]) -> Iterator[str]:
    """What each step moves, computes and needs, and how much of that is mixing."""
    columns = ("GB", "TFLOP", "mixing, of bytes", "of cycles", "memory, GB", "of all")
    yield _row("preset, chip", "program", *columns)
    yield _row("---", "---", *("---" for _ in columns))
    for preset, by_target in found["steps"].items():
        for target, title in TARGETS.items():
            for name, one in by_target.get(target, {}).items():
                if not name.startswith("step"):
                    continue
                parts = ("argument bytes", "temporary bytes", "result bytes")
                yield _row(
                    f"{preset}, {title}",
                    name,
                    f"{one['bytes'] / 1e9:.1f}",
                    f"{one['flops'] / 1e12:.2f}" if "flops" in one else "",
                    _percent(one.get("mixing, of bytes")),
                    _percent(one.get("mixing, of estimated cycles")),
                    f"{sum(one[part] for part in parts) / 1e9:.1f}",
                    _percent(one["of memory"]),
                )


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}".replace("%", " %")


if __name__ == "__main__":
    stored = json.loads(STORED.read_text())
    print("\n".join((*of_functions(stored), "", *of_steps(stored))))

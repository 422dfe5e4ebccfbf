"""Tables of figures, as text."""

from typing import Any

import numpy as np


def show(title: str, rows: list[dict[str, Any]]) -> None:
    """Prints rows under a title; columns are all that any row has."""
    print(f"\n{title}\n")
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    widths = [max(map(len, x)) for x in zip(columns, *cells, strict=True)]
    for line in (columns, ["-" * width for width in widths], *cells):
        padded = (x.ljust(w) for x, w in zip(line, widths, strict=True))
        print("  ".join(padded).rstrip(), flush=True)


def _cell(value: Any) -> str:
    if isinstance(value, float | np.floating):
        return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
    return "" if value is None else str(value)

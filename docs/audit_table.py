"""Prints the table of an audit as Markdown: `python docs/audit_table.py audit.json`."""

import json
import sys
from pathlib import Path

NAMES = {"none": "nothing done"}
MEASURES = ("likeness (SSIM)", "recognition")
COLUMNS = (
    *("protected by", "learned", "restored"),
    *("likeness", "recognition", "by", "matched"),
)


def rows(audit: dict) -> list[str]:
    """The lines of the table, from what `audit.json` has."""
    lines = [" | ".join(COLUMNS), " | ".join("---" for _ in COLUMNS)]
    guess = audit["guess"]["ssim"]
    verdicts = {one["method"]: one for one in audit["verdicts"]}
    for method in audit["methods"]:
        name = method["name"]
        (restored,) = (
            one
            for one in audit["findings"]
            if (one["method"], one["attack"]) == (name, "restoration")
        )
        verdict = verdicts[name]
        likeness = (restored["ssim"] - guess) / (1 - guess)
        cells = [
            method["title"],
            _percent(method["learned"]),
            _percent(max(likeness, 0.0)),
            *(_percent(verdict["best"].get(name)) for name in MEASURES),
            NAMES.get(verdict["attack"], verdict["attack"]),
            "by luck" if verdict["linked"] is None else _percent(verdict["linked"]),
        ]
        lines.append(" | ".join(cells))
    return [f"| {line} |" for line in lines]


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


if __name__ == "__main__":
    print("\n".join(rows(json.loads(Path(sys.argv[1]).read_text()))))

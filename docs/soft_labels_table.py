"""Prints what soft labels tell: `python docs/soft_labels_table.py audit.json ...`.

A row for each protection, in Markdown, from audits of the same images.
"""

import json
import sys
from pathlib import Path

COLUMNS = {
    "protected by": (),
    "class by image": ("class_image",),
    "soft label": ("class_soft",),
    "both": ("class_both",),
    "original by image": ("original_image",),
    "soft label ": ("original_soft",),
    "both ": ("original_both",),
    "others": ("hard_others", "soft_others"),
    "loss": ("hard_loss_auc", "soft_loss_auc"),
    "shadow": ("hard_shadow_auc", "soft_shadow_auc"),
    "sure finds": ("hard_shadow_found", "soft_shadow_found"),
}


def rows(audits: list[dict]) -> list[str]:
    """The lines of the table, from what each `audit.json` has."""
    titles = {"clean": "images as they are"}
    found = {}
    for audit in audits:
        titles |= {one["name"]: one["title"] for one in audit["methods"]}
        found |= {row["method"]: row for row in audit["soft_labels"]}
    lines = [map(str.strip, COLUMNS), ["---"] * len(COLUMNS)]
    for name, row in found.items():
        cells = (
            ", ".join(f"{row[value]:.0%}" for value in values)
            for values in COLUMNS.values()
        )
        lines.append([titles[name], *list(cells)[1:]])
    return [f"| {' | '.join(line)} |" for line in lines]


if __name__ == "__main__":
    read = [json.loads(Path(name).read_text()) for name in sys.argv[1:]]
    print("\n".join(rows(read)))

"""Prints what each task loses, and what attackers get back of the same images.

`python docs/tasks_table.py`, for the page on boxes and masks.
"""

import json
from pathlib import Path

ROOT = Path(__file__).parents[1]
TASKS = {
    "cifar10": ("cifar10_small", "classes of photographs, accuracy"),
    "bccd": ("bccd", "boxes of cells, AP at IoU 0.5"),
    "camvid": ("camvid", "pixels of streets, mean IoU"),
}
"""Audits, each with the results that go with it, and what they are called."""
COLUMNS = (
    *("task", "regions across", "from a release", "clean", "points lost"),
    *("likeness restored", "matched"),
)


def rows() -> list[str]:
    """The lines of the table, from committed results and audits."""
    lines = [" | ".join(COLUMNS), " | ".join("---" for _ in COLUMNS)]
    for audit, (results, title) in TASKS.items():
        told = json.loads((ROOT / f"docs/audits/{audit}.json").read_text())
        verdicts = {one["method"]: one for one in told["verdicts"]}
        arms = json.loads((ROOT / f"train/results/{results}/compare.json").read_text())
        clean = max(arm["mean"] for arm in arms["arms"] if not arm["across"])
        mixed = [arm for arm in arms["arms"] if arm["form"] == "regions"]
        # Of several recipes the best.
        best = {
            arm["across"]: arm for arm in sorted(mixed, key=lambda arm: arm["mean"])
        }
        for _, arm in sorted(best.items(), reverse=True):
            verdict = verdicts.get(f"mix:{told['side'] // arm['across']}")
            if verdict is None:
                continue
            cells = [
                title,
                str(arm["across"]),
                f"{100 * arm['mean']:.1f} %",
                f"{100 * clean:.1f} %",
                f"{100 * (clean - arm['mean']):.1f}",
                f"{100 * verdict['best']['likeness (SSIM)']:.0f} %",
                "by luck"
                if verdict["linked"] is None
                else f"{100 * verdict['linked']:.0f} %",
            ]
            lines.append(" | ".join(cells))
    return [f"| {line} |" for line in lines]


if __name__ == "__main__":
    print("\n".join(rows()))

"""How a run goes: a progress bar, JSON lines, TensorBoard, and curves at the end.

Process 0 alone writes. On resuming, what was noted after the checkpoint is taken back:
those steps are done again.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
from tensorboardX import SummaryWriter
from tqdm import tqdm

from vmixjax.atomic import atomic_path

_LINES = "metrics.jsonl"
CURVES = "curves.png"


class Metrics:
    """Notes of a run; `open_metrics` makes one. Process 0 alone writes."""

    def __init__(self, workdir: Path, steps: int, first: int, score: str) -> None:
        shown = "loss", "accuracy", "images_per_second", f"test_{score}"
        self.names = frozenset(shown)
        writes = jax.process_index() == 0
        self.lines = (workdir / _LINES if writes else Path(os.devnull)).open("a")
        self.board = SummaryWriter(
            str(workdir / "tensorboard"), purge_step=first, write_to_disk=writes
        )
        self.bar = tqdm(
            initial=first, total=steps, unit="step", desc="training", disable=not writes
        )
        self.shown: dict[str, str] = {}

    def note(self, step: int, **values: float) -> None:
        """Notes values at a step, under names such as `loss` or `test_accuracy`."""
        self.lines.write(json.dumps({"step": step, **values}) + "\n")
        self.lines.flush()
        for name, value in values.items():
            self.board.add_scalar(name, value, step)
        self.shown |= {
            name: f"{value:.4g}"
            if name in ("loss", "images_per_second")
            else f"{value:.1%}"
            for name, value in values.items()
            if name in self.names
        }
        self.bar.set_postfix(self.shown, refresh=False)

    def advance(self) -> None:
        """Moves the progress bar by one step."""
        self.bar.update()

    def close(self) -> None:
        """Ends the bar and all files."""
        self.bar.close()
        self.lines.close()
        self.board.close()


@contextmanager
def open_metrics(
    workdir: Path, steps: int, first: int, score: str, title: str
) -> Iterator[Metrics]:
    """Opens the notes of a run that goes on at `first`; draws curves at the end.

    The score that tests are noted by has a title for people.
    """
    writes = jax.process_index() == 0
    if writes:
        stored = [line for line in read(workdir) if line["step"] <= first]
        with atomic_path(workdir / _LINES) as file:
            file.write("".join(json.dumps(line) + "\n" for line in stored).encode())
    metrics = Metrics(workdir, steps, first, score)
    try:
        yield metrics
    finally:
        metrics.close()
        if writes and (lines := read(workdir)):
            draw(lines, workdir / CURVES, score, title)


def read(workdir: Path) -> list[dict[str, Any]]:
    """Reads the notes of a run, oldest first, but no last line that was cut off."""
    path = workdir / _LINES
    if not path.exists():
        return []
    lines = []
    for line in path.read_text().splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:
            break
    return lines


def points(lines: list[dict[str, Any]], name: str) -> list[tuple[int, float]]:
    """Gives the steps at which a value was noted, each with the value."""
    return [(line["step"], line[name]) for line in lines if name in line]


@contextmanager
def open_plot(path: Path) -> Iterator[Any]:
    """Gives two axes, side by side, to draw on; writes them as a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    yield figure.subplots(1, 2)
    with atomic_path(path) as file:
        figure.savefig(file, dpi=150, format="png")


def draw(lines: list[dict[str, Any]], path: Path, score: str, title: str) -> None:
    """Draws losses and scores over steps, as a PNG."""
    with open_plot(path) as (left, right):
        for axes, name in ((left, "loss"), (right, score)):
            if noted := points(lines, name):
                axes.plot(*zip(*noted, strict=True), label="training", alpha=0.7)
            if noted := points(lines, f"test_{name}"):
                steps, values = zip(*noted, strict=True)
                axes.plot(steps, values, label="test", marker="o", markersize=3)
            axes.grid(alpha=0.3)
            if axes.lines:
                axes.legend()
        left.set(xlabel="step", ylabel="loss", title="Loss")
        right.set(xlabel="step", ylabel=title, title=title[0].upper() + title[1:])
        right.set_ylim(0, 1)

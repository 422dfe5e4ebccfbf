"""What mixing costs: the same model, data and seeds, clean and mixed."""

import dataclasses
import json
import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from train.config import Config, Form, OptimizerName
from train.fit import fit
from train.metrics import read
from vmixjax.atomic import atomic_path

CLEAN, MIXED, CANONICAL = "clean", "mixed", "mixed + canonical"


@dataclasses.dataclass(frozen=True)
class Arm:
    """One way to train.

    Attributes:
      images: `CLEAN`, `MIXED` or `CANONICAL`.
      optimizer: Name of the optimiser.
    """

    images: str
    optimizer: OptimizerName

    @property
    def name(self) -> str:
        """Name for people."""
        return f"{self.images}, {self.optimizer}"

    def of(self, config: Config, seed: int) -> Config:
        """Gives the config of a run of this arm."""
        where = "off" if self.images == CLEAN else config.mixing.where
        form: Form = "regions" if self.images == CANONICAL else "plain"
        return dataclasses.replace(
            config,
            mixing=dataclasses.replace(config.mixing, where=where, form=form),
            optimizer=dataclasses.replace(config.optimizer, name=self.optimizer),
            seed=seed,
        )


def compare(
    config: Config,
    out: Path,
    *,
    optimizers: Sequence[OptimizerName],
    seeds: int,
    preset: str,
) -> dict[str, Any]:
    """Trains every arm with every seed, and writes the table, JSON and a plot.

    Interrupted, it goes on where it was when called again with the same `out`.

    Args:
      config: What is common to all arms.
      out: Folder for `compare.json`, `compare.png` and a folder for each run.
      optimizers: Their names; clean images are learned from with the first alone.
      seeds: Number of runs of each arm, with seeds from `config.seed` on.
      preset: Name that the result is noted under.

    Returns:
      What `compare.json` holds.

    Raises:
      RunError: As `fit`.
    """
    arms = [Arm(CLEAN, optimizers[0])] + [
        Arm(images, optimizer)
        for images in (MIXED, CANONICAL)
        for optimizer in optimizers
    ]
    runs = [
        (arm, seed, out / f"{_slug(arm.name)}-{seed}")
        for seed in range(config.seed, config.seed + seeds)
        for arm in arms
    ]
    accuracies: dict[Arm, list[float]] = {arm: [] for arm in arms}
    for arm, seed, workdir in runs:
        outcome = fit(arm.of(config, seed), workdir, resume=True)
        accuracies[arm].append(outcome.test_accuracy)
    result = {
        "preset": preset,
        **_described(config),
        "arms": [
            _summary(
                arm,
                accuracies[arm],
                [workdir for one, _, workdir in runs if one == arm],
            )
            for arm in arms
        ],
    }
    if jax.process_index() == 0:
        with atomic_path(out / "compare.json") as file:
            file.write(json.dumps(result, indent=1).encode())
        _draw(result, out / "compare.png")
    return result


def _described(config: Config) -> dict[str, Any]:
    """What was compared, and on what machine."""
    device = jax.devices()[0]
    # Results are shown around; where somebody keeps data is nobody's business.
    anywhere = dataclasses.replace(config.data, data_dir=None)
    return {
        "config": dataclasses.asdict(dataclasses.replace(config, data=anywhere)),
        "machine": f"{platform.machine()}, {os.cpu_count()} CPU cores",
        "device": f"{device.device_kind}, {jax.device_count()} of {device.platform}",
        "jax": jax.__version__,
    }


def _summary(
    arm: Arm, accuracies: Sequence[float], workdirs: Sequence[Path]
) -> dict[str, Any]:
    """What the runs of an arm came to."""
    several = len(accuracies) > 1
    return {
        "name": arm.name,
        "images": arm.images,
        "optimizer": arm.optimizer,
        "test_accuracy": accuracies,
        "mean": statistics.mean(accuracies),
        "deviation": statistics.stdev(accuracies) if several else None,
        "curves": [
            [
                (line["step"], line["test_accuracy"])
                for line in read(workdir)
                if "test_accuracy" in line
            ]
            for workdir in workdirs
        ],
    }


def table(result: dict[str, Any]) -> str:
    """Formats a result for people: accuracy, points lost against clean training."""
    clean = result["arms"][0]["mean"]
    lines = [f"{'images, optimiser':28}  test accuracy     points lost"]
    for arm in result["arms"]:
        spread = arm["deviation"]
        about = f" ± {100 * spread:.2f}" if spread is not None else ""
        lost = 100 * (clean - arm["mean"])
        lines.append(
            f"{arm['name']:28}  {100 * arm['mean']:.2f} %{about:8}  {lost:>9.2f}"
        )
    return "\n".join(lines)


def _slug(name: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in name).split())


def _draw(result: dict[str, Any], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    bars, curves = figure.subplots(1, 2)
    arms = result["arms"]
    for i, arm in enumerate(arms):
        bars.barh(
            i,
            100 * arm["mean"],
            xerr=100 * (arm["deviation"] or 0),
            color=f"C{i}",
            alpha=0.8,
        )
        bars.text(1, i, f"{100 * arm['mean']:.1f} %", va="center", color="white")
        steps = [step for step, _ in arm["curves"][0]]
        means = [
            100 * statistics.mean(accuracy for _, accuracy in points)
            for points in zip(*arm["curves"], strict=True)
        ]
        curves.plot(steps, means, color=f"C{i}", label=arm["name"])
    bars.set_yticks(range(len(arms)), [arm["name"] for arm in arms])
    bars.invert_yaxis()
    bars.set(xlabel="test accuracy, %", xlim=(0, 100))
    curves.set(xlabel="step", ylabel="test accuracy, %", ylim=(0, 100))
    curves.grid(alpha=0.3)
    curves.legend(fontsize=8)
    with atomic_path(path) as file:
        figure.savefig(file, dpi=150, format="png")

"""What mixing costs: the same model, data and seeds, clean and mixed."""

import dataclasses
import itertools
import json
import os
import platform
import re
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from train.config import Config, Form, OptimizerName
from train.fit import fit
from train.metrics import open_plot, points, read
from vmixjax.atomic import atomic_path

CLEAN, MIXED, CANONICAL = "clean", "mixed", "mixed + canonical"


@dataclasses.dataclass(frozen=True)
class Arm:
    """One way to train: on images that are `CLEAN`, `MIXED` or `CANONICAL`."""

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
    kinds = itertools.product((MIXED, CANONICAL), optimizers)
    runs: dict[Arm, dict[Path, float]] = {
        Arm(*kind): {} for kind in ((CLEAN, optimizers[0]), *kinds)
    }
    for seed in range(config.seed, config.seed + seeds):
        for arm, accuracies in runs.items():
            words = re.findall(r"[^\W_]+", arm.name)
            workdir = out / f"{'-'.join(words)}-{seed}"
            outcome = fit(arm.of(config, seed), workdir, resume=True)
            accuracies[workdir] = outcome.test_accuracy
    arms = [_summary(arm, accuracies) for arm, accuracies in runs.items()]
    result = {"preset": preset, **_described(config), "arms": arms}
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


def _summary(arm: Arm, runs: dict[Path, float]) -> dict[str, Any]:
    """What the runs of an arm came to, their test accuracies by workdir."""
    accuracies = list(runs.values())
    return {
        "name": arm.name,
        "images": arm.images,
        "optimizer": arm.optimizer,
        "test_accuracy": accuracies,
        "mean": statistics.mean(accuracies),
        "deviation": statistics.stdev(accuracies) if len(runs) > 1 else None,
        "curves": [points(read(workdir), "test_accuracy") for workdir in runs],
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


def _draw(result: dict[str, Any], path: Path) -> None:
    arms = result["arms"]
    with open_plot(path) as (bars, curves):
        for i, arm in enumerate(arms):
            mean, spread = 100 * arm["mean"], 100 * (arm["deviation"] or 0)
            bars.barh(i, mean, xerr=spread, color=f"C{i}", alpha=0.8)
            bars.text(1, i, f"{mean:.1f} %", va="center", color="white")
            steps, accuracies = np.mean(arm["curves"], axis=0).T
            curves.plot(steps, 100 * accuracies, color=f"C{i}", label=arm["name"])
        bars.set_yticks(range(len(arms)), [arm["name"] for arm in arms])
        bars.invert_yaxis()
        bars.set(xlabel="test accuracy, %", xlim=(0, 100))
        curves.set(xlabel="step", ylabel="test accuracy, %", ylim=(0, 100))
        curves.grid(alpha=0.3)
        curves.legend(fontsize=8)

"""What mixing costs: the same data and seeds, clean and mixed, and ways to learn."""

import dataclasses
import functools
import itertools
import json
import os
import platform
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import numpy as np

from train import data
from train.axes import Axes
from train.config import Config, FormName, OptimizerName
from train.fit import fit
from train.forms import FORMS
from train.label import probabilities
from train.metrics import open_plot, points, read
from train.recipes import changed, named
from train.releases import as_released, mix_once
from vmixjax.atomic import atomic_path
from vmixjax.config import Channels
from vmixjax.errors import RunError


@dataclasses.dataclass(frozen=True)
class Arm:
    """One way to train; `across` is 0, and form and channels say nothing, for clean."""

    protocol: Literal["clean", "step", "release"]
    form: FormName
    channels: Channels
    across: int
    recipe: str
    optimizer: OptimizerName

    @property
    def line(self) -> str:
        """What it is called for people, but for the number of regions."""
        told: list[str] = [self.protocol]
        if self.across:
            told.append(self.form)
            told += [self.channels] if self.channels != "independent" else []
        told += [self.recipe] if self.recipe != "base" else []
        told += [self.optimizer] if self.optimizer != "adam" else []
        return ", ".join(told)

    @property
    def folder(self) -> str:
        """Name of the folder of its runs, but for the seed."""
        parts = [self.line.replace(", ", "-"), str(self.across) if self.across else ""]
        return "-".join(filter(None, parts))

    def of(self, config: Config, side: int, seed: int) -> Config:
        """Gives the config of a run of this arm, on images of a shorter side."""
        if not self.across:
            mixing = dataclasses.replace(config.mixing, where="off")
        else:
            size = side // self.across
            mixing = dataclasses.replace(
                config.mixing,
                where="step" if self.protocol == "step" else "done",
                tile_size=size,
                ladder=((size, 1),),
                channels=self.channels,
                form=self.form,
            )
        config = named(self.recipe).change(
            dataclasses.replace(config, mixing=mixing, seed=seed)
        )
        return changed(config, optimizer={"name": self.optimizer})


def arms_of(axes: Axes, config: Config, side: int) -> list[Arm]:
    """Lists the arms: clean ones first, of the others those that there can be.

    Raises:
      RunError: A recipe that there is not, or not for these protocols, or regions that
        do not divide the images.
    """
    recipes = {name: named(name) for name in (*axes.recipes, *axes.clean_recipes)}
    taught = next((name for name in axes.recipes if recipes[name].taught), None)
    if taught is not None and axes.protocols != ("release",):
        raise RunError(
            f"--recipes: {taught} is for releases, whose owner has a teacher: choose "
            f"--protocols release"
        )
    own = side // max(size for size, _ in config.mixing.ladder)
    for across in axes.across:
        if across < 1 or side % across:
            raise RunError(
                f"--across {across} does not divide images of {side} pixels: choose a "
                f"divisor, or another --data.image-size"
            )
    clean = [
        Arm("clean", "plain", "independent", 0, recipe, axes.optimizers[0])
        for recipe in axes.clean_recipes
    ]
    mixed = itertools.product(
        axes.protocols,
        axes.forms,
        axes.channels,
        axes.across or (own,),
        axes.recipes,
        axes.optimizers,
    )
    arms = [Arm(*one) for one in mixed]
    return clean + [arm for arm in arms if arm.channels in FORMS[arm.form].channels]


def compare(
    config: Config, out: Path, *, axes: Axes, seeds: int, preset: str
) -> dict[str, Any]:
    """Trains every arm with every seed, and writes the table, JSON and a plot.

    Interrupted, it goes on where it was when called again with the same `out`.

    Args:
      config: What is common to all arms.
      out: Folder for `compare.json`, `compare.png`, releases, and a folder for each
        run.
      axes: What is compared.
      seeds: Number of runs of each arm, with seeds from `config.seed` on.
      preset: Name that the result is noted under.

    Returns:
      What `compare.json` holds.

    Raises:
      RunError: The data set is a release; or as `arms_of`, `fit` and `mix_once`.
    """
    if as_released(config).mixing.where == "done":
        raise RunError(
            f"--data.source {config.data.source} is mixed already, and only clean "
            f"images tell what that costs: name those, or learn from it with fit"
        )
    splits: dict[str, data.Dataset] = {
        one: data.load(config, one) for one in data.SPLITS
    }
    side = min(splits["train"].shape[:2])
    arms = arms_of(axes, config, side)
    task = splits["train"].task
    runs: dict[Arm, dict[Path, float]] = {arm: {} for arm in arms}
    for seed in range(config.seed, config.seed + seeds):
        for arm, scores in runs.items():
            workdir = out / f"{arm.folder}-{seed}"
            run = arm.of(config, side, seed)
            if arm.protocol == "release":
                teacher = out / f"{arms[0].folder}-{seed}"
                released = {
                    "source": _released(run, arm, teacher, splits, out),
                    "data_dir": None,
                    "image": None,
                    "image_size": None,
                    "image_shape": None,
                    "train_split": "train",
                    "test_split": None,
                    "train_images": None,
                }
                run = changed(run, data=released)
            scores[workdir] = fit(run, workdir, resume=True).score
    told = [_summary(arm, scores, task.score) for arm, scores in runs.items()]
    measured = {"score": task.score, "title": task.title}
    result = {"preset": preset, **measured, **_described(config), "arms": told}
    if jax.process_index() == 0:
        with atomic_path(out / "compare.json") as file:
            file.write(json.dumps(result, indent=1).encode())
        draw(result, out / "compare.png")
    return result


def _released(
    run: Config, arm: Arm, teacher: Path, splits: Mapping[str, data.Dataset], out: Path
) -> str:
    """Name of the release that an arm learns from, mixed unless it is there."""
    taught = named(arm.recipe).taught
    name = f"{arm.channels}-{arm.across}" + (f"-{teacher.name}" if taught else "")
    folder = out / "releases" / name
    soft_labels = functools.partial(probabilities, teacher) if taught else None
    mix_once(run.mixing, splits, folder, soft_labels)
    return f"tfds:{folder}"


def _described(config: Config) -> dict[str, Any]:
    """What was compared, and on what machine."""
    device = jax.devices()[0]
    # Results are shown around; where somebody keeps data is nobody's business.
    read, start = config.data, config.start_from
    format, colon, place = read.source.partition(":")
    source = f"{format}{colon}{_without_folders(place)}"
    anywhere = dataclasses.replace(
        config,
        data=dataclasses.replace(read, source=source, data_dir=None),
        start_from=_without_folders(start) if start else None,
    )
    return {
        "config": dataclasses.asdict(anywhere),
        "machine": f"{platform.machine()}, {os.cpu_count()} CPU cores",
        "device": f"{device.device_kind}, {jax.device_count()} of {device.platform}",
        "jax": jax.__version__,
    }


def _without_folders(place: str) -> str:
    """What a file or folder is called; other names, as of data sets, are kept."""
    return Path(place).name if place.startswith(("/", "~")) else place


def _summary(arm: Arm, runs: dict[Path, float], score: str) -> dict[str, Any]:
    """What the runs of an arm came to, their scores by workdir."""
    scores = list(runs.values())
    lines = [read(workdir) for workdir in runs]
    # Over the last twentieth, of what was augmented.
    learned = [value for one in lines for value in _last(one, "accuracy")]
    rates = [rate for one in lines for _, rate in points(one, "images_per_second")]
    return {
        **dataclasses.asdict(arm),
        "name": arm.line,
        "scores": scores,
        "mean": statistics.mean(scores),
        "deviation": statistics.stdev(scores) if len(runs) > 1 else None,
        "train_accuracy": statistics.mean(learned) if learned else None,
        "images_per_second": statistics.median(rates) if rates else None,
        "curves": [points(one, f"test_{score}") for one in lines],
    }


def _last(lines: list[dict[str, Any]], name: str) -> list[float]:
    values = [value for _, value in points(lines, name)]
    return values[-max(1, len(values) // 20) :]


def table(result: dict[str, Any]) -> str:
    """Formats a result for people: scores, points lost against clean training."""
    arms = result["arms"]
    width = max(len(arm["name"]) for arm in arms)
    best = max(arm["mean"] for arm in arms if not arm["across"])
    title = f"test {result['title']}"
    broad = max(16, len(title))
    counts = {len(arm["scores"]) for arm in arms}
    lines = [
        f"{'':{width}}  across  {title:{broad}}  points lost  training"
        + ("  seeds" if len(counts) > 1 else "")
    ]
    for arm in arms:
        spread = arm["deviation"]
        about = f" ± {100 * spread:.2f}" if spread is not None else ""
        lost = 100 * (best - arm["mean"])
        learned = arm["train_accuracy"]
        measured = f"{100 * arm['mean']:.2f} %{about}"
        lines.append(
            f"{arm['name']:{width}}  {arm['across'] or '':>6}  "
            f"{measured:{broad}}  {lost:>11.2f}  "
            f"{f'{100 * learned:.1f} %' if learned is not None else '':>8}"
            + (f"  {len(arm['scores']):>5}" if len(counts) > 1 else "")
        )
    return "\n".join(line.rstrip() for line in lines)


def draw(result: dict[str, Any], path: Path) -> None:
    """Draws scores against regions across, a line for each arm, and their course."""
    arms, title = result["arms"], f"test {result['title']}, %"
    mixed = [arm for arm in arms if arm["across"]]
    ticks = sorted({arm["across"] for arm in mixed})
    # There are ten colours: the next ten arms have other marks and lines.
    styles = {
        name: {"color": f"C{i % 10}", "marker": "os^"[i // 10 % 3]}
        for i, name in enumerate(_names(arms))
    }
    with open_plot(path) as (fineness, curves):
        for name in _names(mixed):
            line = [arm for arm in mixed if arm["name"] == name]
            line.sort(key=lambda arm: arm["across"])
            fineness.errorbar(
                [arm["across"] for arm in line],
                [100 * arm["mean"] for arm in line],
                [100 * (arm["deviation"] or 0) for arm in line],
                **styles[name],
                markersize=4,
                capsize=3,
                label=name,
            )
        ends: list[_End] = []
        for arm in arms:
            style = styles[arm["name"]]
            if not arm["across"]:
                level, name = 100 * arm["mean"], arm["name"]
                fineness.axhline(level, color=style["color"], ls="--", label=name)
                # Such a line alone need not be inside of the axes.
                fineness.update_datalim([(ticks[0], level)])
            steps, scores = np.mean(arm["curves"], axis=0).T
            curves.plot(steps, 100 * scores, **style, markersize=2, alpha=0.8)
            told = f" {arm['across'] or 'clean'}"
            ends.append(_End(100 * scores[-1], steps[-1], told))
        low, high = curves.get_ylim()
        row = (high - low) / 25
        place = low
        for near in _side_by_side(ends, 3 * row):
            # One above the other, where curves end close by.
            place = max(float(np.mean([end.score for end in near])), place + row)
            curves.annotate(
                near[0].told, (near[0].step, place), fontsize=7, va="center"
            )
        fineness.set_xscale("log", base=2)
        fineness.set_xticks(ticks, [str(tick) for tick in ticks])
        fineness.autoscale_view()
        fineness.set(xlabel="regions across the image", ylabel=title)
        curves.set(xlabel="step", ylabel=title)
        curves.margins(x=0.12)
        for axes in (fineness, curves):
            axes.grid(alpha=0.3)
        fineness.figure.legend(loc="outside lower center", ncols=5, fontsize=7)


class _End(NamedTuple):
    """Where a curve ends, and what is told of it there."""

    score: float
    step: float
    told: str


def _side_by_side(ends: Sequence[_End], gap: float) -> list[list[_End]]:
    """Ends of which the same is told, within a gap, and no other between them."""
    near: list[list[_End]] = []
    for end in sorted(ends):
        before = near[-1][-1] if near else None
        if before and before.told == end.told and end.score - before.score <= gap:
            near[-1].append(end)
        else:
            near.append([end])
    return near


def _names(arms: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Each name once, in order."""
    yield from dict.fromkeys(arm["name"] for arm in arms)

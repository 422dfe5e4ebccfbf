"""The demo's page: one HTML file that needs nothing else."""

import math

from matplotlib.figure import Figure

from vmixjax import _pages
from vmixjax.data.digits import ENLARGED
from vmixjax.demo.learning import Curve, Lessons
from vmixjax.demo.photographs import CONFIG, Photograph


def render(photographs: list[Photograph], lessons: Lessons) -> str:
    """Writes the page as HTML text, every picture in it as a data URI."""
    return _pages.render(
        "demo/page.html.jinja",
        photographs=photographs,
        lessons=lessons,
        curves=_plot(lessons.curves),
        vfe_table=_vfe_table,
        config=CONFIG,
        enlarged=ENLARGED,
    )


def _vfe_table(
    photograph: Photograph,
) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Columns and rows: on its side, to fit under its photograph."""
    mixes = photograph.mixes
    targets = [
        f"{mix.target:.2f}" if math.isfinite(mix.target) else "strongest"
        for mix in mixes
    ]
    return [f"{mix.strength:g}" for mix in mixes], [
        ("target", targets),
        ("expected", [f"{mix.expected:.2f}" for mix in mixes]),
        ("measured", [f"{mix.realised:.2f}" for mix in mixes]),
    ]


def _plot(curves: tuple[Curve, ...]) -> Figure:
    # Small, so that its letters can still be read on a phone.
    figure = Figure(figsize=(5.2, 3.4), layout="constrained")
    axes = figure.subplots()
    for curve, style in zip(curves, ("-", "--"), strict=True):
        axes.plot(
            curve.steps,
            [100 * accuracy for accuracy in curve.accuracies],
            style,
            label=f"{curve.name}: {curve.accuracies[-1]:.1%}",
        )
    axes.set(xlabel="training step", ylabel="test accuracy, %", ylim=(0, 101))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    return figure

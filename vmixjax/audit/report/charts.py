"""The plots of the report."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from vmixjax.audit.results import AuditResults
from vmixjax.audit.utilities import Utility
from vmixjax.audit.verdict import Verdict


def trade_off(
    results: AuditResults,
    verdicts: Sequence[Verdict],
    measure: str,
    learned: Utility,
) -> tuple[Figure, str]:
    """Plots what is left to learn from against what the best attack recovers.

    Args:
      results: What was measured.
      verdicts: On each method, in order.
      measure: By which something is recovered, as in `Verdict.best`.
      learned: What is learned.

    Returns:
      The plot, and the same in words.
    """
    figure = Figure(figsize=(4.4, 3.8), layout="constrained")
    axes = figure.subplots()
    words = []
    pairs = zip(results.methods, verdicts, strict=True)
    for number, (method, verdict) in enumerate(pairs, 1):
        if method.utility is None:
            continue
        best = verdict.best.get(measure, 0.0)
        place = 100 * best, 100 * method.utility
        color = "tab:blue" if method.mixes else "tab:orange"
        axes.plot(*place, "o" if method.mixes else "s", color=color, markersize=5)
        axes.annotate(
            str(number), place, (4, 3), textcoords="offset points", fontsize=9
        )
        words.append(f"{method.title}: recovered {best:.0%}, {method.utility:.0%}")
    what = f"{learned.title} of a {learned.learner}"
    axes.set(xlabel=f"recovered, {measure}, %", xlim=(-4, 104))
    axes.set_ylabel(f"learned: {what}, %")
    axes.grid(alpha=0.3)
    return figure, f"Recovered by {measure}, and {what}. {'; '.join(words)}"

"""The audit's report: one HTML file that needs nothing else."""

import json

from vmixjax import _pages
from vmixjax.attacks import ATTACKS
from vmixjax.audit.report.charts import trade_off
from vmixjax.audit.report.parts import (
    attacks_of,
    learned_of,
    method_strips,
    metric_tables,
    study_parts,
    summary,
    titles_of,
)
from vmixjax.audit.results import NOTHING_DONE, AuditResults, Figures
from vmixjax.audit.verdict import LIKENESS, RECOGNITION, advice, judge


def render(results: AuditResults, figures: Figures) -> str:
    """Renders the report.

    Args:
      results: What was measured.
      figures: The pictures that belong to it.

    Returns:
      HTML text, every picture in it as a data URI.
    """
    about = {name: attack.about for name, attack in ATTACKS.items()}
    about[NOTHING_DONE] = "as protected: nothing is done to it"
    first, titles = results.methods[0], titles_of(results)
    verdicts = [judge(results, method.name) for method in results.methods]
    shown = dict.fromkeys([NOTHING_DONE, verdicts[0].likest])
    learned = learned_of(results)
    charts = (LIKENESS, RECOGNITION) if results.classes else (LIKENESS,)
    return _pages.render(
        "audit/report/report.html.jinja",
        advice=advice(results),
        attacks=[(name, about[name]) for name in attacks_of(results)],
        charts=[
            trade_off(results, verdicts, measure, learned)
            for measure in charts
            if learned is not None
        ],
        first=first,
        learned=learned,
        main=[
            strip
            for sheet in figures.methods
            if sheet.method == first.name
            for strip in method_strips(results, sheet, shown)
        ],
        overlaps=(
            list(method_strips(results, figures.overlaps, figures.overlaps.pictures))
            if figures.overlaps is not None
            else []
        ),
        metrics=metric_tables(results),
        results=results,
        settings=json.dumps(results.settings, indent=1),
        sheets=[
            (titles[sheet.method], list(method_strips(results, sheet, sheet.pictures)))
            for sheet in figures.methods
        ],
        studies=study_parts(results, figures),
        summary=summary(results, verdicts),
        verdict=verdicts[0],
    )

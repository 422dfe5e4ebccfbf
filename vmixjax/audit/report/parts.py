"""The numbers and pictures of the report, as its template shows them."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from vmixjax.attacks import ATTACKS, Study
from vmixjax.attacks.trial import UNPROTECTED
from vmixjax.audit.results import NOTHING_DONE, AuditResults, Figures, Sheet
from vmixjax.audit.utilities import UTILITIES, Utility
from vmixjax.audit.verdict import Verdict
from vmixjax.metrics import METRICS, Metric

Cell = str | tuple[str, str]
"""What stands in a cell, and its class in the style if it has one."""
Table = tuple[str, Sequence[str], Sequence[tuple[str, Sequence[Cell]]]]
"""Corner, columns, and rows: pairs of a name and cells."""
Strip = tuple[np.ndarray, str, str]
"""Images (K, H, W, C) side by side, what stands for them, and what stands below."""


def learned_of(results: AuditResults) -> Utility | None:
    """What networks learned; None for nothing."""
    return None if results.learned is None else UTILITIES[results.learned]


def titles_of(results: AuditResults) -> dict[str, str]:
    """What people read, by name of the method; of images as they are, too."""
    titles = {method.name: method.title for method in results.methods}
    return {UNPROTECTED.name: UNPROTECTED.title, **titles}


def attacks_of(results: AuditResults) -> list[str]:
    """Names of the attacks that were made, in the order of all there are."""
    made = {finding.attack for finding in results.findings}
    return [name for name in (NOTHING_DONE, *ATTACKS) if name in made]


def metric_tables(results: AuditResults) -> list[tuple[str, Table | None]]:
    """For each metric what is said of it, and a table if it was measured."""
    facts: dict[str, Any] = {"images": results.images, "chance": 1 / results.images}
    if results.classes:
        facts |= {"clean": results.clean, "luck": 1 / results.classes}
    tables: list[tuple[str, Table | None]] = []
    for metric in sorted(METRICS.values(), key=lambda metric: metric.rank):
        if any(one.values[metric.name] is not None for one in results.findings):
            about = metric.about.format(
                guess=results.guess.values[metric.name], **facts
            )
            tables.append((about, _metric_table(results, metric)))
        elif metric.missing:
            tables.append((metric.missing, None))
    return tables


def _metric_table(results: AuditResults, metric: Metric) -> Table:
    made = {x.attack for x in results.findings if x.values[metric.name] is not None}
    columns = [name for name in attacks_of(results) if name in made]
    rows = []
    for method in results.methods:
        found = {one.attack: one.values[metric.name] for one in results.of(method.name)}
        best = max(
            (value for value in found.values() if value is not None), default=None
        )
        cells: list[Cell] = []
        for name in columns:
            value = found.get(name)
            text = "-" if value is None else format(value, metric.number)
            cells.append((text, "best") if text != "-" and value == best else text)
        rows.append((method.title, cells))
    return "method", columns, rows


def summary(results: AuditResults, verdicts: Sequence[Verdict]) -> Table:
    """A row for each method: what is learned, and what is recovered."""
    rows = []
    pairs = zip(results.methods, verdicts, strict=True)
    for number, (method, verdict) in enumerate(pairs, 1):
        shares = [*verdict.best.values()]
        if method.utility is not None:
            shares.insert(0, method.utility)
        linked = "by luck" if verdict.linked is None else f"{verdict.linked:.0%}"
        cells = [f"{share:.0%}" for share in shares]
        cells += [verdict.words, verdict.attack, linked]
        rows.append(
            (
                f"{number}. {method.title}",
                [cell if cell.endswith("%") else (cell, "words") for cell in cells],
            )
        )
    learned = learned_of(results)
    columns = [] if learned is None else [f"learned, {learned.title}"]
    columns += [*verdicts[0].best, "in words", "by", "matched"]
    return "method", columns, rows


def study_parts(
    results: AuditResults, figures: Figures
) -> list[tuple[str, list[dict[str, Any]]]]:
    """Sections of studies, with the title, text, table and pictures of each study."""
    made = [
        attack.study
        for attack in ATTACKS.values()
        if attack.study is not None and results.studies.get(attack.study.name)
    ]
    return [
        (section, [_study_part(results, figures, study) for study in studies])
        for section, studies in itertools.groupby(made, lambda study: study.section)
    ]


def _study_part(
    results: AuditResults, figures: Figures, study: Study
) -> dict[str, Any]:
    titles, found = titles_of(results), results.studies[study.name]
    rows = [
        (
            titles[row["method"]],
            [format(row[name], study.number) for name in study.columns.values()],
        )
        for row in found
    ]
    return {
        "title": study.title,
        "text": study.text(found[0]),
        "table": (study.corner, list(study.columns), rows),
        "sheets": [
            list(_study_strips(study, sheet, titles[sheet.method]))
            for sheet in figures.studies.get(study.name, ())
        ],
    }


def _study_strips(study: Study, sheet: Sheet, title: str) -> Iterable[Strip]:
    yield _originals(sheet)
    for name, caption in study.captions.items():
        if name in sheet.pictures:
            words = caption.format(title=title)
            yield sheet.pictures[name], words, words


def method_strips(
    results: AuditResults, sheet: Sheet, attacks: Iterable[str]
) -> Iterable[Strip]:
    """Originals, and what attacks on a method gave back of them."""
    found = [one for one in results.of(sheet.method) if one.gives_images]
    likeness = {one.attack: one.value("ssim") for one in found}
    title = titles_of(results)[sheet.method]
    yield _originals(sheet)
    for name in attacks:
        if name not in sheet.pictures:
            continue
        what = f"protected: {title}" if name == NOTHING_DONE else f"recovered by {name}"
        mean = f"mean SSIM {likeness[name]:.2f}"
        yield sheet.pictures[name], f"{what}; {mean}", f"{what}, {mean}"


def _originals(sheet: Sheet) -> Strip:
    return sheet.originals, "original images", "originals"

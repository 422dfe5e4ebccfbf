"""The audit's report: one HTML file that needs nothing else."""

import html
import json
from collections.abc import Iterable, Sequence

from matplotlib.figure import Figure

from vmixjax._page import chart, figure_of, page, strip
from vmixjax.audit.results import (
    CLEAN,
    AttackResult,
    AuditResults,
    Figures,
    MethodResult,
    Sheet,
)
from vmixjax.audit.verdict import (
    LIKENESS,
    RECOGNITION,
    Verdict,
    advice,
    judge,
)

_STYLE = """
.verdict { font-size: 1.15rem; }
.wide, .sheet { overflow-x: auto; }
.wide { margin-bottom: 1.5rem; }
.wide th:first-child { position: sticky; left: 0; background: #fff; min-width: 9rem; }
.wide td.words { text-align: left; white-space: nowrap; }
.sheet { max-width: 52rem; margin-bottom: 1rem; }
.sheet figure { min-width: 34rem; }
.sheet img { image-rendering: pixelated; }
.charts { display: flex; flex-wrap: wrap; gap: 0 2rem; }
.charts .chart { flex: 1 1 19rem; max-width: 27rem; margin-top: 0; }
td.best { font-weight: 700; }
pre { overflow-x: auto; background: #f3f5f7; padding: .6rem; font-size: .75rem; }
"""

_ATTACKS = {
    "none": "as protected: nothing is done to it",
    "thumbnail": "the mean colour of each region, enlarged",
    "restoration": "a U-Net, trained on public images that the attacker protected with "
    "keys of their own, predicts the original",
    "jigsaw": "blocks are put together where their borders fit",
    "average": "the mean over many protections of the same image, as in a training "
    "that mixes anew in every epoch, or two releases",
    "known_pairs": "the permutation that explains some pairs of originals and "
    "protected images is undone in the others",
}


def render(evidence: AuditResults, exhibits: Figures) -> str:
    """The report as HTML text, every picture in it as a data URI."""
    methods, sheets = evidence.methods, exhibits.sheets
    first = methods[0]
    verdicts = [judge(evidence, method.name) for method in methods]
    resized = (
        f" They were cut to squares and brought from {evidence.original_side} to "
        f"{evidence.side} pixels: what is said of a region of 8 pixels here holds for "
        f"one of {8 * evidence.original_side / evidence.side:.0f} there."
        if evidence.original_side != evidence.side
        else ""
    )
    main = next((sheet for sheet in sheets if sheet.method == first.name), None)
    body = f"""
<h1>What an attacker gets back</h1>
<p class="note"><strong>Keep this page as you keep the originals: it shows some of
them.</strong></p>
<p class="note verdict"><strong>{_text(first.title)}.</strong>
{_text(verdicts[0].sentence)}</p>
{_sheet(evidence, main, verdicts[0].likest) if main else ""}
<p>Left is what comes out most like the original, right what comes out least so.</p>
<p>Measured on {evidence.images} images of {evidence.side} x {evidence.side} pixels, by
attackers who know the method and its settings and have {evidence.public} images like
them, but never a key.{resized} A better attack may exist: an audit shows what is lost
for certain, not what is safe. Mixing is obfuscation, not encryption.</p>
<h2>All methods</h2>
{_summary(evidence, verdicts)}
{_trade_off(evidence, verdicts)}
<h2>What would improve it</h2>
{_list(("", line) for line in advice(evidence))}
<h2>Methods and attacks</h2>
<p>Likeness is SSIM against the original: {evidence.guess.ssim:.2f} is what a guess gets
that has seen nothing (the mean public image), 1 is the original. Bold is each method's
strongest.</p>
{_table(evidence, "ssim", ".2f")}
<p>Share of the images whose original is the nearest of all {
        evidence.images
    }, where luck
gives {1 / evidence.images:.1%}.</p>
{_table(evidence, "reidentified", ".0%")}
{_recognition(evidence)}
{_faces(evidence)}
<p>PSNR against the original, in decibels.</p>
{_table(evidence, "psnr", ".1f")}
<p>Correlation of edges with those of the original: 1 is the same outlines.</p>
{_table(evidence, "edges", ".2f")}
{_sharing(evidence)}
{_training(evidence, exhibits)}
<h2>Pictures</h2>
<p>From the image that is recovered best, by the attack whose pictures are most like the
originals, to the one that it recovers worst.</p>
{"".join(_whole(evidence, sheet) for sheet in sheets)}
<h2>How it was done</h2>
{_list((name, f"{_ATTACKS[name]}.") for name in _columns(evidence))}
<p>The originals have a mean VFE of {evidence.vfe:.2f}. Of each method:</p>
{_list((one.title, f"{one.name}, VFE {one.vfe:.2f}. {one.remark}") for one in methods)}
<pre>{_text(json.dumps(evidence.settings, indent=1))}</pre>
"""
    return page("vmixjax audit", body, _STYLE)


def _text(words: str) -> str:
    return html.escape(words, quote=False)


def _list(items: Iterable[tuple[str, str]]) -> str:
    lines = (
        f"<li><strong>{_text(name)}.</strong> {_text(text)}</li>"
        if name
        else f"<li>{_text(text)}</li>"
        for name, text in items
    )
    return f"<ul>{''.join(lines)}</ul>"


def _columns(evidence: AuditResults) -> list[str]:
    there = {finding.attack for finding in evidence.findings}
    return [name for name in _ATTACKS if name in there]


def _table(evidence: AuditResults, field: str, form: str) -> str:
    columns = _columns(evidence)
    head = "".join(f'<th scope="col">{name}</th>' for name in columns)
    rows = []
    for method in evidence.methods:
        values = {one.attack: getattr(one, field) for one in evidence.of(method.name)}
        best = max((v for v in values.values() if v is not None), default=None)
        cells = "".join(_cell(values.get(name), best, form) for name in columns)
        rows.append(f'<tr><th scope="row">{_text(method.title)}</th>{cells}</tr>')
    return (
        f'<div class="wide"><table><tr><th scope="col">method</th>{head}</tr>'
        f"{''.join(rows)}</table></div>"
    )


def _cell(value: float | None, best: float | None, form: str) -> str:
    if value is None:
        return "<td>-</td>"
    best_one = ' class="best"' if value == best else ""
    return f"<td{best_one}>{value:{form}}</td>"


def _recognition(evidence: AuditResults) -> str:
    if evidence.clean is None:
        return "<p>The images have no classes, so recognition was not measured.</p>"
    return (
        f"<p>Recognition: accuracy of a classifier that was trained on clean public "
        f"images; {evidence.clean:.0%} on the originals, {1 / evidence.classes:.0%} "
        f"by luck.</p>{_table(evidence, 'recognised', '.0%')}"
    )


def _faces(evidence: AuditResults) -> str:
    if all(finding.faces is None for finding in evidence.findings):
        return ""
    return (
        "<p>Faces that scikit-image's cascade finds, of those it finds in the "
        f"originals.</p>{_table(evidence, 'faces', '.0%')}"
    )


def _sharing(evidence: AuditResults) -> str:
    """What one key for all images would give away."""
    if not evidence.key_sharing:
        return ""
    head = ("as protected", "a key for each image", "one key for all")
    rows = [
        (_title(evidence, one.method), (one.by_chance, one.own_keys, one.one_key))
        for one in evidence.key_sharing
    ]
    return (
        "<h2>Never one key for two images</h2>"
        f"<p>Share of the values that known_pairs puts back, from "
        f"{evidence.key_sharing[0].pairs} pairs of images as they are and as "
        "protected. Values that are right as protected are so by chance.</p>"
        + _plain_table("method", head, rows, ".1%")
    )


def _training(evidence: AuditResults, exhibits: Figures) -> str:
    """What a network that was trained on images gives away of them."""
    parts = []
    if evidence.inversions:
        count = evidence.inversions[0].images
        rows = [
            (_title(evidence, x.method), (x.ssim_before, x.ssim_sent, x.ssim))
            for x in evidence.inversions
        ]
        head = ("images before", "found, like what was trained on", "like the original")
        parts.append(
            f"<h3>From gradients</h3><p>Who trains with others sends gradients. From "
            f"the gradient of one image on a small, smooth model, its label and the "
            f"model, the image is searched for ({count} images; SSIM). Of mixed images "
            f"the mixed ones come back, and they can then be attacked as above.</p>"
            + _plain_table("trained on", head, rows, ".2f")
        )
        parts += [_gradient_sheet(evidence, sheet) for sheet in exhibits.gradients]
    if evidence.membership:
        one = evidence.membership[0]
        found = [
            (
                _title(evidence, x.method),
                (x.members, x.others, x.loss_auc, x.shadow_auc, x.shadow_found),
            )
            for x in evidence.membership
        ]
        columns = ("right on its images", "on others", "loss", "shadow", "sure finds")
        parts.append(
            f"<h3>Who was in it</h3><p>A network is trained on {one.images // 2} of "
            f"your images until it knows them by heart, and an attacker guesses of "
            f"{one.images} which they were. Loss and shadow are two attacks, by the "
            f"area under their curves: 50% is guessing, 100% certainty. Sure finds: "
            f"members that the second finds while it errs on 1 of 100 others.</p>"
            + _plain_table("trained on", columns, found, ".0%")
        )
    if not parts:
        return ""
    return f"<h2>If a network is trained on them</h2>{''.join(parts)}"


def _plain_table(
    corner: str,
    columns: Sequence[str],
    rows: Iterable[tuple[str, Sequence[float]]],
    form: str,
) -> str:
    head = "".join(f'<th scope="col">{name}</th>' for name in columns)
    lines = "".join(
        f'<tr><th scope="row">{_text(name)}</th>'
        + "".join(f"<td>{value:{form}}</td>" for value in values)
        + "</tr>"
        for name, values in rows
    )
    return (
        f'<div class="wide"><table><tr><th scope="col">{corner}</th>{head}</tr>{lines}'
        "</table></div>"
    )


def _gradient_sheet(evidence: AuditResults, sheet: Sheet) -> str:
    title = _title(evidence, sheet.method)
    rows = [("original images", "originals", sheet.originals)]
    if sheet.method != CLEAN:
        rows.append((f"protected: {title}",) * 2 + (sheet.recovered["sent"],))
    words = f"found from gradients of {title}"
    rows.append((words, words, sheet.recovered["gradient_inversion"]))
    pictures = (figure_of(strip(x), alt, _text(caption)) for alt, caption, x in rows)
    return f'<div class="sheet">{"".join(pictures)}</div>'


def _title(evidence: AuditResults, name: str) -> str:
    return "images as they are" if name == CLEAN else _method(evidence, name).title


def _sheet(evidence: AuditResults, sheet: Sheet, likest: str) -> str:
    """Originals, what protects them, and the best pictures recovered."""
    shown = ["none"] + ([likest] if likest != "none" else [])
    rows = [figure_of(strip(sheet.originals), "original images", "originals")]
    for name in shown:
        if name in sheet.recovered:
            rows.append(_row(evidence, sheet, name))
    return f'<div class="sheet">{"".join(rows)}</div>'


def _whole(evidence: AuditResults, sheet: Sheet) -> str:
    method = _method(evidence, sheet.method)
    rows = [figure_of(strip(sheet.originals), "original images", "originals")]
    rows += [_row(evidence, sheet, name) for name in sheet.recovered]
    return f'<h3>{_text(method.title)}</h3><div class="sheet">{"".join(rows)}</div>'


def _row(evidence: AuditResults, sheet: Sheet, attack: str) -> str:
    found = _finding(evidence, sheet.method, attack)
    title = _method(evidence, sheet.method).title
    name = f"protected: {title}" if attack == "none" else f"recovered by {attack}"
    return figure_of(
        strip(sheet.recovered[attack]),
        f"{name}; mean SSIM {found.ssim:.2f}",
        f"{_text(name)}, mean SSIM {found.ssim:.2f}",
    )


def _method(evidence: AuditResults, name: str) -> MethodResult:
    return next(method for method in evidence.methods if method.name == name)


def _finding(evidence: AuditResults, method: str, attack: str) -> AttackResult:
    return next(one for one in evidence.of(method) if one.attack == attack)


def _summary(evidence: AuditResults, verdicts: Sequence[Verdict]) -> str:
    """A row for each method: what is recovered, and what is learned."""
    rows = []
    pairs = zip(evidence.methods, verdicts, strict=True)
    for number, (method, verdict) in enumerate(pairs, 1):
        cells = [
            *([] if method.learned is None else [f"{method.learned:.0%}"]),
            *(f"{share:.0%}" for share in verdict.best.values()),
            verdict.words,
            verdict.attack,
            "by luck" if verdict.linked is None else f"{verdict.linked:.0%}",
        ]
        rows.append(
            f'<tr><th scope="row">{number}. {_text(method.title)}</th>'
            + "".join(_words(cell) for cell in cells)
            + "</tr>"
        )
    columns = [
        *([] if evidence.clean is None else ["learned"]),
        *verdicts[0].best,
        *("in words", "by", "matched"),
    ]
    learned = (
        f"Learned: accuracy, on protected images, of a network that was trained on "
        f"protected ones; trained and asked on clean images it has "
        f"{evidence.clean:.0%}. "
        if evidence.clean is not None
        else ""
    )
    head = "".join(f'<th scope="col">{column}</th>' for column in columns)
    return (
        f"<p>{learned}Recovered, by likeness and by recognition: how far an attack "
        f"comes at best on the way from a guess to the original; in words, and by "
        f"which attack, for the higher of the two. Matched: images whose originals "
        f"are picked out of all by the attack that is best at that.</p>"
        f'<div class="wide"><table><tr><th scope="col">method</th>'
        f"{head}</tr>{''.join(rows)}</table></div>"
    )


def _words(cell: str) -> str:
    words = "" if cell.endswith("%") else ' class="words"'
    return f"<td{words}>{_text(cell)}</td>"


def _trade_off(evidence: AuditResults, verdicts: Sequence[Verdict]) -> str:
    """Accuracy that is left to learn from, against the best attack."""
    if evidence.clean is None:
        return ""
    charts = (_plot(evidence, verdicts, name) for name in (LIKENESS, RECOGNITION))
    return (
        "<h2>What it hides, and what a network still learns</h2><p>To the left is "
        "better hidden, further up is better learned. Numbers are those of the table "
        "above; circles are mixing, squares all else.</p>"
        f'<div class="charts">{"".join(charts)}</div>'
    )


def _plot(evidence: AuditResults, verdicts: Sequence[Verdict], measure: str) -> str:
    figure = Figure(figsize=(4.4, 3.8), layout="constrained")
    axes = figure.subplots()
    words = []
    pairs = zip(evidence.methods, verdicts, strict=True)
    for number, (method, verdict) in enumerate(pairs, 1):
        if method.learned is None:
            continue
        best = verdict.best.get(measure, 0.0)
        place = 100 * best, 100 * method.learned
        color = "tab:blue" if method.mixes else "tab:orange"
        axes.plot(*place, "o" if method.mixes else "s", color=color, markersize=5)
        axes.annotate(
            str(number), place, (4, 3), textcoords="offset points", fontsize=9
        )
        words.append(f"{method.title}: recovered {best:.0%}, {method.learned:.0%}")
    axes.set(xlabel=f"recovered, {measure}, %", ylabel="learned, %", xlim=(-4, 104))
    axes.grid(alpha=0.3)
    return chart(figure, f"Recovered by {measure}, and learned. {'; '.join(words)}")

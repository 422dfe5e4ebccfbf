"""The audit's report: one HTML file that needs nothing else."""

import html
import json
from collections.abc import Iterable

from matplotlib.figure import Figure

from vmixjax._page import chart, figure_of, page, strip
from vmixjax.audit.evidence import Evidence, Exhibits, Finding, Protection, Sheet
from vmixjax.audit.verdict import advice, judge, shares

_STYLE = """
.verdict { font-size: 1.15rem; }
.wide { overflow-x: auto; }
.sheet { max-width: 52rem; }
.sheet img { image-rendering: pixelated; }
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


def render(evidence: Evidence, exhibits: Exhibits) -> str:
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
    sentences = [verdict.sentence for verdict in verdicts]
    main = next((sheet for sheet in sheets if sheet.method == first.name), None)
    body = f"""
<h1>What an attacker gets back</h1>
<p class="note"><strong>Keep this page as you keep the originals: it shows some of
them.</strong></p>
<p class="note verdict"><strong>{_text(first.title)}.</strong>
{_text(verdicts[0].sentence)}</p>
{_sheet(evidence, main, verdicts[0].attack) if main else ""}
<p>Measured on {evidence.images} images of {evidence.side} x {evidence.side} pixels, by
attackers who know the method and its settings and have {evidence.public} images like
them, but never a key.{resized} A better attack may exist: an audit shows what is lost
for certain, not what is safe. Mixing is obfuscation, not encryption.</p>
<h2>All methods</h2>
{_list(zip([one.title for one in methods], sentences, strict=True))}
{_trade_off(evidence)}
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
<p>PSNR against the original, in decibels, and the correlation of edges.</p>
{_table(evidence, "psnr", ".1f")}
{_table(evidence, "edges", ".2f")}
<h2>Pictures</h2>
<p>From the image that the strongest attack recovers best to the one that it recovers
worst.</p>
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


def _columns(evidence: Evidence) -> list[str]:
    there = {finding.attack for finding in evidence.findings}
    return [name for name in _ATTACKS if name in there]


def _table(evidence: Evidence, field: str, form: str) -> str:
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


def _recognition(evidence: Evidence) -> str:
    if evidence.clean is None:
        return "<p>The images have no classes, so recognition was not measured.</p>"
    return (
        f"<p>Recognition: accuracy of a classifier that was trained on clean public "
        f"images; {evidence.clean:.0%} on the originals, {1 / evidence.classes:.0%} "
        f"by luck.</p>{_table(evidence, 'recognised', '.0%')}"
    )


def _faces(evidence: Evidence) -> str:
    if all(finding.faces is None for finding in evidence.findings):
        return ""
    return (
        "<p>Faces that scikit-image's cascade finds, of those it finds in the "
        f"originals.</p>{_table(evidence, 'faces', '.0%')}"
    )


def _sheet(evidence: Evidence, sheet: Sheet, strongest: str) -> str:
    """Originals, what protects them, and the strongest attack."""
    shown = ["none"] + ([strongest] if strongest != "none" else [])
    rows = [figure_of(strip(sheet.originals), "original images", "originals")]
    for name in shown:
        if name in sheet.recovered:
            rows.append(_row(evidence, sheet, name))
    return f'<div class="sheet">{"".join(rows)}</div>'


def _whole(evidence: Evidence, sheet: Sheet) -> str:
    method = _method(evidence, sheet.method)
    rows = [figure_of(strip(sheet.originals), "original images", "originals")]
    rows += [_row(evidence, sheet, name) for name in sheet.recovered]
    return f'<h3>{_text(method.title)}</h3><div class="sheet">{"".join(rows)}</div>'


def _row(evidence: Evidence, sheet: Sheet, attack: str) -> str:
    found = _finding(evidence, sheet.method, attack)
    title = _method(evidence, sheet.method).title
    name = f"protected: {title}" if attack == "none" else f"recovered by {attack}"
    return figure_of(
        strip(sheet.recovered[attack]),
        f"{name}; mean SSIM {found.ssim:.2f}",
        f"{_text(name)}, mean SSIM {found.ssim:.2f}",
    )


def _method(evidence: Evidence, name: str) -> Protection:
    return next(method for method in evidence.methods if method.name == name)


def _finding(evidence: Evidence, method: str, attack: str) -> Finding:
    return next(one for one in evidence.of(method) if one.attack == attack)


def _trade_off(evidence: Evidence) -> str:
    """Accuracy that is left to learn from, against the best attack."""
    if evidence.clean is None:
        return ""
    measures = ("likeness (SSIM)", "recognition")
    figure = Figure(figsize=(7.2, 3.6), layout="constrained")
    words = []
    for axes, measure in zip(figure.subplots(1, 2, sharey=True), measures, strict=True):
        for i, method in enumerate(evidence.methods):
            if method.learned is None:
                continue
            best = max(
                shares(evidence, finding).get(measure, 0.0)
                for finding in evidence.of(method.name)
            )
            best = min(max(best, 0.0), 1.0)
            axes.plot(
                100 * best,
                100 * method.learned,
                "o" if method.name.startswith("mix") else "s",
                color=f"C{i % 10}",
                label=method.name,
            )
            words.append(f"{method.name}: {measure} {best:.0%}, {method.learned:.0%}")
        axes.set(xlabel=f"best attack, {measure}, %", xlim=(-4, 104))
        axes.grid(alpha=0.3)
    figure.axes[0].set(ylabel="accuracy learned from it, %")
    dots, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(dots, names, loc="outside right upper", fontsize=8)
    return (
        "<h2>What it hides, and what a network still learns</h2><p>To the left is "
        "better hidden, further up is better learned. Round: mixing.</p>"
        + chart(figure, "; ".join(words))
    )

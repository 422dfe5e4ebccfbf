"""The demo's page: one HTML file that needs nothing else."""

import html
import math

from matplotlib.figure import Figure

from vmixjax._page import chart, figure_of, page, strip
from vmixjax.data.digits import ENLARGED
from vmixjax.demo.learning import Lessons
from vmixjax.demo.photographs import CONFIG, MixedPhotograph, Photograph

_STYLE = """
.photograph { display: grid; gap: 1rem; align-items: start; }
.photograph > * { min-width: 0; }
.before figure { width: 50%; }
.mix { display: grid; grid-template-columns: 1fr 1fr; gap: .25rem; }
.mix img, .digits img { image-rendering: pixelated; }
.digits { max-width: 68rem; }
@media (min-width: 44rem) {
  .photograph { grid-template-columns: 1fr 1fr; max-width: 41rem; }
  .before figure { width: 100%; } .mix { display: block; } }
@media (min-width: 72rem) {
  .photograph { grid-template-columns: repeat(4, 1fr); max-width: none; } }
"""


def render(photographs: list[Photograph], lessons: Lessons) -> str:
    """The page as HTML text, every picture in it as a data URI."""
    clean, mixed = lessons.curves
    lost = 100 * (clean.accuracies[-1] - mixed.accuracies[-1])
    tile, region, own = CONFIG.tile_size, lessons.region, lessons.region // ENLARGED
    body = f"""
<h1>Images that networks can train on, made hard to recognise</h1>
<p>vmixjax shuffles the pixels of an image inside regions, each colour channel by
itself, until a desired Visual Feature Entropy (VFE) is reached. Nothing is added and
nothing lost: whoever has the key and the plan can restore every pixel.</p>
<p class="note"><strong>This is obfuscation, not encryption.</strong> A shuffle inside
regions leaves the values of each region, and so its mean colour. Those means need no
key; they stand with each mixed picture below. Judge by them: what you can still make
out there, anybody can.</p>
<h2>Photographs, mixed</h2>
<p>VFE is the squared difference between neighbouring pixels (black 0, white 1, 0 beyond
the edge of a tile), summed over tiles of {tile} x {tile} pixels and averaged. Shuffling
makes neighbours differ, so VFE rises as shapes and textures are lost. It does not
measure safety.</p>
<p>Strength is a place in the range of VFE that an image can reach. At 0 every tile is
already shuffled, but weakly: these pictures are easily recognised. At 1 all tiles are
shuffled in regions of {CONFIG.ladder[-1][0]} pixels. Even then something that fills the
picture keeps its outline. The photographs are {photographs[0].image.shape[1]} pixels
wide; in a larger picture of the same thing, the same regions hide less.</p>
<p>In the tables, <em>target</em> is the VFE that was asked for, <em>expected</em> what
the plan promised, without a trial shuffle, from sums over the image, and
<em>measured</em> what the mixed picture has.</p>
{"".join(_photograph(photograph) for photograph in photographs)}
<h2>The same small network, trained on clean and on mixed images</h2>
<p>Handwritten digits (scikit-learn's, enlarged {ENLARGED} times):
{lessons.train_images} to train on, {lessons.test_images} to test. The mixed network
sees only mixed images, in training and in testing. Every training image is shuffled
anew at every step by a key that is then forgotten, in regions of {region} x {region}
pixels, which are {own} x {own} of the digit before it was enlarged. That leaves the
network the values of each region, but not their places in it.</p>
{_digits(lessons)}
{_curves(lessons)}
<p>Test accuracy at the end: <strong>{clean.accuracies[-1]:.1%}</strong> clean,
<strong>{mixed.accuracies[-1]:.1%}</strong> mixed, a difference of
{lost:.1f} percentage points; guessing gets about {1 / len(lessons.clean):.0%}. This is
one run with one seed on a small test set, where one image is
{100 / lessons.test_images:.1f} points.</p>
<p class="note">What this page shows is that the tool works. It is no evidence that your
images are safe: attacks that learn from similar pictures get back more than means.</p>
"""
    return page("vmixjax demo", body, _STYLE)


def _photograph(photograph: Photograph) -> str:
    name = photograph.name
    original = figure_of(
        photograph.image, f"{name}, original", f"original, VFE {photograph.vfe:.1f}"
    )
    mixes = "".join(_mixed(name, mix) for mix in photograph.mixes)
    return (
        f'<h3>{html.escape(name)}</h3><div class="photograph"><div class="before">'
        f"{original}{_vfe_table(photograph)}</div>{mixes}</div>"
    )


def _mixed(name: str, mix: MixedPhotograph) -> str:
    low, high = mix.regions
    size = f"{low}" if low == high else f"{low} to {high}"
    at = f"strength {mix.strength:g}"
    mixed = figure_of(
        mix.image, f"{name}, mixed at {at}", f"{at}: mixed, VFE {mix.realised:.1f}"
    )
    means = figure_of(
        mix.means,
        f"{name}, means of its regions at {at}",
        f"{at}: region means, {size} px",
    )
    return f'<div class="mix">{mixed}{means}</div>'


def _vfe_table(photograph: Photograph) -> str:
    mixes = photograph.mixes
    # On its side, to fit under its photograph.
    rows = {
        "target": [
            f"{m.target:.2f}" if math.isfinite(m.target) else "strongest" for m in mixes
        ],
        "expected": [f"{m.expected:.2f}" for m in mixes],
        "measured": [f"{m.realised:.2f}" for m in mixes],
    }
    head = "".join(f'<th scope="col">{m.strength:g}</th>' for m in mixes)
    body = "".join(
        f'<tr><th scope="row">{name}</th>'
        + "".join(f"<td>{value}</td>" for value in values)
        + "</tr>"
        for name, values in rows.items()
    )
    return f'<table><tr><th scope="row">strength</th>{head}</tr>{body}</table>'


def _digits(lessons: Lessons) -> str:
    figures = "".join(
        figure_of(
            strip(row),
            label,
            label,
        )
        for row, label in (
            (lessons.clean, "digits as they are"),
            (lessons.mixed, "the same digits, mixed"),
            (lessons.means, "the means of their regions"),
        )
    )
    return f'<div class="digits">{figures}</div>'


def _curves(lessons: Lessons) -> str:
    # Small, so that its letters can still be read on a phone.
    figure = Figure(figsize=(5.2, 3.4), layout="constrained")
    axes = figure.subplots()
    for curve, style in zip(lessons.curves, ("-", "--"), strict=True):
        axes.plot(
            curve.steps,
            [100 * accuracy for accuracy in curve.accuracies],
            style,
            label=f"{curve.name}: {curve.accuracies[-1]:.1%}",
        )
    axes.set(xlabel="training step", ylabel="test accuracy, %", ylim=(0, 101))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    return chart(
        figure,
        f"Test accuracy over training steps. {lessons.curves[0].name} ends at "
        f"{lessons.curves[0].accuracies[-1]:.1%}, {lessons.curves[1].name} at "
        f"{lessons.curves[1].accuracies[-1]:.1%}.",
    )

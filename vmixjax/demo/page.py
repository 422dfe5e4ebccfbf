"""The demo's page: one HTML file that needs nothing else."""

import base64
import html
import io

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from vmixjax.demo.learning import Lessons
from vmixjax.demo.photographs import MixedPhotograph, Photograph

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1b1f24; background: #fff;
  max-width: 68rem; margin: 0 auto; padding: 1rem; }
h1 { line-height: 1.2; } h2 { margin-top: 2.5rem; }
figure { margin: 0; } figcaption { font-size: .85rem; color: #454c55; }
img { display: block; width: 100%; height: auto; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: .25rem; }
.row { display: grid; gap: 1rem; grid-template-columns: 1fr 2fr 2fr 2fr;
  align-items: start; margin-bottom: 1.5rem; }
.digits img { image-rendering: pixelated; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; } th, td { padding: .3rem .8rem; text-align: right;
  border-bottom: 1px solid #d5d9de; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
.note { background: #f3f5f7; border-left: 4px solid #8a94a0; padding: .6rem 1rem; }
@media (max-width: 48rem) { .row { grid-template-columns: 1fr; }
  .row > figure:first-child { max-width: 50%; } }
"""


def render(photographs: list[Photograph], lessons: Lessons) -> str:
    """The page as HTML text, every picture in it as a data URI."""
    clean, mixed = lessons.curves
    lost = 100 * (clean.accuracies[-1] - mixed.accuracies[-1])
    body = f"""
<h1>Images that networks can train on and people cannot recognise</h1>
<p>vmixjax shuffles the pixels of an image inside regions, each colour channel by
itself, until a desired Visual Feature Entropy (VFE) is reached. Nothing is added and
nothing lost: who has the key can restore every pixel.</p>
<p class="note"><strong>This is obfuscation, not encryption.</strong> A shuffle inside
regions leaves the mean colour of each region. Those means need no key; they stand
beside each mixed picture below. Judge by them: what you can still make out there,
anybody can.</p>
<h2>Photographs, mixed</h2>
<p>Strength is a place in the range of VFE that an image can reach. At 0 every tile is
already shuffled, but weakly: these pictures are easily recognised. At 1 all tiles are
shuffled in regions of 32 pixels. The photographs are {photographs[0].image.shape[1]}
pixels wide; in a larger picture of the same thing, the same regions hide less.</p>
{"".join(_photograph(photograph) for photograph in photographs)}
<h2>How much was asked for, how much came</h2>
<div class="scroll">{_vfe_table(photographs)}</div>
<p>The plan is found without a trial shuffle: the expected VFE of a random shuffle
follows from sums over the image.</p>
<h2>The same small network, trained on clean and on mixed images</h2>
<p>Handwritten digits (scikit-learn's, enlarged to 32 x 32): {lessons.train_images} to
train on, {lessons.test_images} to test. The mixed network sees only mixed images, in
training and in testing; every image is shuffled anew at every step, in regions of
{lessons.region} x {lessons.region} pixels, by a key that is then forgotten.</p>
{_digits(lessons)}
<figure><img alt="Test accuracy over training steps. Clean ends at
{clean.accuracies[-1]:.1%}, mixed at {mixed.accuracies[-1]:.1%}."
src="{_curves(lessons)}"></figure>
<p>Test accuracy at the end: <strong>{clean.accuracies[-1]:.1%}</strong> clean,
<strong>{mixed.accuracies[-1]:.1%}</strong> mixed, a difference of
{lost:.1f} percentage points. One run with one seed on a small test set: one image is
{100 / lessons.test_images:.1f} points.</p>
<p class="note">What this page shows is that the tool works. It is no evidence that your
images are safe: attacks that learn from similar pictures get back more than means.</p>
"""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>vmixjax demo</title><style>{_STYLE}</style></head>"
        f"<body>{body}</body></html>\n"
    )


def _photograph(photograph: Photograph) -> str:
    name = html.escape(photograph.name)
    original = _figure(
        photograph.image,
        f"{name}, original",
        f"<strong>{name}</strong>, VFE {photograph.vfe:.1f}",
    )
    mixes = "".join(_mixed(name, mix) for mix in photograph.mixes)
    return f'<div class="row">{original}{mixes}</div>'


def _mixed(name: str, mix: MixedPhotograph) -> str:
    low, high = mix.regions
    size = f"{low}" if low == high else f"{low} to {high}"
    at = f"at strength {mix.strength:g}"
    images = _img(mix.image, f"{name}, mixed {at}")
    images += _img(mix.means, f"{name}, means of its regions {at}")
    return (
        f'<figure><div class="pair">{images}</div><figcaption>strength '
        f"{mix.strength:g}, VFE {mix.realised:.1f}; right: the means of its "
        f"regions of {size} pixels</figcaption></figure>"
    )


def _figure(image: np.ndarray, alt: str, caption: str) -> str:
    return f"<figure>{_img(image, alt)}<figcaption>{caption}</figcaption></figure>"


def _vfe_table(photographs: list[Photograph]) -> str:
    strengths = [mix.strength for mix in photographs[0].mixes]
    head = "".join(f"<th>strength {s:g}: expected</th><th>came</th>" for s in strengths)
    rows = "".join(
        f"<tr><td>{html.escape(p.name)}</td><td>{p.vfe:.2f}</td>"
        + "".join(
            f"<td>{m.expected:.2f}</td><td>{m.realised:.2f}</td>" for m in p.mixes
        )
        + "</tr>"
        for p in photographs
    )
    return f"<table><tr><th>VFE</th><th>before</th>{head}</tr>{rows}</table>"


def _digits(lessons: Lessons) -> str:
    rows = [
        np.concatenate([np.pad(x, 1, constant_values=255) for x in images[..., 0]], 1)
        for images in (lessons.clean, lessons.mixed)
    ]
    labels = ("Digits as they are", "The same digits, mixed")
    figures = (
        _figure(row, label, label) for row, label in zip(rows, labels, strict=True)
    )
    return f'<div class="digits">{"".join(figures)}</div>'


def _curves(lessons: Lessons) -> str:
    figure = Figure(figsize=(8, 4), layout="constrained")
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
    buffer = io.BytesIO()
    # No metadata: nothing of the machine that drew it.
    figure.savefig(buffer, format="png", dpi=120, metadata={"Software": None})
    return _uri(buffer.getvalue())


def _img(image: np.ndarray, alt: str) -> str:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return f'<img alt="{html.escape(alt)}" src="{_uri(buffer.getvalue())}">'


def _uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"

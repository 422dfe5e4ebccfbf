"""Pages for people: one HTML file each, which needs nothing else."""

import base64
import html
import io

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

# Small screens first. Pixelated, because a browser that smooths a picture it has no
# room for averages neighbours: the reader would see the means and not the mix.
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1b1f24; background: #fff;
  max-width: 83rem; margin: 0 auto; padding: 1rem; }
h1, h2, h3 { line-height: 1.2; } h2 { margin-top: 2.5rem; }
body > p, body > ul { max-width: 46rem; }
figure { margin: 0 0 .5rem; } figcaption { font-size: .85rem; color: #454c55; }
img { display: block; width: 100%; height: auto; }
.chart { max-width: 46rem; margin-top: 1.5rem; }
table { border-collapse: collapse; font-size: .8rem; }
th, td { padding: .25rem; text-align: right; border-bottom: 1px solid #d5d9de; }
th:first-child { text-align: left; }
.note { background: #f3f5f7; border-left: 4px solid #8a94a0; padding: .6rem 1rem; }
"""


def page(title: str, body: str, style: str = "") -> str:
    """A whole page, with the common style and more."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}{style}</style></head>"
        f"<body>{body}</body></html>\n"
    )


def figure_of(image: np.ndarray, alt: str, caption: str) -> str:
    """A picture with words below it; the caption is HTML."""
    return f"<figure>{_img(image, alt)}<figcaption>{caption}</figcaption></figure>"


def chart(figure: Figure, alt: str) -> str:
    """A plot."""
    buffer = io.BytesIO()
    # No metadata: nothing of the machine that drew it.
    figure.savefig(buffer, format="png", dpi=200, metadata={"Software": None})
    return (
        f'<figure class="chart"><img alt="{html.escape(alt)}" '
        f'src="{_uri(buffer.getvalue())}"></figure>'
    )


def strip(images: np.ndarray) -> np.ndarray:
    """Images (K, H, W, C) side by side, with white between them, as one."""
    framed = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=255)
    row = np.concatenate(list(framed), 1)
    return row[..., 0] if row.shape[2] == 1 else row


def _img(image: np.ndarray, alt: str) -> str:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return f'<img alt="{html.escape(alt)}" src="{_uri(buffer.getvalue())}">'


def _uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"

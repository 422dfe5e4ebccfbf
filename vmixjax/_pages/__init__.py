"""Pages for people, from Jinja2's templates: one HTML file each, which needs no other.

A page's template extends `_pages/base.html.jinja`, and takes what it shows from the
macros of `_pages/parts.html.jinja`. All text is escaped.
"""

import base64
import functools
import io
from typing import Any

import jinja2
import numpy as np
from matplotlib.figure import Figure
from PIL import Image


def render(template: str, **values: Any) -> str:
    """Renders a page as HTML; a value that the template shows and lacks raises.

    A template is named by its path in the package: `"audit/report/report.html.jinja"`.
    """
    return _environment().get_template(template).render(values)


def strip(images: np.ndarray) -> np.ndarray:
    """Images (K, H, W, C) side by side, with white between them, as one (H, W', C)."""
    framed = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=255)
    return np.concatenate(list(framed), 1)


def data_uri(shown: np.ndarray | Figure) -> str:
    """A picture, uint8 (H, W, C), or a plot, as a URI that holds it as PNG."""
    buffer = io.BytesIO()
    if isinstance(shown, Figure):
        # No metadata: nothing of the machine that drew it.
        shown.savefig(buffer, format="png", dpi=200, metadata={"Software": None})
    else:
        grey = shown.shape[-1] == 1
        Image.fromarray(shown[..., 0] if grey else shown).save(buffer, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("vmixjax", ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(data_uri=data_uri, number=format, strip=strip)
    return environment

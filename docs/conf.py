"""How the pages are built: `sphinx-build -W docs docs/_build/html` (extra `docs`)."""

import re
import shutil
import typing
from pathlib import Path
from typing import Any

import jax.typing
import numpy.typing
import sphinx.util.inspect
from flax import nnx
from sphinx.application import Sphinx
from sphinx.util.inspect import stringify_signature

HERE = Path(__file__).parent

project = "vmixjax"
author = "the authors of vmixjax"
copyright = "the authors of vmixjax, Apache-2.0"  # Sphinx asks for this name.
extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "myst_nb",
]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "vmixjax"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_show_sourcelink = False
html_copy_source = False
templates_path: list[str] = []

# Pages.
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # They are committed with the outputs of a whole run.
nb_merge_streams = True
copybutton_exclude = ".linenos, .gp, .go"

# The reference. Docstrings are Markdown in spirit: what stands between single backticks
# is a name, linked where it is one of ours.
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 78
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_attr_annotations = False
napoleon_use_rtype = False

# By its name in signatures, instead of the union that it stands for.
for module in (jax.typing, numpy.typing):
    module.ArrayLike = typing.NewType("ArrayLike", object)

# Sphinx wants sources in one folder.
shutil.copytree(HERE.parent / "colab", HERE / "notebooks", dirs_exist_ok=True)


def _indented_is_code(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Shows indented blocks of docstrings as they stand, as Markdown does."""
    if what in ("data", "attribute"):
        lines.insert(0, "")  # Or Napoleon takes what stands before a colon for a type.
    paragraph_then_block = r"(?m)^(\S.*(?<!::))\n\n(?= {4}\S)"
    code = r"\1\n\n.. code-block:: text\n\n"
    lines[:] = re.sub(paragraph_then_block, code, "\n".join(lines)).split("\n")


def _legible(
    app: Sphinx,
    what: str,
    name: str,
    obj: Any,
    options: Any,
    signature: str | None,
    returns: str | None,
) -> tuple[str | None, str | None]:
    """Signatures of networks are those of their parts; functions have their names."""
    if what == "class" and issubclass(obj, nnx.Module):
        own = sphinx.util.inspect.signature(obj.__init__, bound_method=True)
        signature = stringify_signature(own, unqualified_typehints=True)
    if signature:
        signature = re.sub(r"<function (\w+)[^>]*>", r"\1", signature)
        signature = signature.replace("<factory>", "...")
    return signature, returns


def setup(app: Sphinx) -> None:
    """Before Napoleon (priority 500), which indents sections itself."""
    app.connect("autodoc-process-docstring", _indented_is_code, priority=400)
    app.connect("autodoc-process-signature", _legible)

"""Runs a notebook from top to bottom, in its fast mode and an empty folder."""

import os
import re
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "colab").glob("*.ipynb"))


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def run(path, folder):
    """The notebook with what its cells put out; its source is as it was.

    Raises CellExecutionError: a cell failed.
    """
    notebook = nbformat.read(path, as_version=4)
    cells = code_cells(notebook)
    sources = [cell.source for cell in cells]
    switches = 0
    for cell in cells:
        cell.source, count = re.subn(r"(?m)^FAST = .*", "FAST = True", cell.source)
        switches += count
    if switches != 1:
        raise ValueError(f"{path} sets FAST in {switches} lines; it must be 1")
    found = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    client = NotebookClient(
        notebook,
        timeout=1800,
        kernel_name="python3",
        coalesce_streams=True,
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(found)}
    client.execute(env=environment)
    for cell, source in zip(cells, sources, strict=True):
        cell.source = source
    return notebook

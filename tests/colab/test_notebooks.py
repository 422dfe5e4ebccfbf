"""The notebooks in colab/ run from top to bottom, and are fit to be shown."""

import re
import tomllib

import nbformat
import pytest
from running import NOTEBOOKS, ROOT, code_cells, run

REPOSITORY = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"][
    "Repository"
]
COMPLAINT = re.compile(r"warning|error|traceback|exception", re.IGNORECASE)
MACHINE_PATH = re.compile(r"(?<![\w.])/(tmp|home|root|Users|work|mnt|opt|var|usr)/")

every_notebook = pytest.mark.parametrize(
    "path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS]
)


def complaints(notebook):
    """What cells wrote to standard error that a reader should not see."""
    return [
        output.text
        for cell in code_cells(notebook)
        for output in cell.outputs
        if output.output_type == "stream"
        and output.name == "stderr"
        and COMPLAINT.search(output.text)
    ]


def test_the_notebooks_are_there():
    assert {path.stem for path in NOTEBOOKS} == {
        "quickstart",
        "train",
        "audit",
        "tasks",
    }


@pytest.mark.long
@every_notebook
def test_runs_from_top_to_bottom(path, tmp_path, monkeypatch):
    # Its own folders for IPython and Jupyter: what a user has set up changes nothing.
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    folder = tmp_path / "reader"
    folder.mkdir()
    notebook = run(path, folder)
    assert complaints(notebook) == []


@every_notebook
def test_is_fit_to_be_shown(path):
    assert path.stat().st_size < 1.5e6
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    first = notebook.cells[0].source
    opens = REPOSITORY.removeprefix("https://") + f"/blob/main/colab/{path.name}"
    badge = "https://colab.research.google.com/assets/colab-badge.svg"
    assert (
        f"({badge})](https://colab.research.google.com/{opens})".replace(
            "google.com/github.com", "google.com/github"
        )
        in first
    )
    for cell in notebook.cells:
        for url in re.findall(r"https://github\.com/[\w-]+/[\w-]+", cell.source):
            assert url == REPOSITORY


@every_notebook
def test_outputs_are_those_of_one_whole_run(path):
    notebook = nbformat.read(path, as_version=4)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert not any(output.output_type == "error" for output in outputs)
    assert complaints(notebook) == []
    pictures = [
        o for o in outputs if {"image/png", "image/jpeg"} & {*o.get("data", ())}
    ]
    assert len(pictures) >= 2


@every_notebook
def test_names_no_path_of_a_machine(path):
    notebook = nbformat.read(path, as_version=4)
    texts = [cell.source for cell in notebook.cells]
    for cell in code_cells(notebook):
        for output in cell.outputs:
            texts.append(output.get("text", ""))
            data = output.get("data", {})
            texts += [str(data[kind]) for kind in data if kind.startswith("text/")]
    assert [text for text in texts if MACHINE_PATH.search(text)] == []


@every_notebook
def test_holds_no_secret(path):
    # 32 bytes in hexadecimal or base64: what secrets and tokens look like.
    secret = re.compile(r"(?<![\w/+])([0-9a-f]{64}|[A-Za-z0-9+/]{43}=)(?![\w/+=])")
    for cell in nbformat.read(path, as_version=4).cells:
        texts = [
            cell.source,
            *(str(o.get("text", "")) for o in cell.get("outputs", [])),
        ]
        assert not any(secret.search(text) for text in texts)

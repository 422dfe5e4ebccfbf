"""Training is built on what the library shows to everybody."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]


def nodes(folder):
    """(file, node) of all syntax below a folder."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        yield from ((path, node) for node in ast.walk(ast.parse(path.read_text())))


def imports(folder, package):
    """What the files below a folder import of another package, by its whole name."""
    for path, node in nodes(folder):
        if isinstance(node, ast.Import):
            names = [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [f"{node.module}.{name.name}" for name in node.names]
        else:
            continue
        yield from ((path, n) for n in names if n.split(".")[0] == package)


def test_train_imports_public_names_alone():
    found = list(imports("train", "vmixjax"))
    assert {name for _, name in found} >= {"vmixjax", "vmixjax.data.open_source"}
    assert [one for one in found if "._" in one[1]] == []
    assert [one for one in found if one[1].startswith("vmixjax.demo")] == []


def test_train_reaches_for_nothing_private():
    attributes = (n for _, n in nodes("train") if isinstance(n, ast.Attribute))
    of_ours = [n for n in map(ast.unparse, attributes) if n.startswith("vmixjax.")]
    assert of_ours
    assert [name for name in of_ours if "._" in name] == []


def test_the_library_imports_nothing_of_train():
    assert list(imports("vmixjax", "train")) == []

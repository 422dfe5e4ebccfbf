"""What other packages add to an audit, and what of our own must be in its dicts."""

import ast
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import vmixjax
from vmixjax.attacks import ATTACKS, Attack
from vmixjax.cli import main
from vmixjax.errors import RunError
from vmixjax.methods import METHODS
from vmixjax.metrics import METRICS, Metric

MADE = """
import numpy as np

from vmixjax.attacks import Attack, Study, StudyResult
from vmixjax.methods import Method, Protection
from vmixjax.metrics import Metric


def recover(key, protected, threat_model, budget):
    again = threat_model.repeats(budget["looks"])
    assert len(again) == budget["looks"] == 2
    assert threat_model.pairs(3)[1].shape[0] == 3
    return 255 - protected


def study(trial):
    shown = np.asarray(trial.images[:2])
    found = {"images": len(trial.images), "half": 0.5}
    return StudyResult(found, shown, {"lines": 255 - shown})


ATTACK = Attack(
    name="negate",
    about="a <b>negative</b> of the negative",
    recover=recover,
    applies=lambda protection, side: protection.method == "negative",
    study=Study(
        name="halves",
        run=study,
        subjects=lambda protections: protections[:1],
        section="Halves of <things>",
        text=lambda first: f"Of {first['images']} images.",
        columns={"one half": "half"},
        number=".1%",
        captions={"lines": "lines of {title}"},
    ),
    budgets={name: {"looks": 2} for name in ("quick", "hour", "full")},
)


def build(shape, strength):
    return Protection(lambda key, image: 255 - image, keys="none")


METHOD = Method("negative", "a negative", build, remark="Hides nothing.")

METRIC = Metric(
    name="darkness",
    prepare=lambda reference: lambda images: 1 - images.mean((1, 2, 3)) / 255,
    about="How dark {images} images are; a guess has {guess:.1%}.",
    number=".2%",
)
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A package with one of each, as pip would leave it."""
    site = tmp_path / "site"
    (site / "made-1.dist-info").mkdir(parents=True)
    (site / "made_by_others.py").write_text(MADE)
    (site / "made-1.dist-info" / "METADATA").write_text("Name: made\nVersion: 1\n")
    (site / "made-1.dist-info" / "entry_points.txt").write_text(
        "[vmixjax.attacks]\nnegate = made_by_others:ATTACK\n"
        "[vmixjax.methods]\nnegative = made_by_others:METHOD\n"
        "[vmixjax.metrics]\ndarkness = made_by_others:METRIC\n"
    )
    for registry in (ATTACKS, METHODS, METRICS):
        len(registry)  # so that what was there comes back afterwards
        monkeypatch.delitem(vars(registry), "_places")
    monkeypatch.syspath_prepend(site)
    return site


@pytest.mark.usefixtures("tiny", "installed")
def test_attack_method_and_metric_of_another_package_reach_the_report(digits, tmp_path):
    out = tmp_path / "out"
    command = ["audit", str(digits / "private"), "--public", str(digits / "public")]
    command += ["--out", str(out), "--methods", "negative", "pixelate:4"]
    assert main([*command, "--attacks", "thumbnail", "negate"]) == 0
    found = json.loads((out / "audit.json").read_text())
    made = {(one["method"], one["attack"]): one for one in found["findings"]}
    assert made.keys() == {
        ("negative", "none"),
        ("negative", "negate"),
        ("pixelate:4", "none"),
        ("pixelate:4", "thumbnail"),
    }
    undone = made["negative", "negate"]
    assert (undone["ssim"], undone["psnr"], undone["reidentified"]) == (1, 99, 1)
    assert list(undone)[-2:] == ["darkness", "seconds"]
    assert 0 < undone["darkness"] < 1
    assert found["guess"]["darkness"] > 0
    assert found["halves"] == [{"method": "negative", "images": 24, "half": 0.5}]
    assert found["settings"]["budget"]["looks"] == 2
    page = (out / "report.html").read_text()
    assert "<strong>negate.</strong> a &lt;b&gt;negative&lt;/b&gt; of the" in page
    assert f"How dark 24 images are; a guess has {found['guess']['darkness']:.1%}" in (
        page
    )
    assert f'<td class="best">{undone["darkness"]:.2%}</td>' in page
    assert "<h2>Halves of &lt;things&gt;</h2>" in page
    assert '<tr><th scope="row">a negative</th><td>50.0%</td></tr>' in page
    assert "<figcaption>lines of a negative</figcaption>" in page


def test_help_and_complaints_name_what_is_installed(installed):
    words = f"What to try: {', '.join(ATTACKS)}."
    assert words.endswith("soft_labels, negate.")
    shown = subprocess.run(
        [sys.executable, "-m", "vmixjax.cli", "audit", "--help"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(installed), *sys.path])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert words in " ".join(shown.stdout.replace("│", " ").split())
    with pytest.raises(RunError, match=r"'nagate' is none of .*; did you mean negate"):
        ATTACKS.find("--attacks", "nagate")


def entries(folder, names, kind):
    """Where entries of a kind are, in a folder's files, and by their registry."""
    files = {
        path.stem: getattr(importlib.import_module(f"{folder}.{path.stem}"), names)
        for path in (Path(vmixjax.__file__).parent / folder.partition(".")[2]).iterdir()
        if path.suffix == ".py"
        and any(
            isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == names
            for line in ast.parse(path.read_text()).body
        )
    }
    assert all(isinstance(entry, kind) for entry in files.values())
    return files.values()


@pytest.mark.parametrize(
    ("folder", "names", "kind", "registry"),
    [
        ("vmixjax.attacks", "ATTACK", Attack, ATTACKS),
        ("vmixjax.metrics", "METRIC", Metric, METRICS),
    ],
)
def test_no_file_is_forgotten_in_its_dict(folder, names, kind, registry):
    there = entries(folder, names, kind)
    assert {id(entry) for entry in there} == {id(x) for x in registry.values()}
    assert len(there) == len(registry)


def test_each_attack_says_what_it_is_and_each_budget_is_for_all():
    for attack in ATTACKS.values():
        assert attack.about
        assert not attack.about.endswith(".")
        assert attack.recover or attack.recognise or attack.study
        assert not (attack.recover and attack.recognise)
        assert attack.budgets.keys() in ({}.keys(), {"quick", "hour", "full"})

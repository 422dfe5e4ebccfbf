"""Audits of images that have boxes or masks instead of classes."""

import json
import sys

import numpy as np
import pytest
from made_places import squares, write_places

from vmixjax import audit
from vmixjax.audit.budgets import BUDGETS
from vmixjax.cli import main

SIDE = 32


@pytest.fixture(autouse=True)
def quick(tiny, monkeypatch):
    """As many steps as it takes to see that something is learned."""
    sizes = BUDGETS["quick"] | {"recogniser_steps": 60, "side": SIDE}
    monkeypatch.setitem(BUDGETS, "quick", sizes)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """The same images with boxes, with masks, with both, and with classes besides."""
    root = tmp_path_factory.mktemp("places")
    images, objects, masks = squares(88, SIDE)
    labels = np.arange(len(images)) % 2
    kinds = {
        "boxes": {"objects": objects},
        "masks": {"masks": masks},
        "both": {"objects": objects, "masks": masks},
        "all": {"objects": objects, "masks": masks, "labels": labels},
    }
    return {
        name: write_places(root / name, images, **kind) for name, kind in kinds.items()
    }


def audited(source, out, capsys, methods=("pixelate:32",)):
    """Status, what is said, audit.json and the report."""
    command = ["audit", source, "--out", str(out), "--attacks", "thumbnail"]
    status = main([*command, "--methods", *methods])
    said = capsys.readouterr()
    if status:
        return status, said.out + said.err, None, None
    found = json.loads((out / "audit.json").read_text())
    page = " ".join((out / "report.html").read_text().split())
    return status, said.out + said.err, found, page


@pytest.mark.parametrize(
    ("kind", "utility", "learner", "title"),
    [
        ("boxes", "ap50", "detector", "AP at IoU 0.5"),
        ("masks", "mean_iou", "segmenter", "mean IoU"),
    ],
)
def test_what_is_learned_of_places_stands_beside_what_comes_back(
    sources, tmp_path, capsys, kind, utility, learner, title
):
    methods = ("pixelate:32", "pixelate:2")
    status, said, found, page = audited(
        sources[kind], tmp_path / "out", capsys, methods
    )
    assert status == 0
    assert (found["utility"], found["classes"]) == (utility, 0)
    # Nothing but a mean colour is left of one, nearly everything of the other.
    lost, left = (one["learned"] for one in found["methods"])
    assert lost + 0.15 < left
    assert lost + 0.15 < found["clean"] <= 1
    assert f"A {learner} that learns from images so protected comes to {title}" in said
    assert f"Learned: {title}, on protected images, of a {learner} that was" in page
    assert f'<th scope="col">learned, {title}</th>' in page
    assert f"Recovered by likeness (SSIM), and {title} of a {learner}." in page
    # Recognition is of classes, and splits are none.
    assert "so recognition was not measured" in page
    assert {one["recognised"] for one in found["findings"]} == {None}
    networks = {path.name for path in (tmp_path / "out" / "work").glob("*.npz")}
    assert f"clean-{learner}.npz" in networks
    assert not any("network" in name for name in networks)


@pytest.mark.parametrize(
    ("kind", "utility", "line"),
    [
        ("both", "ap50", "boxes and masks: what networks learn is AP at IoU 0.5, of"),
        ("all", "accuracy", "classes and boxes and masks: what networks learn is acc"),
    ],
)
def test_of_several_the_first_is_learned_and_named(
    sources, tmp_path, capsys, kind, utility, line
):
    _, said, found, _ = audited(sources[kind], tmp_path / "out", capsys)
    assert f"vmixjax: the images have {line}" in said
    assert found["utility"] == utility


@pytest.fixture
def bare(monkeypatch):
    """As if hotcoco were not installed."""
    monkeypatch.setitem(sys.modules, "hotcoco", None)


@pytest.mark.usefixtures("bare")
def test_without_hotcoco_a_line_says_so_and_the_rest_is_measured(
    sources, tmp_path, capsys
):
    status, said, found, page = audited(sources["boxes"], tmp_path / "out", capsys)
    assert status == 0
    print([one for one in said.splitlines() if "hotcoco" in one])
    (line,) = (one for one in said.splitlines() if "hotcoco" in one)
    assert line == (
        "vmixjax: hotcoco is not installed: AP at IoU 0.5, of boxes, is not measured; "
        "pip install 'vmixjax[detect]' and run this again to have it"
    )
    assert (found["utility"], found["clean"]) == (None, None)
    assert found["methods"][0]["learned"] is None
    assert "Learned:" not in page


@pytest.mark.usefixtures("bare")
def test_what_cannot_be_measured_cannot_be_matched(sources, tmp_path, capsys):
    methods = ("pixelate:4", "gaussian_noise:match")
    status, said, *_ = audited(sources["boxes"], tmp_path / "out", capsys, methods)
    assert status == 2
    assert "nothing can be learned of the images" in said
    assert "name a strength instead of match" in said


@pytest.mark.usefixtures("bare")
def test_where_boxes_cannot_be_measured_masks_are(sources, tmp_path, capsys):
    _, said, found, _ = audited(sources["both"], tmp_path / "out", capsys)
    assert "hotcoco is not installed" in said
    assert found["utility"] == "mean_iou"


def test_a_public_set_without_boxes_gives_nothing_to_learn_from(sources, tmp_path):
    images, *_ = squares(40, SIDE, seed=5)
    public = write_places(tmp_path / "public", images)
    config = audit.AuditConfig(
        src=sources["boxes"],
        public=public,
        methods=("pixelate:8",),
        attacks=("thumbnail",),
        budget="quick",
        image_size=None,
        data_dir=None,
        splits=(),
        image=None,
        seed=0,
    )
    audit.audit_images(config, tmp_path / "out")
    found = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert (found["utility"], found["clean"]) == (None, None)

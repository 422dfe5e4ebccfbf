"""Audits of images that have boxes or masks instead of classes."""

import dataclasses
import json
import sys

import numpy as np
import pytest
from made_places import squares, write_places

from vmixjax.audit.budgets import BUDGETS
from vmixjax.audit.pictures import load_pictures, split_pictures
from vmixjax.audit.utilities import chosen
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


def halves(source):
    """What the owner has, and an attacker."""
    return split_pictures(load_pictures(source, option="SRC", most=20, seed=0), 0)


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


@pytest.mark.long
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
    if utility == "ap50":
        pytest.importorskip("hotcoco")
    status, said, found, page = audited(sources[kind], tmp_path / "out", capsys)
    assert status == 0
    assert (found["utility"], found["classes"]) == (utility, 0)
    # Nothing but a mean colour is left of each.
    (lost,) = (one["learned"] for one in found["methods"])
    assert lost + 0.2 < found["clean"] <= 1
    assert lost < 0.4
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
        ("boxes", "ap50", None),
    ],
)
def test_of_several_the_first_is_learned_and_named(sources, kind, utility, line):
    pytest.importorskip("hotcoco")
    learned, lines = chosen(*halves(sources[kind]))
    assert learned.name == utility
    assert [one.startswith(f"the images have {line}") for one in lines] == (
        [True] if line else []
    )


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
    (line,) = (one for one in said.splitlines() if one.startswith("vmixjax: h"))
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
def test_where_boxes_cannot_be_measured_masks_are(sources):
    learned, lines = chosen(*halves(sources["both"]))
    assert learned.name == "mean_iou"
    assert lines[0].startswith("hotcoco is not installed")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"objects": None}, "SRC has boxes, and --public has none: what networks"),
        (
            {"classes": ("red", "green")},
            "SRC has boxes, and --public has those of other classes: what networks",
        ),
    ],
)
def test_from_other_public_images_nothing_is_learned(sources, change, line):
    private, public = halves(sources["boxes"])
    if "classes" in change:
        change = {"objects": dataclasses.replace(public.objects, **change)}
    learned, lines = chosen(private, dataclasses.replace(public, **change))
    assert learned is None
    assert [one.startswith(line) for one in lines] == [True]

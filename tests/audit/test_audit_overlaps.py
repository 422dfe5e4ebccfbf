"""Audits of images that overlap, and of such that do not."""

import json

import numpy as np
import pytest
from PIL import Image

from vmixjax import audit
from vmixjax.demo.photographs import load_photograph

pytestmark = pytest.mark.usefixtures("tiny")


def pieces(folder, names, places, side=96):
    folder.mkdir()
    for name in names:
        photograph = load_photograph(name)
        for top, left in places:
            piece = photograph[top:, left:][:side, :side]
            Image.fromarray(piece).save(folder / f"{name}-{top}-{left}.png")


def audited(folder, public, out):
    config = audit.AuditConfig(
        src=str(folder),
        public=str(public),
        methods=("mix:8",),
        attacks=("thumbnail", "shifted_grids"),
        budget="quick",
        image_size=48,
        data_dir=None,
        splits=(),
        image=None,
        seed=0,
    )
    sentence = audit.audit_images(config, out)
    return sentence, json.loads((out / "audit.json").read_text())


@pytest.fixture
def public(tmp_path):
    apart = np.array([(0, 0), (0, 200), (200, 0), (200, 200)])
    pieces(tmp_path / "public", ("coffee", "rocket"), apart)
    return tmp_path / "public"


def test_images_that_overlap_give_each_other_away(tmp_path, public):
    places = np.stack(np.divmod(np.arange(16), 4), -1) * 10 + 40
    pieces(tmp_path / "patches", ("astronaut",), places)
    sentence, found = audited(tmp_path / "patches", public, tmp_path / "out")
    assert "16 of the images overlap others and give each other away" in sentence
    assert sentence.index("overlap") < sentence.index("recovers")
    assert found["overlapping"] == 16
    verdict = found["verdicts"][0]
    assert verdict["together"] > verdict["alone"] + 0.15
    assert "all of them together" in (tmp_path / "out" / "report.html").read_text()


def test_images_apart_are_judged_as_they_are(tmp_path, public):
    apart = np.array([(0, 0), (0, 120), (120, 0), (120, 120)])
    pieces(tmp_path / "apart", ("astronaut", "cat", "retina"), apart)
    sentence, found = audited(tmp_path / "apart", public, tmp_path / "out")
    assert "overlap" not in sentence
    assert found["overlapping"] == 0
    assert {one["attack"] for one in found["findings"]} == {"none", "thumbnail"}
    # What shifted views would give stands in a table of its own.
    (row,) = found["shifted_views"]
    assert (row["method"], row["views"]) == ("mix:8", 4)
    assert row["ssim"] > row["means"]

import base64
import io
import re

import numpy as np
import pytest
from pages import Page
from PIL import Image

from vmixjax.demo import run_demo
from vmixjax.demo.learning import Curve, Lessons
from vmixjax.demo.page import render
from vmixjax.demo.photographs import MixedPhotograph, Photograph


@pytest.fixture
def results():
    rng = np.random.default_rng(0)
    picture = lambda: rng.integers(0, 256, (8, 8, 3), np.uint8)  # noqa: E731
    mixes = [
        MixedPhotograph(s, picture(), picture(), (8, 16), target, 10 + s, 11.25 + s)
        for s, target in ((0.0, 9.87), (1.0, np.inf))
    ]
    photographs = [Photograph("<cat> & dog", picture(), 4.5, tuple(mixes))]
    curves = tuple(
        Curve(name, (5, 10), (2.0, 1.0), (0.5, accuracy))
        for name, accuracy in (("clean", 0.983), ("mixed", 0.957))
    )
    digits = rng.integers(0, 256, (4, 8, 8, 1), np.uint8)
    return photographs, Lessons(curves, digits, digits, digits, 8, 1297, 500)


def test_the_page_needs_nothing_else_and_says_its_numbers(results):
    source = render(*results)
    page = Page(source)
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(images) == 1 + 2 * 2 + 3 + 1
    assert images[1]["alt"] == "<cat> & dog, mixed at strength 0"
    for image in images:
        assert image["alt"].strip()
        kind, data = image["src"].split(",", 1)
        assert kind == "data:image/png;base64"
        Image.open(io.BytesIO(base64.b64decode(data))).load()
    assert not re.search(r"https?://|<script|<link|@import|url\(", source)
    text = " ".join(page.text.split())
    for words in (
        "<cat> & dog original, VFE 4.5",
        "strength 1: mixed, VFE 12.2",
        "strength 1: region means, 8 to 16 px",
        "target 9.87 strongest expected 10.00 11.00 measured 11.25 12.25",
        "2 x 2 of the digit before it was enlarged",
        "98.3% clean, 95.7% mixed, a difference of 2.6 percentage points",
        "obfuscation, not encryption",
    ):
        assert words in text, words


def test_a_report_that_cannot_be_written_says_so_before_the_work(tmp_path):
    with pytest.raises(FileNotFoundError):
        run_demo(tmp_path / "missing")


def test_run_demo_writes_the_report_over_an_old_one(results, tmp_path, monkeypatch):
    photographs, lessons = results
    monkeypatch.setattr(
        "vmixjax.demo.photographs.mix_photographs", lambda seed: photographs
    )
    monkeypatch.setattr(
        "vmixjax.demo.learning.learn_clean_and_mixed", lambda seed: lessons
    )
    (tmp_path / "report.html").write_text("old")
    report, summary = tmp_path / "report.html", run_demo(tmp_path)
    assert summary.endswith(f"report: {report}")
    assert "obfuscation" in report.read_text()
    assert "clean: test accuracy 98.3%" in summary
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]

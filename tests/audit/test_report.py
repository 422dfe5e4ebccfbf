import dataclasses
import re
import shutil
import subprocess

import numpy as np
import pytest
from made_up import evidence, finding
from pages import Page

from vmixjax.audit.report import render
from vmixjax.audit.report.charts import trade_off
from vmixjax.audit.results import Figures, Sheet
from vmixjax.audit.utilities import UTILITIES
from vmixjax.audit.verdict import LIKENESS, judge

PLAIN = np.zeros((2, 16, 16, 3), np.uint8), {"none": np.zeros((2, 16, 16, 3), np.uint8)}

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
    None,
)


@pytest.fixture
def page():
    rng = np.random.default_rng(0)
    some = lambda: rng.integers(0, 256, (4, 16, 16, 3), np.uint8)  # noqa: E731
    nothing = dict.fromkeys(("psnr", "ssim", "edges", "reidentified", "faces"))
    told = finding("mix:8", "classifier", recognised=0.25, **nothing)
    found = evidence(
        finding("mix:8", "none", faces=0.0),
        finding("mix:8", "restoration", ssim=0.4, recognised=0.3),
        dataclasses.replace(told, ssim_each=()),
        finding("blur:<2>", "none", ssim=0.7),
    )
    sheets = [
        Sheet("mix:8", some(), {"none": some(), "restoration": some()}),
        Sheet("blur:<2>", some(), {"none": some()}),
    ]
    gradients = (Sheet("clean", some(), {"found": some()}),)
    return render(found, Figures(tuple(sheets), {"inversions": gradients}))


def test_the_verdict_stands_first_and_every_picture_has_words(page):
    read = Page(page)
    text = " ".join(read.text.split())
    assert "it shows some of them" in text
    assert text.index("restoration) recovers a good part") < text.index("All methods")
    images = [values for tag, values in read.tags if tag == "img"]
    assert len(images) == 3 + 2 + 2 + 3 + 2
    assert all(image["alt"].strip() for image in images)
    assert not re.search(r"https?://|<script|<link|@import|url\(", page)
    assert "title of blur:<2>" in text
    assert "<2>" not in page


def test_each_row_marks_its_strongest_attack(page):
    table = page[page.index("Likeness is SSIM") :]
    rows = re.findall(r"<tr><th scope=\"row\">title of mix:8</th>(.*?)</tr>", table)
    assert rows[0] == '<td>0.10</td><td class="best">0.40</td>'
    # An attack that was not made has no number.
    blurred = re.findall(r"title of blur:&lt;2&gt;</th>(.*?)</tr>", table)
    assert blurred[0] == '<td class="best">0.70</td><td>-</td>'


def test_who_gives_no_images_has_a_column_where_classes_are_told_alone(page):
    likeness, recognition = (
        page[page.index(words) :] for words in ("Likeness is SSIM", "Recognition: ")
    )
    heads = [re.search(r"<tr>(.*?)</tr>", x)[1] for x in (likeness, recognition)]
    assert ["classifier" in head for head in heads] == [False, True]
    row = re.search(r"title of mix:8</th>(.*?)</tr>", recognition)[1]
    cells = re.findall(r"<td.*?>(.*?)</td>", row)
    assert sorted(cells) == ["10%", "25%", "30%"]


def test_what_training_gives_away_is_said_in_numbers(page):
    rows = dict(re.findall(r"<tr><th scope=\"row\">(.*?)</th>(.*?)</tr>", page))
    cells = re.findall(r"<td>(.*?)</td>", rows["images as they are"])
    assert cells == ["100%", "40%", "90%", "95%", "40%"]
    text = " ".join(Page(page).text.split())
    assert "from 16 pairs" in text
    assert "title of mix:8 5.0% 6.0% 98.0%" in text
    assert "images as they are 1.00 0.90 0.90" in text


def test_each_method_has_a_line_with_its_verdict(page):
    text = " ".join(Page(page).text.split())
    line = (
        "1. title of mix:8 60% 33% 29% a good part of the picture restoration by luck"
    )
    assert line in text


@pytest.mark.skipif(BROWSER is None, reason="no Chromium to open the report with")
def test_a_browser_shows_it_without_complaint(page, tmp_path):
    # A script of the test's own tells of pictures that did not load.
    probe = (
        "<script>onload = () => document.title = [...document.images].every("
        "i => i.complete && i.naturalWidth > 0) ? 'all shown' : 'some missing'</script>"
    )
    file = tmp_path / "report.html"
    file.write_text(page.replace("</body>", probe + "</body>"))
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    options += ["--no-first-run", "--disable-background-networking", "--disable-sync"]
    options += ["--disable-component-update", f"--user-data-dir={tmp_path / 'profile'}"]
    done = subprocess.run(
        [BROWSER, *options, "--dump-dom", file.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "<title>all shown</title>" in done.stdout
    assert "CONSOLE" not in done.stderr


@pytest.mark.parametrize(
    ("utility", "words"),
    [
        ("accuracy", "accuracy of a classifier"),
        ("ap50", "AP at IoU 0.5 of a detector"),
        ("mean_iou", "mean IoU of a segmenter"),
    ],
)
def test_what_is_learned_is_named_by_its_score(utility, words):
    lost = finding("mix:8", "none", recognised=None)
    found = evidence(lost, classes=0, utility=utility)
    figures = Figures((Sheet("mix:8", *PLAIN),))
    text = " ".join(Page(render(found, figures)).text.split())
    title, learner = words.split(" of a ")
    assert (
        f"Learned: {title}, on protected images, of a {learner} that was trained on "
        f"protected ones; trained and asked on clean images it has 80%." in text
    )
    assert f"learned, {title}" in text
    # Recognition is of classes: there is no plot of it where there are none.
    verdicts = [judge(found, "mix:8")]
    figure, told = trade_off(found, verdicts, LIKENESS, UTILITIES[utility])
    assert figure.axes[0].get_ylabel() == f"learned: {words}, %"
    assert told.startswith(f"Recovered by likeness (SSIM), and {words}. title of mix")
    assert render(found, figures).count("Recovered by ") == 1

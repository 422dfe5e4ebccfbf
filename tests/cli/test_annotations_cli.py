"""Boxes and masks on the command line: what it takes, and what it says."""

import subprocess
import sys

from annotated import boxes_of, read_annotated, write_pets

VMIXJAX = [sys.executable, "-m", "vmixjax.cli"]


def run(*arguments):
    """Status, output and the lines of errors of a command."""
    done = subprocess.run(
        [*VMIXJAX, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if "image/s]" not in line]
    return done.returncode, done.stdout.splitlines(), lines


def worsen(number, stored):
    if number == 4:
        stored["objects"]["bbox"][0] = (0.1, 0.3, 0.1, 0.5)


def test_boxes_go_along_and_a_bad_one_is_named(tmp_path):
    source = write_pets(tmp_path / "pets", 6, height=12, mask=True, change=worsen)
    mixed = tmp_path / "mixed"
    options = ["--tile-size", 8, "--keep-order", "--mask-cells", 8, "--json"]
    status, out, err = run("mix", source, mixed, *options)
    assert status == 1
    (line,) = [line for line in err if "box" in line]
    assert line.endswith(
        "train/4 has box 0, [0.1, 0.3, 0.1, 0.5] as ymin, xmin, ymax, xmax, which has "
        "no area; mend or remove that box, or leave all behind with --drop objects"
    )
    counts = sum(len(boxes_of(number)["label"]) for number in (0, 1, 2, 3, 5))
    assert any(line.strip() == '"boxes": {' for line in out)
    assert any(line.strip() == '"with_boxes": 3,' for line in out)
    found = [boxes for _, boxes, _ in read_annotated(mixed)]
    assert sum(len(boxes["label"]) for boxes in found) == counts
    status, out, err = run("verify", mixed)
    assert (status, err) == (0, [])
    assert "checked: boxes lie inside of their images" in out
    assert "checked: masks fit their images, cell by cell" in out


def test_help_has_the_option_and_masks_have_three_ways_on(tmp_path):
    status, out, _ = run("mix", "--help")
    assert status == 0
    assert any("--mask-cells N" in line for line in out)
    source = write_pets(tmp_path / "pets", 2, mask=True)
    status, _, err = run("mix", source, tmp_path / "mixed", "--tile-size", 8)
    assert status == 2
    (line,) = err
    assert all(
        way in line for way in ("--drop parts", "--keep parts", "--mask-cells N")
    )
    assert not (tmp_path / "mixed").exists()

"""A data set whose images show the same scene is not mixed without a word."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from skimage import data

from vmixjax.cli import main
from vmixjax.data import open_source
from vmixjax.data.codecs.images import read_image, read_small
from vmixjax.data.room import NoRoom
from vmixjax.data.writing import WORK
from vmixjax.release import mix, overlaps
from vmixjax.release.remembering import RememberingSource

SIDE = 64
OPTIONS = ["--tile-size", "16"]


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


@pytest.fixture
def mixes(photos, tmp_path, capfd):
    def run(*more, dst="mixed"):
        status = main(["mix", str(photos), str(tmp_path / dst), *OPTIONS, *more])
        return status, capfd.readouterr().err

    return run


def save(folder, starts, image=None, name="anna"):
    """Pieces of a photograph, all of one shape for all tests."""
    image = data.astronaut() if image is None else image
    for number, (top, left) in enumerate(starts):
        part = image[top : top + SIDE, left : left + SIDE]
        Image.fromarray(part).save(folder / f"{name}-{number}.png")


UNRELATED = [(0, 180), (90, 190), (150, 330), (250, 60), (340, 350), (400, 190)]
PATCHES = [(60 + 9 * i, 180 + 7 * i) for i in range(6)]


def test_patches_that_overlap_are_refused_and_nothing_is_written(
    photos, mixes, tmp_path
):
    save(photos, PATCHES)
    status, told = mixes("--vault", str(tmp_path / "vault"))
    assert status == 2
    (line,) = told.splitlines()
    assert (
        "6 images show one scene, 6 of them on grids of their own: anna-0.png" in line
    )
    assert "and 2 more" in line
    assert "--allow-overlaps" in line
    assert not (tmp_path / "mixed").exists()
    assert not (tmp_path / "vault").exists()


def test_allowed_they_are_named_and_mixed_and_the_release_says_nothing(
    photos, mixes, tmp_path
):
    save(photos, PATCHES)
    status, told = mixes("--allow-overlaps")
    assert status == 0
    assert "6 images show one scene" in told.splitlines()[0]
    release = tmp_path / "mixed"
    assert sorted(path.suffix for path in release.iterdir()) == [".json"] + 6 * [".png"]
    manifest = (release / "release.json").read_text()
    assert json.loads(manifest)["splits"] == {"train": 6}
    assert "overlap" not in manifest
    assert "anna" not in manifest


def test_unrelated_images_are_mixed_without_a_word(photos, mixes):
    save(photos, UNRELATED)
    status, told = mixes()
    assert status == 0
    assert [line for line in told.splitlines() if "mixing" not in line] == []


def test_a_few_are_named_and_mixed(photos, mixes):
    save(photos, UNRELATED)
    save(photos, PATCHES[:3], data.coffee(), "ben")
    status, told = mixes()
    assert status == 0
    assert "3 images show one scene, 3 of them on grids of their own: ben-0.png" in told


def test_copies_on_the_same_grid_add_nothing(photos, mixes):
    save(photos, [(64, 200)] * 5 + [(64 + 16, 200 + 32)])
    status, told = mixes()
    assert status == 0
    assert "6 images show one scene, all on the same grid, which adds nothing" in told


def test_four_views_stop_a_run_unless_images_are_small_and_many(
    photos, mixes, monkeypatch
):
    save(photos, UNRELATED)
    save(photos, PATCHES[:4], data.coffee(), "ben")
    monkeypatch.setattr(overlaps, "_SCENE", 2)
    monkeypatch.setattr(overlaps, "_ALL", 2)
    assert mixes()[0] == 2
    monkeypatch.setattr(overlaps, "_SMALL", 1000)
    status, told = mixes()
    assert status == 0
    assert "4 images show one scene, 4 of them" in told


def test_what_goes_on_is_not_searched_again(photos, mixes, tmp_path, monkeypatch):
    save(photos, PATCHES)
    kept = ["--vault", str(tmp_path / "vault")]
    assert mixes("--allow-overlaps", *kept)[0] == 0
    # Finished, it is only checked; and so is what was begun and not finished.
    for back in (False, True):
        if back:
            begun(photos, tmp_path, monkeypatch)

        def never(*given, **named):
            raise AssertionError("searched again")

        with monkeypatch.context() as patch:
            patch.setattr(mix, "check_overlaps", never)
            assert mixes(*kept, dst="begun" if back else "mixed")[0] == 0


def begun(photos, tmp_path, monkeypatch):
    """A release that ended before its manifest."""

    def ends(*given, **named):
        raise KeyboardInterrupt

    kept = ["--vault", str(tmp_path / "vault"), "--allow-overlaps"]
    with monkeypatch.context() as patch:
        patch.setattr(mix, "_finish", ends)
        assert main(["mix", str(photos), str(tmp_path / "begun"), *OPTIONS, *kept])
    notes = (tmp_path / "begun" / WORK / "begun.json").read_text()
    assert "anna" not in notes


def test_what_starts_over_is_searched(photos, mixes, tmp_path, monkeypatch):
    save(photos, UNRELATED)

    def ends(*given, **named):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(mix, "_finish", ends)
        assert mixes()[0]
    save(photos, PATCHES, name="ben")
    assert (tmp_path / "mixed" / WORK).is_dir()
    # The secret is forgotten, so all is done again, the look as well.
    for old in photos.glob("anna*"):
        old.unlink()
    status, told = mixes()
    assert status == 2
    assert "ben-0.png" in told


def test_what_cannot_be_read_is_told_once_by_the_release(photos, mixes):
    save(photos, UNRELATED)
    (photos / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n and nothing")
    status, told = mixes()
    assert status == 1
    assert told.count("bad.png") == 1


def test_beam_searches_before_workers_begin(photos, mixes, tmp_path):
    pytest.importorskip("apache_beam")
    save(photos, PATCHES)
    (tmp_path / "secret").write_bytes(bytes(range(32)))
    (tmp_path / "secret").chmod(0o600)
    status, told = mixes("--engine", "beam", "--secret-file", str(tmp_path / "secret"))
    assert status == 2
    assert "6 images show one scene" in told


def test_a_small_machine_has_room_for_one_image_after_the_other(
    photos, mixes, monkeypatch
):
    save(photos, PATCHES)
    monkeypatch.setattr(overlaps, "_ROOM", 1)
    assert "6 images show one scene, 6 of them" in mixes()[1]


def jpegs(folder):
    for number, (top, left) in enumerate(UNRELATED[:4]):
        image = Image.fromarray(data.astronaut()[top:, left:])
        exif = Image.Exif()
        exif[274] = (1, 6, 3, 8)[number]
        image.save(folder / f"{number}.jpg", quality=90, exif=exif)


def test_a_jpeg_is_read_at_a_fraction_of_its_size(photos):
    jpegs(photos)
    for path in photos.iterdir():
        whole, small = read_image(path), read_small(path, 60)
        assert (small.height, small.width) == whole.shape[:2]
        assert 60 <= max(small.image.shape) < max(whole.shape[:2])
        assert small.image.shape[2] == 1
        # Upright, as the whole one is.
        size = small.image.shape[1::-1]
        reduced = Image.fromarray(whole).convert("L").resize(size, Image.Resampling.BOX)
        off = np.asarray(reduced).astype(int) - small.image[..., 0]
        assert np.abs(off).mean() < 10


def test_what_was_looked_at_is_kept_within_bounds(photos):
    save(photos, UNRELATED)
    source = open_source(str(photos))
    one = SIDE * SIDE * 3 + 1200
    remembering = RememberingSource(source, 2 * one)
    names = [source.read("train", index).name for index in range(6)]
    for index in range(6):
        looked = remembering.look("train", index, 32)
        assert looked.image.shape == (SIDE, SIDE, 3)
    assert len(remembering._examples) == 2
    for path in photos.iterdir():
        os.truncate(path, 0)
    with pytest.raises(NoRoom):
        remembering.read("train", 0, refuse)
    kept = [remembering.read("train", index) for index in (0, 1)]
    assert [example.name for example in kept] == names[:2]
    assert not remembering._examples
    assert list(remembering.traces()) == list(source.traces())


def refuse(size):
    raise NoRoom(size)


def test_names_of_images_cost_nothing():
    """The command line does not wait for OpenCV where it only helps."""
    code = "import sys, vmixjax.cli.commands; sys.exit('cv2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

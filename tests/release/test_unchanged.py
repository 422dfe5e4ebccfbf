"""Images that come out of mixing as they went in, and what would mix them."""

import json
import re

import numpy as np
import oracle
import pytest
from PIL import Image

from vmixjax.cli import main
from vmixjax.data import read_image, write_png
from vmixjax.release.unchanged import find_unchanged


def halves(side, colours=(0, 255), noise=0):
    """A picture of two colours, one to each half, perhaps with a little noise."""
    image = np.full((side, side, 3), colours[0], np.int64)
    image[:, : side // 2] = colours[1]
    image += np.random.default_rng(0).integers(0, noise + 1, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


def by_regions(image, size):
    """An image with the values of each region and channel in another order."""
    height, width, channels = image.shape
    rows, columns = height // size, width // size
    regions = image.reshape(rows, size, columns, size, channels)
    values = regions.transpose(0, 2, 4, 1, 3).reshape(rows, columns, channels, -1)
    values = np.random.default_rng(1).permuted(values, axis=-1)
    values = values.reshape(rows, columns, channels, size, size)
    return values.transpose(0, 3, 1, 4, 2).reshape(image.shape)


@pytest.mark.parametrize("noise", [0, 3])
def test_two_colours_in_tiles_of_their_own_hardly_change(noise):
    image = halves(64, (20, 220), noise)
    mixed = by_regions(image, 8)
    found = find_unchanged(image, mixed, 8)
    assert found.tile_size == 64
    expected = (image != mixed).any(axis=2).mean()
    assert found.moved == pytest.approx(expected)
    assert (found.moved == 0) == (noise == 0)
    # What it says would mix them, does.
    assert find_unchanged(image, by_regions(image, found.tile_size), 64) is None


@pytest.mark.parametrize(
    "image",
    [
        np.full((16, 16, 3), [10, 20, 30], np.uint8),
        np.full((300, 300, 1), 65535, np.uint16),
    ],
)
def test_one_colour_shows_nothing(image):
    assert find_unchanged(image, image, 8) is None


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pictures_and_lines_on_white_have_changed(dtype):
    picture = oracle.smooth_image(64, 64, 3, dtype)
    assert find_unchanged(picture, by_regions(picture, 8), 8) is None
    page = np.full((512, 512, 1), np.iinfo(dtype).max, dtype)
    page[201:210:3, 20:60:2] = 0
    assert find_unchanged(page, by_regions(page, 8), 8) is None
    assert find_unchanged(page, page, 8).moved == 0


def test_large_images_are_judged_by_some_pixels(monkeypatch):
    image = halves(256, (0, 200), 20)
    whole = find_unchanged(image, by_regions(image, 8), 8)
    monkeypatch.setattr("vmixjax.release.unchanged._MOST_PIXELS", 2**10)
    some = find_unchanged(image, by_regions(image, 8), 8)
    assert some.tile_size == whole.tile_size == 256
    assert some.moved == pytest.approx(whole.moved, abs=0.02)
    assert find_unchanged(image, image[:, ::-1], 8) is None


@pytest.mark.parametrize(
    ("options", "mend"),
    [
        (["--tile-size", "8"], "--tile-size 32"),
        (
            [
                "--tile-size",
                "32",
                "--ladder",
                "8:1",
                "16:1",
                "--strength",
                "0",
                "--fit",
                "crop",
            ],
            "--tile-size 32 --ladder 32:1 --strength 1 --fit pad",
        ),
    ],
)
def test_mix_says_which_hardly_changed_and_what_would_mix_them(
    tmp_path, capsys, options, mend
):
    source = tmp_path / "in"
    source.mkdir()
    write_png(source / "drawing.png", halves(32))
    write_png(source / "photo.png", oracle.smooth_image(32, 32))
    arguments = ["mix", str(source), str(tmp_path / "mixed"), "--keep-names"]
    assert main([*arguments, *options]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == (
        "1 hardly changed, since each region of it is nearly of one colour: "
        "drawing.png (VFE "
        f"{vfe(halves(32), options):.2f} before, {vfe(halves(32), options):.2f} after, "
        f"0.0% of its pixels moved); to mix such, take {mend}"
    )
    np.testing.assert_array_equal(
        read_image(tmp_path / "mixed" / "drawing.png"), halves(32)
    )
    # The mend.
    arguments[2] = str(tmp_path / "again")
    assert main([*arguments, *mend.split(" "), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["hardly_changed"] == {}
    assert said["unchanged"] == []
    changed = read_image(tmp_path / "again" / "drawing.png")
    assert (changed != halves(32)).mean() > 0.3


def vfe(image, options):
    tile = int(options[1])
    return oracle.vfe_map(image, tile).mean()


def test_many_are_counted_and_the_owner_alone_is_told_names(tmp_path, capsys):
    source, mixed = tmp_path / "in", tmp_path / "mixed"
    source.mkdir()
    for number in range(5):
        write_png(source / f"Jane-{number}.png", halves(16 + 16 * (number > 3)))
    arguments = ["mix", str(source), str(mixed), "--tile-size", "8"]
    arguments += ["--vault", str(tmp_path / "vault")]
    assert main(arguments) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("5 hardly changed, since each region of them is nearly")
    assert len(re.findall(r"Jane-\d\.png \(VFE", last)) == 3
    assert last.endswith(" and 2 more; to mix such, take --tile-size 32")
    release = (mixed / "release.json").read_text()
    assert "Jane" not in release
    assert json.loads(release)["hardly_changed"] == {"16": 4, "32": 1}
    # Once it is done, there are no names to tell.
    assert main(arguments) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.endswith("nearly of one colour; to mix such, take --tile-size 32")


def test_what_masks_leave_as_it_is_is_meant_to_be_so(tmp_path, capsys):
    for folder in ("in", "masks"):
        (tmp_path / folder).mkdir()
    write_png(tmp_path / "in" / "a.png", halves(16))
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(tmp_path / "masks" / "a.png")
    arguments = ["mix", str(tmp_path / "in"), str(tmp_path / "mixed")]
    masks = ["--tile-size", "8", "--sensitivity", str(tmp_path / "masks"), "--json"]
    assert main([*arguments, *masks]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["with_clear_tiles"], said["hardly_changed"]) == (1, {})

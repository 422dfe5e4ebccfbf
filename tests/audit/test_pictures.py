import numpy as np
import pytest
from PIL import Image

from vmixjax.audit.pictures import load_pictures, overlap, split_pictures
from vmixjax.errors import RunError


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(12):
        place = tmp_path / "photos" / ("cat" if i % 3 else "dog")
        place.mkdir(parents=True, exist_ok=True)
        shape = (40 + i, 60) if i % 2 else (70, 44)
        pixels = rng.integers(0, 256, (*shape, 3), np.uint8)
        Image.fromarray(pixels).save(place / f"{i:02}.png")
    return tmp_path / "photos"


def load(path, **options):
    return load_pictures(str(path), option="SRC", **{"most": 100, "seed": 0, **options})


def test_images_are_cut_to_squares_of_the_shortest_side_in_eights(folder):
    pictures = load(folder)
    assert pictures.images.shape == (12, 40, 40, 3)
    assert pictures.images.dtype == np.uint8
    assert pictures.original_side == 44
    assert pictures.classes == ("cat", "dog")
    assert np.bincount(pictures.labels).tolist() == [8, 4]
    assert load(folder, size=16).shape == (16, 16, 3)
    assert load(folder, largest=32).shape == (32, 32, 3)


def test_what_has_the_size_already_is_left_as_it_is(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 16, 16, 3), np.uint8)
    for i, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    pictures = load(tmp_path)
    np.testing.assert_array_equal(pictures.images, pixels)
    assert pictures.labels is None


def test_grey_and_colour_and_16_bits_become_alike(tmp_path):
    for i in range(4):
        Image.new("L", (16, 16), 10).save(tmp_path / f"a{i}.png")
        Image.new("RGBA", (16, 16), (1, 2, 3, 4)).save(tmp_path / f"b{i}.png")
        Image.new("I;16", (16, 16), 512).save(tmp_path / f"c{i}.png")
    pictures = load(tmp_path)
    assert pictures.shape == (16, 16, 3)
    assert pictures.images[::4, 0, 0].tolist() == [[10] * 3, [1, 2, 3], [2] * 3]


def test_a_choice_depends_on_the_seed_alone(folder):
    some = load(folder, most=9)
    assert len(some) == 9
    assert some.fingerprint() == load(folder, most=9).fingerprint()
    assert some.fingerprint() != load(folder, most=9, seed=1).fingerprint()


def test_halves_have_nothing_in_common(folder):
    private, public = split_pictures(load(folder), 0)
    assert len(private) == len(public) == 6
    assert overlap(private, public) == []
    assert overlap(private, load(folder)) == list(range(6))


def test_too_few_images_are_refused(folder):
    with pytest.raises(RunError, match=r"SRC .* has 4 readable images; .* at least 8"):
        load(folder / "dog")


def test_no_such_folder(tmp_path):
    with pytest.raises(RunError, match="does not exist"):
        load(tmp_path / "nothing")

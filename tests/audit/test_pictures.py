import dataclasses

import numpy as np
import pytest
from made_places import GROUNDS, NAMES, squares, write_places
from PIL import Image

from vmixjax.audit.pictures import load_pictures, overlap, split_pictures
from vmixjax.audit.places import cut_boxes, cut_mask
from vmixjax.data import Boxes, Mask
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


def test_releases_are_refused(folder):
    (folder / "release.json").write_text("{}")
    with pytest.raises(RunError, match=r"SRC .*photos is a release, of mixed images"):
        load(folder)


def test_no_such_folder(tmp_path):
    with pytest.raises(RunError, match="does not exist"):
        load(tmp_path / "nothing")


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """Images of 32 x 48 pixels whose middles are made squares, with boxes and masks."""
    images, objects, masks = squares(12)
    sides = ((0, 0), (0, 0), (8, 8))
    shares = np.array([1, 48 / 32, 1, 48 / 32], np.float32)
    within = np.array([0, 8 / 32, 0, 8 / 32], np.float32)
    wider = [Boxes((x.corners + within) / shares, x.labels) for x in objects]
    source = write_places(
        tmp_path_factory.mktemp("wide") / "set",
        np.pad(images, (*sides, (0, 0))),
        objects=wider,
        masks=np.pad(masks, sides, constant_values=2),
    )
    return source, images, objects, masks


def test_boxes_and_masks_are_cut_out_with_their_images(wide):
    source, images, objects, masks = wide
    pictures = load(source)
    np.testing.assert_array_equal(pictures.images, images)
    np.testing.assert_array_equal(pictures.masks.pixels, masks)
    assert (pictures.objects.classes, pictures.masks.classes) == (NAMES, GROUNDS)
    for found, expected in zip(pictures.objects.boxes, objects, strict=True):
        np.testing.assert_allclose(found.corners, expected.corners, atol=1e-6)
        assert found.labels.tolist() == expected.labels.tolist()
    # Splits are no classes.
    assert (pictures.labels, pictures.classes) == (None, ())


def test_boxes_and_masks_are_scaled_with_their_images(wide):
    source, _, objects, masks = wide
    pictures = load(source, size=16)
    assert pictures.masks.pixels.shape == (12, 16, 16)
    # The nearest of two pixels.
    inner = masks[:, 1::2, 1::2]
    assert (pictures.masks.pixels == inner).mean() > 0.99
    for found, expected in zip(pictures.objects.boxes, objects, strict=True):
        np.testing.assert_allclose(found.corners, expected.corners, atol=1e-6)


def test_parts_have_the_boxes_and_masks_of_their_images(wide):
    pictures = load(wide[0])
    private, public = split_pictures(pictures, 0)
    for part in (private, public):
        assert len(part) == len(part.objects.boxes) == len(part.masks.pixels) == 6
        for i, image in enumerate(part.images):
            (place,) = (
                j for j, other in enumerate(pictures.images) if (other == image).all()
            )
            assert part.objects.boxes[i].alike(pictures.objects.boxes[place])
            assert (part.masks.pixels[i] == pictures.masks.pixels[place]).all()


def test_boxes_and_masks_tell_sets_apart(wide):
    pictures = load(wide[0])
    moved = [Boxes(x.corners[::-1], x.labels[::-1]) for x in pictures.objects.boxes]
    others = [
        dataclasses.replace(pictures, **{name: value})
        for name, value in {
            "objects": dataclasses.replace(pictures.objects, boxes=tuple(moved)),
            "masks": dataclasses.replace(pictures.masks, classes=("a", "b", "c")),
        }.items()
    ]
    bare = dataclasses.replace(pictures, objects=None, masks=None)
    found = {one.fingerprint() for one in (pictures, bare, *others)}
    assert len(found) == 4


def test_boxes_of_which_little_is_left_are_gone():
    # Of 20 x 40 pixels, columns 10 to 30 are left.
    pixels = np.array(
        [
            [0, 0, 20, 40],  # all there is; a half is left of it
            [5, 4, 15, 12],  # a quarter is left
            [5, 3, 15, 12],  # less than that
            [5, 0, 15, 10],  # nothing
            [2, 29, 12, 31],  # a half
        ],
        np.float32,
    )
    boxes = Boxes(pixels / np.array([20, 40, 20, 40], np.float32), np.arange(5))
    cut = cut_boxes(boxes, (20, 40))
    assert cut.labels.tolist() == [0, 1, 4]
    assert cut.corners.dtype == np.float32
    np.testing.assert_allclose(
        cut.corners,
        [[0, 0, 1, 1], [0.25, 0, 0.75, 0.1], [0.1, 0.95, 0.6, 1]],
        atol=1e-6,
    )


def test_masks_of_cells_and_void_classes():
    field = Mask(names=("sky", "Void", "road"), cells=4)
    # The last cell in each row reaches out of the image, of 8 x 10 pixels.
    mask = np.array([[0, 1, 2], [2, 255, 0]], np.uint8)
    found = cut_mask(mask, field, (8, 10), 8)
    expected = np.array([[0] * 3 + [255] * 4 + [1], [1] * 3 + [255] * 4 + [0]])
    np.testing.assert_array_equal(found, expected.repeat(4, 0))

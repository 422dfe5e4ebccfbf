"""Masks are checked, padded, cut, and reduced to a class for each cell."""

import collections

import numpy as np
import pytest
from mutants import chance, mutate_png
from strangers import encoded, noise

from vmixjax.data.mask_files import cells_of, decode_mask, encode_mask
from vmixjax.data.masks import (
    Mask,
    check_mask,
    find_cells,
    mask_shape,
    names_mask,
    resize_mask,
    to_cells,
)
from vmixjax.errors import ImageError


def random_mask(seed, height=24, width=32, classes=4):
    rng = np.random.default_rng(seed)
    return rng.integers(0, classes, (height, width), np.uint8)


def majority(cell, void):
    """The class that most pixels have: one cell after the other, in plain Python."""
    counts = collections.Counter(cell.ravel().tolist())
    said = {one: count for one, count in counts.items() if one not in void} or counts
    most = max(said.values())
    return min(one for one, count in said.items() if count == most)


@pytest.mark.parametrize("side", [1, 2, 4, 8])
@pytest.mark.parametrize(
    ("field", "void"),
    [
        (Mask(), ()),
        (Mask(4), (255,)),
        (Mask(256), ()),
        (Mask(4, ("road", "Unlabelled", "background", "voidable")), (1, 255)),
        (Mask(4, ("void", "ignore region", "car", "unlabeled")), (0, 1, 3, 255)),
    ],
)
def test_a_cell_has_the_class_of_most_of_its_pixels(side, field, void):
    mask = random_mask(side)
    mask[np.random.default_rng(5).random(mask.shape) < 0.3] = 255
    cells = to_cells(mask, field, side)
    assert cells.dtype == np.uint8
    assert cells.shape == (24 // side, 32 // side)
    for row, column in np.ndindex(cells.shape):
        cell = mask[row * side :, column * side :][:side, :side]
        assert cells[row, column] == majority(cell, void)


def test_ties_go_to_the_smaller_number():
    mask = np.uint8([[3, 3, 9, 1], [2, 2, 1, 9]])
    np.testing.assert_array_equal(to_cells(mask, Mask(), 2), [[2, 1]])


def test_one_pixel_that_says_something_outvotes_all_that_do_not():
    mask = np.full((8, 8), 11, np.uint8)
    mask[3, 4] = 7
    names = (*"abcdefghijk", "unlabelled")
    assert to_cells(mask, Mask(12, names), 8) == 7
    assert to_cells(mask, Mask(12), 8) == 11


def test_padding_repeats_the_edge_and_cutting_undoes_it():
    mask = random_mask(1, 5, 7)
    padded = resize_mask(mask, (8, 8))
    np.testing.assert_array_equal(padded, np.pad(mask, [(0, 3), (0, 1)], mode="edge"))
    np.testing.assert_array_equal(resize_mask(padded, (5, 7)), mask)


@pytest.mark.parametrize(
    ("size", "side"), [((24, 32), 8), ((24, 32), 1), ((20, 20), 8), ((192, 256), 32)]
)
def test_the_side_of_cells_is_found_by_sizes(size, side):
    assert find_cells(size, mask_shape(*size, side)) == side


def test_masks_of_other_sizes_have_no_cells():
    assert find_cells((16, 16), (5, 7)) == 1
    assert find_cells((16, 16), (20, 16)) == 1
    # However large an image says it is.
    assert find_cells((2**28, 1), (1, 1)) <= 2**28


def test_the_side_of_cells_is_found_by_files():
    image, cells = encoded(noise(0, height=24, width=32)), random_mask(0, 3, 4)
    assert cells_of(image, encode_mask(cells)) == 8
    assert cells_of(b"\xff\xd8\xff" + image, encode_mask(cells)) == 1
    assert (
        cells_of(image, b"") == cells_of(b"", b"") == cells_of(image[:20], image) == 1
    )


def test_masks_fit_their_images():
    mask = random_mask(0)
    assert check_mask(mask, Mask(4), 24, 32, "x") is mask
    check_mask(mask, Mask(4, cells=8), 192, 256, "x")
    # As one that is cut back is.
    check_mask(mask, Mask(4, cells=8), 185, 249, "x")
    with pytest.raises(ImageError, match="x: m is 24 x 32, and its image 16 x 16, wh"):
        check_mask(mask, Mask(4), 16, 16, "x: m")
    with pytest.raises(
        ImageError, match="24 x 32, and its image 24 x 32 in cells of 8"
    ):
        check_mask(mask, Mask(4, cells=8), 24, 32, "x")


def test_a_number_that_is_no_class_is_named_with_its_place():
    mask = random_mask(0)
    mask[3, 5], mask[9, 9] = 4, 255
    with pytest.raises(ImageError, match="x has 4 in row 3, column 5, which is no cl"):
        check_mask(mask, Mask(4), 24, 32, "x")
    mask[3, 5] = 255
    check_mask(mask, Mask(4), 24, 32, "x")


@pytest.mark.parametrize(
    ("name", "is_mask"),
    [
        ("segmentation_mask", True),
        ("mask", True),
        ("labelMap", True),
        ("label_map", True),
        ("label", False),
        ("depth", False),
        ("unmasked", False),
    ],
)
def test_masks_are_known_by_their_names(name, is_mask):
    assert names_mask(name) == is_mask


def test_files_give_back_masks_and_nothing_else():
    mask = random_mask(0, classes=256)
    np.testing.assert_array_equal(decode_mask(encode_mask(mask), "x"), mask)
    for wrong in (noise(0), np.uint16(mask)):
        with pytest.raises(ImageError, match=r"x has . channels of u"):
            decode_mask(encoded(wrong), "x")
    with pytest.raises(ImageError, match="x has more pixels than its image; make"):
        decode_mask(encode_mask(mask), "x", most=mask.size - 1)
    decode_mask(encode_mask(mask), "x", most=mask.size)


def test_mutants_of_files_are_masks_or_refused():
    content = encode_mask(random_mask(0))
    decodes = refused = 0
    for number in range(300):
        mutant = mutate_png(content, chance("mask", number))
        try:
            found = decode_mask(mutant, "x", most=24 * 32)
        except ImageError:
            refused += 1
            continue
        decodes += 1
        assert found.dtype == np.uint8
        assert found.ndim == 2
        assert found.size <= 24 * 32
        assert cells_of(mutant, mutant) == 1
    assert decodes > 5
    assert refused > 100

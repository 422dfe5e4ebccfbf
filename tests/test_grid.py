"""Cutting images into grids: where pieces lie, and that they join again."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmixjax import _grid

SIDE = st.integers(1, 3)


def numbers(*shape):
    return np.arange(np.prod(shape)).reshape(shape)


@settings(max_examples=20, deadline=None)
@given(st.lists(SIDE, max_size=2), SIDE, SIDE, SIDE, SIDE, SIDE)
def test_regions_are_where_slices_say_and_join_again(
    batch, rows, columns, height, width, channels
):
    images = numbers(*batch, rows * height, columns * width, channels)
    size = (height, width)
    grid = _grid.cut(images, size)
    assert grid.shape == (*batch, rows, height, columns, width, channels)
    assert (_grid.join(grid) == images).all()
    regions = _grid.cut_regions(images, size)
    assert (_grid.join_regions(regions) == images).all()
    last = images[..., (rows - 1) * height :, (columns - 1) * width :, :]
    assert (regions[..., -1, -1, :, :, :] == last).all()
    assert (grid[..., -1, :, -1, :, :] == last).all()


@settings(max_examples=20, deadline=None)
@given(st.lists(SIDE, max_size=2), SIDE, SIDE, SIDE, SIDE)
def test_blocks_come_row_by_row_and_join_again(batch, rows, columns, size, channels):
    images = numbers(*batch, rows * size, columns * size, channels)
    blocks = _grid.cut_blocks(images, size)
    assert blocks.shape == (*batch, rows * columns, size, size, channels)
    assert (_grid.join_blocks(blocks, images.shape[-3:-1]) == images).all()
    second = images[..., :size, size : 2 * size, :]
    if columns > 1:
        assert (blocks[..., 1, :, :, :] == second).all()
    folded = _grid.fold(images, size)
    assert (folded.reshape(blocks.shape) == blocks).all()
    assert (_grid.unfold(folded, size) == images).all()


@pytest.mark.parametrize("asarray", [np.asarray, jnp.asarray])
def test_arrays_stay_of_their_kind(asarray):
    images = asarray(np.zeros((2, 4, 6, 3), np.uint8))
    for found in (
        _grid.join(_grid.cut(images, 2)),
        _grid.join_regions(_grid.cut_regions(images, 2)),
        _grid.join_blocks(_grid.cut_blocks(images, 2), (4, 6)),
        _grid.unfold(_grid.fold(images, 2), 2),
    ):
        assert type(found) is type(images)
        assert found.shape == images.shape


def test_each_pixel_becomes_a_square():
    image = jnp.asarray([[[1], [2]]])
    assert _grid.enlarge(image, 2)[..., 0].tolist() == [[1, 1, 2, 2], [1, 1, 2, 2]]


def test_squares_become_channels_and_come_back():
    x = np.arange(2 * 4 * 6 * 3).reshape(2, 4, 6, 3)
    y = np.asarray(_grid.fold(jnp.asarray(x), 2))
    np.testing.assert_array_equal(y[1, 1, 2], x[1, 2:4, 4:6].reshape(-1))
    np.testing.assert_array_equal(_grid.unfold(jnp.asarray(y), 2), x)

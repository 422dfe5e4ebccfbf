import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmixjax.release.packing import Layout, pack, pack_tiles, places, share_out, unpack


@st.composite
def packings(draw):
    """A layout, images of whole tiles, and what share of them is packed."""
    tile, channels = draw(st.sampled_from([(2, 1), (4, 3), (8, 2)]))
    layout = Layout(
        tile_size=tile,
        channels=channels,
        dtype=np.dtype(draw(st.sampled_from([np.uint8, np.uint16]))),
        together=draw(st.integers(1, 3)),
        size=draw(st.sampled_from([1, 5000, 20000])),
    )
    sides = st.integers(1, 9).map(lambda tiles: tiles * tile)
    shapes = draw(st.lists(st.tuples(sides, sides), min_size=1, max_size=6))
    rng = np.random.default_rng(0)
    images = [
        rng.integers(1, 256, (*shape, channels)).astype(layout.dtype)
        for shape in shapes
    ]
    numbers = [i for i in range(len(images)) if draw(st.booleans())]
    return layout, images, numbers


@given(packings())
def test_every_piece_of_the_images_lies_in_one_slot(packing):
    layout, images, numbers = packing
    seen = []
    packs = list(share_out(images, numbers, layout))
    for parts in packs:
        slots = [slot for part in parts for slot in range(layout.pieces)[part.slots]]
        assert slots == list(range(len(slots)))
        seen += [
            (part.image, i) for part in parts for i in range(part.start, part.stop)
        ]
    assert seen == [(i, k) for i in numbers for k in range(layout.count(images[i]))]
    # All packs but the last are full.
    assert len(packs) == -(-len(seen) // layout.pieces)


@given(packings())
def test_what_is_packed_is_unpacked_as_it_was(packing):
    layout, images, numbers = packing
    back = [np.zeros_like(image) for image in images]
    for parts in share_out(images, numbers, layout):
        values = pack(parts, images, layout)
        assert values.shape == (layout.tile_size, layout.pieces * layout.length)
        assert values.dtype == layout.dtype
        unpack(values, parts, back, layout)
    for i, image in enumerate(images):
        np.testing.assert_array_equal(back[i], image if i in numbers else 0)


@given(packings())
def test_slots_hold_the_tiles_that_are_said_to_lie_there(packing):
    layout, images, numbers = packing
    tile, channels = layout.tile_size, layout.channels
    for parts in share_out(images, numbers, layout):
        values = pack(parts, images, layout)
        slots = values.reshape(tile, layout.pieces, layout.together * tile, channels)
        row, first = places(parts, images, layout)
        for part in parts:
            for slot in range(layout.pieces)[part.slots]:
                image = images[part.image]
                top, left = row[slot] * tile, first[slot] * tile
                there = image[top : top + tile, left:][:, : layout.together * tile]
                here = slots[:, slot]
                np.testing.assert_array_equal(here[:, : there.shape[1]], there)
                # Beyond the image there is nothing.
                assert not here[:, there.shape[1] :].any()


def test_levels_lie_as_tiles_do():
    layout = Layout(4, 3, np.dtype(np.uint8), together=2, size=100)
    levels = np.arange(1, 7).reshape(2, 3)
    assert pack_tiles(levels, layout).tolist() == [[1, 2], [3, 0], [4, 5], [6, 0]]


@pytest.mark.parametrize("crop", [False, True])
def test_images_are_packed_from_where_they_lie(crop):
    """No copy is made of a large image, whole or cut back."""
    whole = np.random.default_rng(0).integers(0, 256, (70, 90, 3), np.uint8)
    image = whole[:64, :64] if crop else np.ascontiguousarray(whole[:64, :64])
    layout = Layout(32, 3, image.dtype, together=1, size=2 * 32 * 32 * 3)
    (parts,) = share_out([image], [0], layout)
    values = pack(parts, [image], layout).reshape(32, -1, 32, 3)
    np.testing.assert_array_equal(values[:, 3], image[32:, 32:])

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from vmixjax._grid import cut_blocks, cut_regions, join_blocks, join_regions

SIZES = st.integers(1, 3)


@settings(max_examples=10, deadline=None)
@given(SIZES, SIZES, SIZES, SIZES, SIZES, SIZES, SIZES)
def test_pieces_are_where_slices_say_and_join_again(b, y, x, down, across, block, c):
    region = (down * block, across * block)
    shape = (b, y * region[0], x * region[1], c)
    images = np.arange(np.prod(shape)).reshape(shape)
    pieces = cut_blocks(cut_regions(images, region), block)
    joined = join_regions(join_blocks(pieces, region))
    assert (np.asarray(joined) == images).all()
    top = (y - 1) * region[0] + (down - 1) * block
    left = (x - 1) * region[1] + (across - 1) * block
    last = images[:, top : top + block, left : left + block]
    assert (pieces[:, -1, -1, -1] == last).all()
    assert (pieces[:, 0, 0, 0] == images[:, :block, :block]).all()

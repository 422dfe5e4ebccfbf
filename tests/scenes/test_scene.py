"""Which views add something: those whose regions lie otherwise on the scene."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmixjax.scenes import Scene, View


def scene(*shifts, scale=1.0):
    views = [(scale, float(top), float(left)) for top, left in shifts]
    return Scene(tuple(View(i, *view) for i, view in enumerate(views)))


@pytest.mark.parametrize(
    ("shifts", "regions", "count"),
    [
        ([(0, 0), (0, 0), (0, 0)], [8], 1),
        ([(0, 0), (8, 16), (-24, 0)], [8], 1),
        # What lies on the grid of small regions need not lie on that of large ones.
        ([(0, 0), (8, 16), (-24, 0)], [8, 16], 2),
        ([(0, 0), (1, 0), (0, 1), (9, 8)], [8], 3),
        ([(0, 0), (0.5, 0), (0.6, 0), (8.1, 0)], [8], 2),
    ],
)
def test_copies_on_the_same_grid_count_once(shifts, regions, count):
    assert scene(*shifts).count_grids(regions) == count


def test_other_sizes_count():
    views = View(0, 1.0, 0.0, 0.0), View(1, 1.1, 0.0, 0.0), View(2, 1.1, 8.8, 0.0)
    # The third lies 8 of its own pixels from the second.
    assert Scene(views).count_grids([8]) == 2


@given(
    st.lists(st.tuples(*[st.integers(-99, 99)] * 2), min_size=1, max_size=30),
    st.sampled_from([2, 4, 8, 32]),
    st.tuples(*[st.integers(-99, 99)] * 2),
)
def test_whole_shifts_count_as_many_as_remainders(shifts, region, start):
    different = {(top % region, left % region) for top, left in shifts}
    assert scene(*shifts).count_grids([region]) == len(different)
    moved = np.array(shifts) + start
    assert scene(*moved).count_grids([region]) == len(different)

import numpy as np

from vmixjax import methods


def test_the_published_rule():
    scores = np.zeros((14, 14), np.float32)
    scores[0, :6] = [0.05, 0.2, 0.5, 0.51, 0.95, 1.0]
    # A constant image has the VFE of its tiles' borders: 2 * 14 * value^2.
    for grey, blocks_a_side in (
        (60, [8, 8, 8, 8, 8, 8]),
        (40, [4, 8, 8, 8, 8, 8]),
        (20, [2, 4, 4, 8, 8, 8]),
    ):
        plan = methods.published_plan(np.full((112, 112, 3), grey, np.uint8), scores)
        assert plan.config.ladder == ((8, 4), (8, 2), (8, 1))
        found = 2 ** np.asarray(plan.levels)[0, :6].astype(int)
        assert found.tolist() == blocks_a_side

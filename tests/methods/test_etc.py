import itertools

import numpy as np
from small import KEY, NUMBERS, blocks

from vmixjax import methods


def test_etc_keeps_blocks_up_to_what_it_does_to_them():
    def canonical(block):
        turned = [np.rot90(block, k) for k in range(4)]
        turned += [np.flip(one, 0) for one in turned]
        inverted = [*turned, *(255 - one for one in turned)]
        orders = itertools.permutations(range(3))
        return min(
            one[..., order].tobytes()
            for one, order in itertools.product(inverted, map(list, orders))
        )

    encrypted = methods.etc(KEY, NUMBERS, block=4)
    before, after = blocks(NUMBERS, 4), blocks(encrypted, 4)
    assert sorted(map(canonical, before)) == sorted(map(canonical, after))
    assert not {x.tobytes() for x in before} & {x.tobytes() for x in after}

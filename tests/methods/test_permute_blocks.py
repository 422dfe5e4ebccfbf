import numpy as np
import pytest
from small import KEY, NUMBERS, blocks, multiset

from vmixjax import methods


@pytest.mark.parametrize("block", [1, 4])
def test_permuting_keeps_blocks_whole(block):
    permuted = methods.permute_blocks(KEY, NUMBERS, block=block)
    assert multiset(blocks(permuted, block)) == multiset(blocks(NUMBERS, block))
    assert np.mean(np.asarray(permuted) == NUMBERS) < 0.3

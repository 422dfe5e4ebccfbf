import numpy as np
from small import KEY, NUMBERS, blocks, half_bytes, multiset

from vmixjax import methods


def test_ele_scrambles_and_moves_blocks():
    def folded(image):
        return multiset(
            np.sort(np.minimum(h, 15 - h)) for h in map(half_bytes, blocks(image, 4))
        )

    encrypted = np.asarray(methods.ele(KEY, NUMBERS))
    assert folded(encrypted) == folded(NUMBERS)
    # Equal blocks do not stay equal, as they do in LE.
    same = np.tile(NUMBERS[:4, :4], (4, 3, 1))
    assert len(set(multiset(blocks(methods.le(KEY, same), 4)))) == 1
    assert len(set(multiset(blocks(methods.ele(KEY, same), 4)))) == 12
    # Blocks leave their places: the one that one pixel changes is another's.
    moves = []
    for i in range(0, 16, 4):
        other = NUMBERS.copy()
        other[i, 0, 0] ^= 255
        row, column, _ = np.argwhere(methods.ele(KEY, other) != encrypted)[0]
        moves.append((row // 4, column // 4) != (i // 4, 0))
    assert any(moves)

import dataclasses

import numpy as np
import pytest

from vmixjax import MixConfig


def test_equal_configs_hash_alike_however_they_were_spelled():
    spelled = MixConfig(np.int64(16), [[np.int32(8), 2], (16, 1)])
    assert spelled == MixConfig(16, ((8, 2), (16, 1)))
    assert hash(spelled) == hash(MixConfig(16, ((8, 2), (16, 1))))
    assert all(type(size) is int for pair in spelled.ladder for size in pair)


def test_a_config_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        MixConfig().tile_size = 8


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"tile_size": 0}, ValueError, "tile_size must be at least 1 pixel; got 0"),
        ({"tile_size": 32.0}, TypeError, "tile_size must be an integer; got 32.0"),
        ({"ladder": ()}, ValueError, "1 to 255 levels; got 0"),
        ({"ladder": ((8, 1),) * 256}, ValueError, "1 to 255 levels; got 256"),
        ({"ladder": (8, 1)}, TypeError, "pairs"),
        ({"ladder": ((8, 1, 1),)}, TypeError, "pairs"),
        ({"ladder": 8}, TypeError, "pairs"),
        ({"ladder": ((12, 1),)}, ValueError, "region of 12 .* tile of 32"),
        ({"ladder": ((64, 1),)}, ValueError, "region of 64 .* tile of 32"),
        ({"ladder": ((8, 3),)}, ValueError, "block of 3 in a region of 8"),
        ({"ladder": ((8, 8),)}, ValueError, r"block of 8 .* choose from \[1, 2, 4\]"),
        ({"ladder": ((8, 0),)}, ValueError, "block size in ladder"),
        ({"ladder": ((8.0, 1),)}, TypeError, "region size in ladder .* 8.0"),
        ({"channels": "each"}, ValueError, "independent, shared, joint; got 'each'"),
    ],
)
def test_bad_configs_are_named(arguments, error, words):
    with pytest.raises(error, match=words):
        MixConfig(**arguments)

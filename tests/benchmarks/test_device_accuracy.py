"""What mixing costs on an accelerator, tried small and without one."""

import json
import time
import types

import numpy as np
import pytest

from benchmarks import device_accuracy
from train.config import Mixing


def images(count, side=32):
    # Smooth, so that JPEG keeps them nearly as they are.
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (count, 2, 2, 3)).astype(np.uint8)
    return small.repeat(side // 2, 1).repeat(side // 2, 2)


class Few:
    """A source of a few images."""

    splits = {"train": 16, "test": 5}  # noqa: RUF012

    def read(self, split, index):
        image = images(16)[index]
        return types.SimpleNamespace(image=image, values={"label": index % 10})


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed")
    device_accuracy.pack(Few(), folder)
    return folder


def test_what_is_packed_comes_back(packed):
    splits = device_accuracy.unpack(packed)
    assert [len(labels) for _, labels in splits.values()] == [16, 5]
    found, labels = splits["train"]
    assert np.abs(found.astype(int) - images(16).astype(int)).max() < 8
    assert labels.tolist() == [i % 10 for i in range(16)]


def test_images_are_mixed_once_each_with_its_key():
    mixing = Mixing("done", 8, ((8, 1),))
    one = np.repeat(np.arange(3072, dtype=np.uint16).astype(np.uint8), 2)
    same = one.reshape(2, 32, 32, 3)
    mixed = device_accuracy.mixed_once(same, mixing, 0)
    assert (mixed[0] != mixed[1]).mean() > 0.5
    cut = [x.reshape(2, 4, 8, 4, 8, 3).swapaxes(2, 3) for x in (same, mixed)]
    values = [np.sort(x.reshape(2, 4, 4, 64, 3), axis=3) for x in cut]
    np.testing.assert_array_equal(*values)
    np.testing.assert_array_equal(device_accuracy.mixed_once(same, mixing, 0), mixed)


@pytest.mark.long
def test_arms_are_trained_and_written(packed, tmp_path, capsys):
    out = tmp_path / "out.json"
    options = ["--model", "cnn", "--batch", "8", "--epochs", "3", "--out", str(out)]
    arms = ["clean", "release, 4 across"]
    device_accuracy.main(["run", str(packed), *options, "--only", *arms])
    found = json.loads(out.read_text())
    assert list(found["arms"]) == arms
    for arm in found["arms"].values():
        assert 0 <= arm["test_accuracy"] <= 1
        assert arm["epochs"] == 3
    assert found["arms"]["release, 4 across"]["config"]["mixing"]["tile_size"] == 8
    assert "release, 4 across: " in capsys.readouterr().out


@pytest.mark.long
def test_what_would_take_too_long_has_fewer_epochs(packed):
    splits = device_accuracy.unpack(packed)
    config = device_accuracy.config_of("cnn", 8, 32, 0, 2_000)
    with pytest.raises(device_accuracy.TooSlow) as found:
        device_accuracy.learn(config, splits, 0, 1_000, time.monotonic())
    assert found.value.seconds > 0
    told = device_accuracy.learn(config, splits, 0, 2, time.monotonic())
    assert told["epochs"] == 2

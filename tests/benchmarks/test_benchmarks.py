"""The benchmarks compare like with like; how fast things are is not tested."""

import jax
import numpy as np
import pytest

import benchmarks.__main__
from benchmarks import functions, measure, peers


def sorted_regions(images, region):
    return np.sort(peers.to_regions(np.asarray(images), region), axis=-1)


def test_peers_shuffle_the_same_regions():
    images = functions.images_of(2, 32, "uint8")
    ways = peers.peers(images, 16)
    assert len(ways) >= 4
    for name, way in ways.items():
        if name == "albumentations.RandomGridShuffle":  # Moves whole regions.
            continue
        mixed = np.asarray(way())
        assert mixed.shape == images.shape
        assert (mixed != images).mean() > 0.5
        np.testing.assert_array_equal(
            sorted_regions(mixed, 16), sorted_regions(images, 16), err_msg=name
        )


def test_regions_go_there_and_back():
    images = functions.images_of(2, 32, "uint8")
    regions = peers.to_regions(images, 8)
    np.testing.assert_array_equal(peers.from_regions(regions, images.shape, 8), images)


def test_all_ways_run_in_turn():
    calls = []
    ways = {
        name: lambda n=name: jax.numpy.asarray(calls.append(n) or 0) for name in "ab"
    }
    assert set(measure.medians(ways, times=3)) == {"a", "b"}
    assert calls == ["a", "b"] * 4


def test_an_unknown_table_is_one_line(monkeypatch):
    monkeypatch.setattr("sys.argv", ["benchmarks", "--tables", "sped"])
    with pytest.raises(SystemExit, match=r"--tables has \['sped'\]; choose from"):
        benchmarks.__main__.main()

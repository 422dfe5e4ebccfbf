"""The benchmarks compare like with like; how fast things are is not tested."""

import contextlib
import json

import jax
import numpy as np
import pytest

import benchmarks.__main__
from benchmarks import fresh, functions, measure, peers, releases


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


def test_time_to_tidy_is_not_counted(monkeypatch):
    now = [0.0]

    def tidy():
        now[0] += 100

    def way():
        now[0] += 3
        return jax.numpy.asarray(0)

    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    assert measure.medians({"a": way, "b": way}, times=2, tidy=tidy) == {"a": 3, "b": 3}
    assert now == [6 * 103]


def test_an_unknown_table_is_one_line(monkeypatch):
    monkeypatch.setattr("sys.argv", ["benchmarks", "--tables", "sped"])
    with pytest.raises(SystemExit, match=r"--tables has \['sped'\]; choose from"):
        benchmarks.__main__.main()


def test_tables_of_photographs_are_printed_and_written(monkeypatch, capsys, tmp_path):
    @contextlib.contextmanager
    def none_of(sizes):
        assert len(sizes) == 3
        names = [*releases.CODECS, "release"]
        yield {name: lambda: jax.numpy.asarray(0) for name in names}, lambda: None

    taken = fresh.Run(2.0, 3.0, 500_000_000, 6)
    monkeypatch.setattr(benchmarks.__main__, "releases", none_of)
    monkeypatch.setattr(fresh, "run_python", lambda arguments, settings: taken)
    small = ["--photographs=3", "--folder=2", "--panorama=1", "--times=1"]
    out = tmp_path / "found.json"
    asked = ["benchmarks", "--tables", "release", "folders", *small, "--out", str(out)]
    monkeypatch.setattr("sys.argv", asked)
    benchmarks.__main__.main()
    found = json.loads(out.read_text())
    printed = capsys.readouterr().out
    assert [row["way"] for row in found["release"]][-1] == "release"
    assert all(row["of our codec"] > 0 for row in found["release"])
    assert len(found["folders"]) == 2 * 4 + 1 + 2 * 2
    for row in found["folders"]:
        assert row["command"] in printed
        assert (row["s"], row["CPU s"], row["peak MB"], row["compiled"]) == (
            2,
            3,
            500,
            6,
        )

"""The commands of the table: what each is given, and how it is told."""

import pytest

from benchmarks import folders
from benchmarks.fresh import Run
from benchmarks.photographs import megapixels
from vmixjax.data import read_image

SIZES = [(448, 448), (448, 896), (224, 448)]


class Recorder:
    """Takes the place of the command line; counts the pixels that it is given."""

    def __init__(self, runs):
        self.runs = iter(runs)
        self.calls = []
        self.caches = []
        self.pixels = []

    def __call__(self, *arguments, cache=None):
        command, source = arguments[:2]
        self.calls.append(arguments)
        if cache is not None:
            self.caches.append((cache, cache.exists()))
            cache.mkdir(exist_ok=True)
        if command in ("unmix", "verify"):  # Read what was written before.
            mixed = next(c for c in self.calls if c[0] == "mix" and c[2] == source)
            assert arguments[-2:] == ("--vault", mixed[-1])
        else:
            files = sorted(source.iterdir()) if source.is_dir() else [source]
            shapes = [read_image(file).shape[:2] for file in files]
            self.pixels.append(megapixels(shapes))
        return next(self.runs)


def run(seconds, peak=10**6, compiled=1):
    return Run(seconds, 2 * seconds, peak, compiled)


def test_many_sizes_are_told_beside_as_many_pixels_of_one():
    # Rounds in which many sizes take twice, three times, and seven times the seconds.
    runs = [
        one
        for factor, peak, compiled in ((2, 5e6, 3), (7, 8e6, 2), (3, 6e6, 4))
        for _ in range(4)
        for one in (run(1), run(factor, peak, compiled))
    ]
    record = Recorder(runs)
    rows = folders.of_many_sizes(SIZES, times=3, run=record)
    commands = ["vfe", "mix", "unmix", "verify"]
    assert [call[0] for call in record.calls] == [c for c in commands for _ in "12"] * 3
    assert len({call[2] for call in record.calls if call[0] == "mix"}) == 6
    # 3.5 times 448 x 448 pixels, of which 4 are nearest.
    assert record.pixels == [pytest.approx(n * 448**2 / 1e6) for n in (4, 3.5)] * 6
    for i, command in enumerate(commands):
        one, many = rows[2 * i : 2 * i + 2]
        assert one["command"] == f"{command}, 4 of 1 size"
        assert many["command"] == f"{command}, 3 of 3 sizes"
        assert (many["s"], many["CPU s"]) == (3, 6)
        assert (many["peak MB"], many["compiled"]) == (8, 4)
        for rate in ("s/megapixel", "CPU s/megapixel"):
            assert many[f"{rate}, of one size"] == pytest.approx(3 * 4 / 3.5)
    assert next(record.runs, None) is None


def test_a_panorama_is_wide_and_as_large_as_was_asked():
    record = Recorder([run(2), run(4), run(3)])
    (row,) = folders.of_a_panorama(1, times=3, run=record)
    assert row["command"] == "mix, one of 500 x 2000"
    assert row["s/megapixel"] == 3
    assert record.pixels == [1, 1, 1]


def test_a_first_answer_is_cold_and_then_warm():
    record = Recorder([run(s) for s in (8, 2, 10, 1, 20, 5, 20, 5)])
    rows = folders.of_first_answers(times=2, run=record)
    names = ["vfe, one, cold", "vfe, one, warm", "mix, one, cold", "mix, one, warm"]
    assert [row["command"] for row in rows] == names
    assert [row["s"] for row in rows] == [9, 1.5, 20, 5]
    assert [row.get("of cold") for row in rows] == [None, 1.5 / 9, None, 0.25]
    # Each cold one has a cache of its own; the warm one after it has the same.
    folders_, existed = zip(*record.caches, strict=True)
    assert existed == (False, True) * 4
    assert folders_[::2] == folders_[1::2]
    assert len(set(folders_)) == 4

"""Photographs of benchmarks are of many sizes, like photographs, and never the same."""

import io

import numpy as np
import pytest
from PIL import Image
from skimage import data

from benchmarks.photographs import (
    megapixels,
    photograph,
    sizes_like_imagenet,
    write_photographs,
)
from vmixjax.data import read_image
from vmixjax.scenes import find_scenes


def test_there_are_many_sizes():
    assert len(set(sizes_like_imagenet(200))) > 100
    thousand = sizes_like_imagenet(1000)
    assert megapixels(thousand) / 1000 == pytest.approx(0.2, abs=0.02)
    assert max(thousand, key=thousand.count) == (375, 500)
    assert min(map(min, thousand)) < 100
    assert max(map(max, thousand)) > 1200
    assert sum(h > w for h, w in thousand) > 200


def test_files_have_their_sizes_and_are_the_same_each_time(tmp_path):
    sizes = [(30, 50), (70, 40)]
    first = write_photographs(tmp_path / "first", sizes)
    again = write_photographs(tmp_path / "again", sizes)
    other = write_photographs(tmp_path / "other", sizes, seed=1)
    assert [path.name for path in first] == ["00000.jpg", "00001.jpg"]
    assert [read_image(path).shape for path in first] == [(30, 50, 3), (70, 40, 3)]
    for one, same, another in zip(first, again, other, strict=True):
        assert one.read_bytes() == same.read_bytes() != another.read_bytes()


def test_a_large_one_is_full_to_its_borders():
    picture = photograph(np.random.default_rng(0), 1030, 2100)
    for part in (picture[:4], picture[-4:], picture[:, :4], picture[:, -4:]):
        assert 5 < part.std() < 120
        assert len(np.unique(part)) > 50


def test_they_compress_like_photographs():
    ours = [photograph(np.random.default_rng(seed), 256, 256) for seed in range(24)]
    theirs = [
        image[top : top + 256, left : left + 256]
        for image in (data.astronaut(), data.coffee(), data.chelsea(), data.rocket())
        for top in (0, image.shape[0] - 256)
        for left in (0, image.shape[1] - 256)
    ]
    for format in ("PNG", "JPEG"):
        here, there = (np.mean([size(x, format) for x in y]) for y in (ours, theirs))
        assert 0.8 < here / there < 1.5, format


def size(image, format):
    file = io.BytesIO()
    Image.fromarray(image).save(file, format, compress_level=1, quality=90)
    return len(file.getvalue())


def test_no_two_show_the_same_scene():
    sizes = sizes_like_imagenet(80)
    images = [
        photograph(np.random.default_rng(i), h // 2, w // 2)
        for i, (h, w) in enumerate(sizes)
    ]
    assert find_scenes(images) == []
    # It would be found.
    images.append(images[3][3:, 5:])
    (scene,) = find_scenes(images)
    assert {view.index for view in scene.views} == {3, 80}

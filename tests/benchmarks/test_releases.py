"""All ways of the table write what was asked for, and nothing is left of it."""

import numpy as np
import pytest
from PIL import Image

import vmixjax
from benchmarks.releases import CODECS, releases

SIZES = [(40, 60)] * 3
CONFIG = vmixjax.MixConfig(8, ((8, 1),))


@pytest.fixture(scope="module")
def written():
    """Way -> files that it wrote, as arrays; and the folders, which are gone."""
    found, targets = {}, []
    with releases(SIZES, CONFIG) as (ways, tidy):
        for name, way in ways.items():
            targets.append(way())
            files = sorted(targets[-1].rglob("*.png"))
            found[name] = [np.asarray(Image.open(file)) for file in files]
            tidy()
            assert not targets[-1].exists()
    assert not targets[0].parents[1].exists()
    return found


def test_codecs_write_the_same_pixels(written):
    first, *others = (written[name] for name in CODECS)
    assert [image.shape for image in first] == [(*size, 3) for size in SIZES]
    for other in others:
        np.testing.assert_array_equal(other, first)


def test_releases_have_as_many_images_mixed(written):
    rest = [images for name, images in written.items() if name not in CODECS]
    assert len(rest) == 3
    originals = written["our codec"]
    for images in rest:
        # Whole tiles of 8.
        assert [image.shape for image in images] == [(40, 64, 3)] * len(SIZES)
        assert not any(
            (image[:, :60] == other).mean() > 0.5
            for image in images
            for other in originals
        )

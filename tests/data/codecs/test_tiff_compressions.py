"""TIFF files of 16 bit colour in compressions that imagecodecs reads."""

import importlib.util
import io

import numpy as np
import pytest
import tifffile
from PIL import Image

from vmixjax.data.codecs import tiff
from vmixjax.data.codecs.images import decode_image
from vmixjax.errors import ImageError

needs_imagecodecs = pytest.mark.skipif(
    importlib.util.find_spec("imagecodecs") is None, reason="extra tiff"
)


def deep(channels=3):
    noise = np.random.default_rng(channels).integers(0, 2**16, (37, 41, channels))
    return noise.astype(np.uint16)


def stored(image, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, image, photometric="rgb", metadata=None, **options)
    return buffer.getvalue()


@needs_imagecodecs
@pytest.mark.parametrize("compression", ["lzw", "zstd"])
@pytest.mark.parametrize("predictor", [False, True])
@pytest.mark.parametrize("layout", [{}, {"rowsperstrip": 5}, {"tile": (16, 16)}])
def test_every_bit_is_read(compression, predictor, layout):
    options = {"compression": compression, "predictor": predictor, **layout}
    assert (decode_image(stored(deep(), **options), "a.tif") == deep()).all()
    four = stored(deep(4), extrasamples=["unspecified"], **options)
    assert (decode_image(four, "a.tif") == deep(4)).all()


@needs_imagecodecs
def test_lzw_of_pillow_is_read_whole():
    # Pillow itself drops the fourth channel.
    image = deep(4).astype(np.uint8)
    buffer = io.BytesIO()
    picture = Image.frombytes("RGBX", (41, 37), image.tobytes())
    picture.save(buffer, "TIFF", compression="tiff_lzw")
    assert (decode_image(buffer.getvalue(), "a.tif") == image).all()


@needs_imagecodecs
@pytest.mark.parametrize("compression", ["lzw", "zstd"])
def test_what_is_not_all_there_is_refused(compression):
    data = stored(deep(), compression=compression, rowsperstrip=5)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages.first
        start, size = page.dataoffsets[3], page.databytecounts[3]
    # A strip of fewer rows in place of one: its end is zeros, which end nothing.
    short = stored(deep()[:2], compression=compression, rowsperstrip=5)
    with tifffile.TiffFile(io.BytesIO(short)) as file:
        page = file.pages.first
        other = short[page.dataoffsets[0] :][: page.databytecounts[0]]
    assert len(other) < size
    bad = data[:start] + other.ljust(size, b"\0") + data[start + size :]
    for damaged in (bad, data[: start + 10]):
        with pytest.raises(ImageError, match=r"truncated|damaged"):
            decode_image(damaged, "a.tif")


@pytest.mark.parametrize(("number", "name"), [(5, "LZW"), (50000, "zstd")])
def test_without_the_extra_it_is_named(monkeypatch, number, name):
    # The bytes do not matter: nothing of them is read.
    data = bytearray(stored(deep()))
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        place = file.pages.first.tags["Compression"].valueoffset
    data[place : place + 2] = number.to_bytes(2, "little")
    monkeypatch.setattr(tiff, "find_spec", lambda _: None)
    words = rf"16 bit channels in {name}, and imagecodecs.*'vmixjax\[tiff\]'"
    with pytest.raises(ImageError, match=words):
        decode_image(bytes(data), "a.tif")

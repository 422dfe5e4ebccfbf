"""PNG files that every decoder reads: noise stored, all else small; little memory."""

import io
import struct
import tracemalloc
import zlib

import cv2
import numpy as np
import png
import pytest
from PIL import Image

from vmixjax.data.codecs import png as codec
from vmixjax.data.codecs.images import decode_image
from vmixjax.data.codecs.png import encode_png, png_extras


def _noise(height, width, channels, dtype=np.uint8):
    rng = np.random.default_rng(height + width)
    return rng.integers(0, np.iinfo(dtype).max, (height, width, channels), dtype, True)


def _smooth(height, width, channels, dtype=np.uint8):
    rows, columns = np.mgrid[:height, :width]
    steps = np.arange(1, channels + 1)
    values = (rows + columns // 8)[:, :, None] * steps
    return (values * (np.iinfo(dtype).max // 255)).astype(dtype)


def _mottled(height, width, channels, dtype=np.uint8):
    """Smooth above, noise in the middle, smooth below."""
    image = _smooth(height, width, channels, dtype)
    third = height // 3
    image[third : 2 * third] = _noise(third, width, channels, dtype)
    return image


def _inflated(data: bytes) -> bytes:
    """Gives what IDAT chunks hold; fails where they are no one whole zlib stream."""
    stream, offset = b"", 8
    while offset < len(data):
        length, name = struct.unpack_from(">I4s", data, offset)
        stream += data[offset + 8 : offset + 8 + length] if name == b"IDAT" else b""
        offset += 12 + length
    inflater = zlib.decompressobj()
    rows = inflater.decompress(stream)
    assert inflater.eof
    assert not inflater.unused_data
    return rows


def _by_cv2(data: bytes) -> np.ndarray:
    image = np.atleast_3d(cv2.imdecode(np.frombuffer(data, np.uint8), -1))
    return image[:, :, [2, 1, 0, 3][: image.shape[2]]] if image.shape[2] > 2 else image


def _by_pypng(data: bytes) -> np.ndarray:
    width, height, rows, info = png.Reader(bytes=data).read()
    dtype = {8: np.uint8, 16: np.uint16}[info["bitdepth"]]
    return np.array([*map(list, rows)], dtype).reshape(height, width, -1)


@pytest.mark.parametrize("piece", [1, 700, 2**20])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("make", [_noise, _smooth, _mottled])
def test_every_decoder_reads_it(monkeypatch, make, channels, dtype, piece):
    monkeypatch.setattr(codec, "_PIECE", piece)
    image = make(37, 41, channels, dtype)
    data = encode_png(image)
    assert list(png_extras(data)) == []
    assert len(_inflated(data)) == 37 * (1 + image[0].nbytes)
    assert (data.count(b"IDAT") > 1) == (piece < image.nbytes)
    np.testing.assert_array_equal(_by_pypng(data), image)
    np.testing.assert_array_equal(decode_image(data, "image"), image)
    if channels != 2:  # cv2 has no grey with alpha
        np.testing.assert_array_equal(_by_cv2(data), image)
    if dtype == np.uint8:
        with Image.open(io.BytesIO(data)) as opened:
            np.testing.assert_array_equal(np.atleast_3d(np.asarray(opened)), image)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_same_pixels_give_the_same_bytes(dtype):
    image = _mottled(90, 70, 3, dtype)
    data = encode_png(image)
    wide = np.zeros((90, 140, 3), image.dtype.newbyteorder())
    wide[:, ::2] = image
    assert encode_png(wide[:, ::2]) == data
    assert encode_png(np.asfortranarray(image)) == data


@pytest.mark.parametrize("size", [(224, 224), (1000, 1500), (3, 100_000)])
def test_noise_is_stored(size):
    image = _noise(*size, 3)
    assert image.nbytes < len(encode_png(image)) < 1.003 * image.nbytes


@pytest.mark.parametrize("size", [(224, 224), (1000, 1500), (3, 100_000)])
def test_what_is_not_noise_is_compressed(size):
    image = _smooth(*size, 1)
    assert len(encode_png(image)) < 0.25 * image.nbytes


def test_each_part_is_stored_or_compressed_as_it_deserves():
    image = _mottled(3000, 900, 3)
    assert len(encode_png(image)) < 0.55 * image.nbytes


@pytest.mark.parametrize("region", [8, 16, 32])
@pytest.mark.parametrize("width", [512, 1024, 4096, 32768])
def test_edges_of_regions_are_not_taken_for_the_whole(region, width):
    """Of rows that change at edges of regions only, a sample must see others too."""
    rows = _noise(256 // region, width, 1).repeat(region, 0)
    assert len(encode_png(rows)) < 0.4 * rows.nbytes


@pytest.mark.parametrize("make", [_noise, _smooth, _mottled])
def test_memory_is_for_the_result_and_some_rows(make):
    image = make(4000, 2000, 3)
    tracemalloc.start()
    size = len(encode_png(image))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # A buffer that grows has an eighth in reserve.
    assert peak < 1.13 * size + 10 * 2**20


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_reading_takes_one_array(kind):
    """And a picture of Pillow's, which is not seen here."""
    buffer = io.BytesIO()
    Image.fromarray(_smooth(3000, 2000, 3)).save(buffer, kind)
    data = buffer.getvalue()
    tracemalloc.start()
    image = decode_image(data, "image")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < image.nbytes + 5 * 2**20

"""HEIC and AVIF files: read as they show, or refused with a mend."""

import importlib.util
import io
import sys

import numpy as np
import oracle
import pytest
from PIL import AvifImagePlugin, Image

from vmixjax.data.codecs import heif
from vmixjax.data.codecs.images import CODECS, decode_image
from vmixjax.errors import ImageError

PICTURE = oracle.smooth_image(16, 24)

needs_heif = pytest.mark.skipif(
    importlib.util.find_spec("pillow_heif") is None, reason="extra heic"
)


def avif(image, **options):
    buffer = io.BytesIO()
    AvifImagePlugin._save(as_pillow(image, options), buffer, "")
    return buffer.getvalue()


def as_pillow(image, options):
    picture = Image.fromarray(image.squeeze())
    picture.encoderinfo = {"quality": 100, "subsampling": "4:4:4", **options}
    return picture


def heic(images, mode="RGB"):
    import pillow_heif

    file = pillow_heif.HeifFile()
    for image in images:
        height, width = image.shape[:2]
        file.add_frombytes(mode, (width, height), image.tobytes())
    buffer = io.BytesIO()
    file.save(buffer, quality=-1, chroma=444)
    return buffer.getvalue()


def test_avif_is_read_as_pillow_reads_it():
    data = avif(PICTURE)
    assert CODECS["AVIF"].magic.match(data[:16])
    image = decode_image(data, "a.avif")
    with Image.open(io.BytesIO(data)) as expected:
        np.testing.assert_array_equal(image, np.asarray(expected))
    assert abs(image.astype(int) - PICTURE).mean() < 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_avif_is_turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = avif(PICTURE, exif=exif)
    image = decode_image(data, "a.avif").astype(int)
    turned = Image.fromarray(PICTURE)
    turned.getexif()[0x0112] = orientation
    from PIL import ImageOps

    expected = np.asarray(ImageOps.exif_transpose(turned)).astype(int)
    assert image.shape == expected.shape
    assert abs(image - expected).mean() < 2


def test_avif_of_more_than_8_bits_is_refused():
    data = bytearray(avif(PICTURE))
    place = data.index(b"av1C") + 6
    data[place] |= 0x40
    with pytest.raises(ImageError, match="more than 8 bits in AVIF; save it as an 8"):
        decode_image(bytes(data), "a.avif")


def test_avif_animations_are_refused():
    others = [Image.fromarray(PICTURE[::-1].copy())]
    buffer = io.BytesIO()
    picture = as_pillow(PICTURE, {"append_images": others})
    AvifImagePlugin._save_all(picture, buffer, "")
    with pytest.raises(ImageError, match="more than one picture"):
        decode_image(buffer.getvalue(), "a.avif")


def test_a_pillow_without_avif_is_told_of(monkeypatch):
    monkeypatch.setattr(heif.features, "check", lambda _: False)
    with pytest.raises(ImageError, match="pip install --upgrade pillow"):
        decode_image(avif(PICTURE), "a.avif")


def test_without_its_extra_heic_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    data = b"\0\0\0\x18ftypheic" + bytes(99)
    with pytest.raises(ImageError, match=r"pip install 'vmixjax\[heic\]'"):
        decode_image(data, "a.heic")


@needs_heif
def test_heic_is_read():
    image = decode_image(heic([PICTURE]), "a.heic")
    assert (image.dtype, image.shape) == (np.uint8, PICTURE.shape)
    assert abs(image.astype(int) - PICTURE).mean() < 2


@needs_heif
def test_heic_of_10_bits_is_read_as_16():
    deep = PICTURE.astype(np.uint16) * 257
    image = decode_image(heic([deep], "RGB;16"), "a.heic")
    assert (image.dtype, image.shape) == (np.uint16, deep.shape)
    assert abs(image.astype(int) - deep).mean() < 2 * 257


@needs_heif
def test_heic_of_several_pictures_is_refused():
    with pytest.raises(ImageError, match="more than one picture"):
        decode_image(heic([PICTURE, PICTURE[::-1]]), "a.heic")


@needs_heif
@pytest.mark.parametrize("keep", [40, 400, -30])
def test_heic_that_is_cut_off_is_refused(keep):
    with pytest.raises(ImageError, match="damaged"):
        decode_image(heic([PICTURE])[:keep], "a.heic")

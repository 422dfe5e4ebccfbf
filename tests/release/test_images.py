"""Image files read bit for bit, refused in one line, written without metadata."""

import concurrent.futures
import errno
import io
import os
import stat
import struct
import time
import tracemalloc
import warnings
import zlib
from pathlib import Path

import numpy as np
import png
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile, PngImagePlugin

from vmixjax.release import images
from vmixjax.release.images import ImageError, read_image, write_png

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


# --- helpers ---


def _noise(height=13, width=17, channels=3, dtype=np.uint8, seed=0):
    rng = np.random.default_rng(seed)
    top = np.iinfo(dtype).max
    return rng.integers(0, top, (height, width, channels), dtype, endpoint=True)


def _chunk(name: bytes, body: bytes) -> bytes:
    checksum = zlib.crc32(name + body)
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", checksum)


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    assert data.startswith(SIGNATURE)
    found, offset = [], 8
    while offset < len(data):
        length, name = struct.unpack_from(">I4s", data, offset)
        found.append((name, data[offset + 8 : offset + 8 + length]))
        offset += 12 + length
    assert offset == len(data)
    return found


def _join(chunks) -> bytes:
    return SIGNATURE + b"".join(_chunk(name, body) for name, body in chunks)


def _insert(data: bytes, name: bytes, body: bytes, before: bytes = b"IDAT") -> bytes:
    """Put a chunk before the first one of the name `before`."""
    chunks = _chunks(data)
    index = next(i for i, (other, _) in enumerate(chunks) if other == before)
    return _join([*chunks[:index], (name, body), *chunks[index:]])


def _ihdr(width, height, depth=8, colour=2, interlace=0) -> bytes:
    return struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)


def _pillow(image: np.ndarray, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    pixels = image[:, :, 0] if image.shape[2] == 1 else image
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def _png16(image: np.ndarray, interlace=False, **options) -> bytes:
    height, width, channels = image.shape
    writer = png.Writer(
        width,
        height,
        greyscale=channels < 3,
        alpha=channels in (2, 4),
        bitdepth=16,
        interlace=interlace,
        **options,
    )
    buffer = io.BytesIO()
    writer.write(buffer, image.reshape(height, -1).tolist())
    return buffer.getvalue()


def _filtered_png16(image: np.ndarray) -> bytes:
    """A 16 bit RGB PNG that uses the filters Sub and Up, row about."""
    height, width, channels = image.shape
    raw = image.astype(">u2").reshape(height, -1).view(np.uint8)
    lines = []
    for y, row in enumerate(raw):
        if y % 2:
            lines.append(b"\x02" + (row - raw[y - 1]).tobytes())
        else:
            left = np.concatenate([np.zeros(2 * channels, np.uint8), row])
            lines.append(b"\x01" + (row - left[: len(row)]).tobytes())
    body = zlib.compress(b"".join(lines))
    header = _ihdr(width, height, 16, 2)
    return _join([(b"IHDR", header), (b"IDAT", body), (b"IEND", b"")])


def _tiff(image: np.ndarray, **options) -> bytes:
    buffer = io.BytesIO()
    channels = image.shape[2]
    if channels in (2, 4):
        options.setdefault("extrasamples", ["unassalpha"])
    options.setdefault("photometric", "rgb" if channels > 2 else "minisblack")
    if options.get("planarconfig") == "separate":
        image = np.moveaxis(image, -1, 0)
    elif channels == 1:
        image = image[:, :, 0]
    with tifffile.TiffWriter(
        buffer, byteorder=options.pop("byteorder", "<"), bigtiff=False
    ) as file:
        file.write(image, metadata=None, **options)
    return buffer.getvalue()


def _exif(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


def _read(folder: Path, data: bytes, name="image.bin") -> np.ndarray:
    path = folder / name
    path.write_bytes(data)
    image = read_image(path)
    assert image.ndim == 3
    assert image.dtype in (np.uint8, np.uint16)
    assert image.dtype.isnative
    assert image.flags.c_contiguous
    assert image.flags.writeable
    return image


def _refused(folder: Path, data: bytes, match: str = ".") -> str:
    path = folder / "secret-holiday.png"
    path.write_bytes(data)
    return _refused_path(path, match)


def _refused_path(path: Path, match: str = ".") -> str:
    with pytest.raises(ImageError, match=match) as caught:
        read_image(path)
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text
    assert "; " in text  # a mend follows the fault
    return text


# --- round trips ---


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (64, 33)])
def test_round_trip(tmp_path, dtype, channels, size):
    image = _noise(*size, channels, dtype)
    path = tmp_path / "a.png"
    write_png(path, image)
    back = read_image(path)
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, image)
    assert {name for name, _ in _chunks(path.read_bytes())} == {
        b"IHDR",
        b"IDAT",
        b"IEND",
    }


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_written_files_are_what_other_readers_see(tmp_path, dtype, channels):
    image = _noise(channels=channels, dtype=dtype)
    write_png(tmp_path / "a.png", image)
    _, _, rows, info = png.Reader(bytes=(tmp_path / "a.png").read_bytes()).read()
    assert info["bitdepth"] == 8 * image.dtype.itemsize
    assert info["planes"] == channels
    np.testing.assert_array_equal(np.array(list(rows)).reshape(image.shape), image)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [">u2", "<u2", "u1"])
def test_round_trip_of_views(tmp_path, dtype, channels):
    image = _noise(20, 30, channels, np.uint16).astype(dtype)[::-2, 3::3]
    write_png(tmp_path / "a.png", image)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), image)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 5), np.uint8),
        np.zeros((4, 4, 0), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4, 3), np.int16),
        np.zeros((4, 4, 3), bool),
    ],
)
def test_write_refuses_other_arrays(tmp_path, image):
    with pytest.raises(ValueError, match="image must"):
        write_png(tmp_path / "a.png", image)
    assert list(tmp_path.iterdir()) == []


# --- formats ---


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_8_bit(tmp_path, channels):
    image = _noise(channels=channels)
    np.testing.assert_array_equal(_read(tmp_path, _pillow(image, "PNG")), image)


@pytest.mark.parametrize("interlace", [False, True])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_16_bit_keeps_every_bit(tmp_path, channels, interlace):
    image = _noise(channels=channels, dtype=np.uint16)
    back = _read(tmp_path, _png16(image, interlace))
    assert back.dtype == np.uint16
    np.testing.assert_array_equal(back, image)


def test_png_16_bit_with_filters(tmp_path):
    image = _noise(dtype=np.uint16)
    np.testing.assert_array_equal(_read(tmp_path, _filtered_png16(image)), image)


def test_png_16_bit_ignores_significant_bits(tmp_path):
    image = _noise(dtype=np.uint16)
    data = _insert(_png16(image), b"sBIT", b"\x0a\x0a\x0a")
    np.testing.assert_array_equal(_read(tmp_path, data), image)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
@pytest.mark.parametrize("clear", [None, 1])
def test_png_grey_of_few_bits(tmp_path, depth, clear):
    top = 2**depth - 1
    values = np.random.default_rng(0).integers(0, top + 1, (9, 10))
    buffer = io.BytesIO()
    writer = png.Writer(10, 9, greyscale=True, bitdepth=depth, transparent=clear)
    writer.write(buffer, values.tolist())
    expected = (values * (255 // top)).astype(np.uint8)[:, :, None]
    if clear is not None:
        alpha = np.where(values == clear, 0, 255).astype(np.uint8)[:, :, None]
        assert (alpha == 0).any()
        expected = np.concatenate([expected, alpha], 2)
    np.testing.assert_array_equal(_read(tmp_path, buffer.getvalue()), expected)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_png_transparent_colour_becomes_alpha(tmp_path, dtype, channels):
    image = _noise(channels=channels, dtype=dtype)
    key = image[2, 3].astype(">u2").tobytes()
    data = _pillow(image, "PNG") if dtype == np.uint8 else _png16(image)
    back = _read(tmp_path, _insert(data, b"tRNS", key))
    assert back.dtype == dtype
    np.testing.assert_array_equal(back[:, :, :channels], image)
    clear = (image == image[2, 3]).all(axis=2)
    np.testing.assert_array_equal(
        back[:, :, -1], np.where(clear, 0, np.iinfo(dtype).max)
    )


@pytest.mark.parametrize("alpha", [None, "some", "index"])
def test_png_palette(tmp_path, alpha):
    palette = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    if alpha == "some":
        palette = [
            (*colour, a) for colour, a in zip(palette, (7, 200, 255), strict=True)
        ]
    elif alpha == "index":  # one entry fully transparent: Pillow keeps its number only
        palette = [
            (*colour, a) for colour, a in zip(palette, (255, 0, 255), strict=True)
        ]
    values = np.random.default_rng(0).integers(0, 3, (5, 6))
    buffer = io.BytesIO()
    png.Writer(6, 5, palette=palette, bitdepth=2).write(buffer, values.tolist())
    expected = np.array(palette, np.uint8)[values]
    np.testing.assert_array_equal(_read(tmp_path, buffer.getvalue()), expected)


def test_png_interlaced_8_bit(tmp_path):
    image = _noise()
    buffer = io.BytesIO()
    writer = png.Writer(17, 13, greyscale=False, interlace=True)
    writer.write(buffer, image.reshape(13, -1).tolist())
    np.testing.assert_array_equal(_read(tmp_path, buffer.getvalue()), image)


@pytest.mark.parametrize("channels", [3, 4])
def test_webp_lossless(tmp_path, channels):
    image = _noise(channels=channels)
    image[:, :, 3:] |= 1  # colour under full transparency is the encoder's to drop
    data = _pillow(image, "WEBP", lossless=True)
    np.testing.assert_array_equal(_read(tmp_path, data), image)


@pytest.mark.parametrize("channels", [1, 3])
def test_bmp(tmp_path, channels):
    image = _noise(channels=channels)
    back = _read(tmp_path, _pillow(image, "BMP"))
    np.testing.assert_array_equal(back, image)


def test_bmp_of_32_bits(tmp_path):
    """The fourth byte is alpha only where the header says so."""
    image = _noise(channels=4)
    data = _pillow(image, "BMP")
    np.testing.assert_array_equal(_read(tmp_path, data), image[:, :, :3])
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header = struct.pack("<IiiHHIIiiII", 108, 17, 13, 1, 32, 3, 0, 0, 0, 0, 0)
    header += masks + bytes(108 - len(header) - len(masks))
    pixels = image[::-1, :, [2, 1, 0, 3]].tobytes()
    start = struct.pack("<2sIII", b"BM", 122 + len(pixels), 0, 122)
    np.testing.assert_array_equal(_read(tmp_path, start + header + pixels), image)


@pytest.mark.parametrize("kind", ["BMP", "PNG", "TIFF"])
def test_bilevel_becomes_grey(tmp_path, kind):
    image = np.where(_noise(channels=1) > 99, 255, 0).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(image[:, :, 0]).convert("1").save(buffer, kind)
    back = _read(tmp_path, buffer.getvalue())
    np.testing.assert_array_equal(back, image)


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3), ("CMYK", 3)])
def test_jpeg(tmp_path, mode, channels):
    buffer = io.BytesIO()
    Image.new("RGB", (24, 16), (200, 100, 50)).convert(mode).save(
        buffer, "JPEG", quality=100
    )
    back = _read(tmp_path, buffer.getvalue())
    assert back.shape == (16, 24, channels)
    expected = [124] if channels == 1 else [200, 100, 50]
    assert np.abs(back.astype(int) - expected).max() <= 4


def test_jpeg_progressive(tmp_path):
    image = _noise(40, 40)
    plain = _read(tmp_path, _pillow(image, "JPEG", quality=90))
    np.testing.assert_array_equal(
        _read(tmp_path, _pillow(image, "JPEG", quality=90, progressive=True)), plain
    )


def test_mpo_is_read_as_its_first_picture(tmp_path):
    first, second = _noise(seed=1), _noise(seed=2)
    buffer = io.BytesIO()
    Image.fromarray(first).save(
        buffer, "MPO", save_all=True, append_images=[Image.fromarray(second)]
    )
    with Image.open(io.BytesIO(buffer.getvalue())) as check:
        assert (check.format, check.n_frames) == ("MPO", 2)
    expected = _read(tmp_path, _pillow(first, "JPEG"))
    np.testing.assert_array_equal(_read(tmp_path, buffer.getvalue()), expected)


@pytest.mark.parametrize("transparent", [False, True])
@pytest.mark.parametrize("grey", [False, True])
def test_gif_of_one_frame(tmp_path, grey, transparent):
    values = np.random.default_rng(0).integers(0, 256, (5, 6), np.uint8)
    values[0, 0] = 3
    source = Image.fromarray(values)
    palette = np.stack([np.arange(256)] * 3, 1).astype(np.uint8)
    if not grey:
        palette[:, 1] = 255 - palette[:, 1]
        source.putpalette(palette.tobytes())
    buffer = io.BytesIO()
    source.save(
        buffer, "GIF", optimize=False, **({"transparency": 3} if transparent else {})
    )
    back = _read(tmp_path, buffer.getvalue())
    expected = palette[values]
    if grey and back.shape[2] < 3:
        expected = expected[:, :, :1]
    if transparent:
        alpha = np.where(values == 3, 0, 255).astype(np.uint8)[:, :, None]
        expected = np.concatenate([expected, alpha], 2)
    np.testing.assert_array_equal(back, expected)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiff(tmp_path, dtype, channels, byteorder):
    image = _noise(channels=channels, dtype=dtype)
    back = _read(tmp_path, _tiff(image, byteorder=byteorder))
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, image)


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "zlib"},
        {"compression": "zlib", "predictor": True},
        {"compression": "zlib", "predictor": True, "planarconfig": "separate"},
        {"planarconfig": "separate"},
        {"planarconfig": "separate", "rowsperstrip": 4},
        {"rowsperstrip": 4},
        {"compression": "zlib", "rowsperstrip": 4},
        {"tile": (16, 32)},
        {"tile": (16, 16), "compression": "zlib", "predictor": True},
        {"tile": (16, 16), "compression": "zlib", "planarconfig": "separate"},
    ],
    ids=str,
)
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("channels", [3, 4])
def test_tiff_16_bit_layouts(tmp_path, channels, byteorder, options):
    image = _noise(37, 41, channels, np.uint16)
    data = _tiff(image, byteorder=byteorder, **options)
    np.testing.assert_array_equal(_read(tmp_path, data), image)


@pytest.mark.parametrize(
    "options",
    [
        {"planarconfig": "separate"},
        {"tile": (16, 16)},
        {"compression": "zlib", "predictor": True, "rowsperstrip": 4},
    ],
    ids=str,
)
def test_tiff_8_bit_layouts(tmp_path, options):
    image = _noise(37, 41)
    np.testing.assert_array_equal(_read(tmp_path, _tiff(image, **options)), image)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_bigtiff(tmp_path, dtype):
    image = _noise(dtype=dtype)
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, image, bigtiff=True)
    np.testing.assert_array_equal(_read(tmp_path, buffer.getvalue()), image)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_tiff_8_bit_compressions(tmp_path, channels, compression):
    image = _noise(channels=channels)
    data = _pillow(image, "TIFF", compression=compression)
    np.testing.assert_array_equal(_read(tmp_path, data), image)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate"])
def test_tiff_16_bit_grey_compressions(tmp_path, compression):
    image = _noise(channels=1, dtype=np.uint16)
    data = _pillow(image, "TIFF", compression=compression)
    np.testing.assert_array_equal(_read(tmp_path, data), image)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiff_where_zero_is_white(tmp_path, dtype, byteorder):
    image = _noise(channels=1, dtype=dtype)
    inverted = np.iinfo(dtype).max - image
    data = _tiff(inverted, photometric="miniswhite", byteorder=byteorder)
    np.testing.assert_array_equal(_read(tmp_path, data), image)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiff_padding_sample_is_dropped(tmp_path, dtype):
    image = _noise(channels=4, dtype=dtype)
    data = _tiff(image, extrasamples=["unspecified"])
    np.testing.assert_array_equal(_read(tmp_path, data), image[:, :, :3])


@pytest.mark.parametrize("mode", ["P", "CMYK", "YCbCr", "LAB"])
def test_tiff_other_colours_become_rgb(tmp_path, mode):
    source = Image.new("RGB", (9, 7), (200, 100, 50))
    if mode == "LAB":
        source = Image.new("LAB", (9, 7), (140, 160, 170))
    else:
        source = source.convert(mode)
    buffer = io.BytesIO()
    source.save(buffer, "TIFF", compression="jpeg" if mode == "YCbCr" else "raw")
    back = _read(tmp_path, buffer.getvalue())
    assert back.shape == (7, 9, 3)
    if mode == "P":
        assert back[0, 0].tolist() == list(source.convert("RGB").getpixel((0, 0)))
    elif mode != "LAB":
        assert np.abs(back.astype(int) - [200, 100, 50]).max() <= 3


def test_content_decides_not_the_suffix(tmp_path):
    image = _noise()
    for name in ("a.jpg", "a.tif", "a.txt", "a"):
        np.testing.assert_array_equal(
            _read(tmp_path, _pillow(image, "PNG"), name), image
        )


def test_symlink_is_read(tmp_path):
    image = _noise()
    write_png(tmp_path / "a.png", image)
    (tmp_path / "b.png").symlink_to(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "b.png"), image)


# --- orientation ---

UPRIGHT = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: np.fliplr(np.rot90(a, -1)),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.fliplr(np.rot90(a, 1)),
    8: lambda a: np.rot90(a, 1),
}


def _oriented(kind: str, image: np.ndarray, value: int) -> bytes:
    exif = _exif(value)
    if kind == "JPEG":
        return _pillow(image, "JPEG", exif=exif, quality=95, subsampling=0)
    if kind == "WEBP":
        return _pillow(image, "WEBP", exif=exif, lossless=True)
    if kind == "PNG":
        return _pillow(image, "PNG", exif=exif)
    if kind == "PNG16":
        return _insert(_png16(image), b"eXIf", exif[6:])
    if kind == "PNG16-late":
        return _insert(_png16(image), b"eXIf", exif[6:], before=b"IEND")
    return _tiff(image, extratags=[(274, "H", 1, value, True)])


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize(
    ("kind", "channels", "dtype"),
    [
        ("JPEG", 3, np.uint8),
        ("WEBP", 3, np.uint8),
        ("PNG", 1, np.uint8),
        ("PNG", 4, np.uint8),
        ("PNG16", 1, np.uint16),
        ("PNG16", 3, np.uint16),
        ("PNG16-late", 4, np.uint16),
        ("TIFF", 3, np.uint8),
        ("TIFF", 1, np.uint16),
        ("TIFF", 3, np.uint16),
        ("TIFF", 4, np.uint16),
    ],
)
def test_orientation(tmp_path, kind, channels, dtype, value):
    image = _noise(16, 24, channels, dtype)
    stored = _read(tmp_path, _oriented(kind, image, 1))
    if kind != "JPEG":
        np.testing.assert_array_equal(stored, image)
    back = _read(tmp_path, _oriented(kind, image, value))
    np.testing.assert_array_equal(back, UPRIGHT[value](stored))


def test_orientation_agrees_with_pillow(tmp_path):
    from PIL import ImageOps

    for value in range(1, 9):
        data = _oriented("PNG", _noise(), value)
        with Image.open(io.BytesIO(data)) as source:
            expected = np.array(ImageOps.exif_transpose(source))
        np.testing.assert_array_equal(_read(tmp_path, data), expected)


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_unknown_orientation_is_none(tmp_path, value):
    image = _noise(dtype=np.uint16)
    np.testing.assert_array_equal(
        _read(tmp_path, _oriented("TIFF", image, value)), image
    )
    image = _noise()
    np.testing.assert_array_equal(
        _read(tmp_path, _oriented("PNG", image, value)), image
    )


def test_odd_exif_does_not_warn(tmp_path):
    """Pillow warns about this block; warnings are errors in this run."""
    exif = b"Exif\0\0II*\0\x08\0\0\0\x05\0" + b"\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"
    data = _pillow(_noise(), "JPEG", exif=exif)
    with (
        pytest.warns(UserWarning, match="EXIF"),
        Image.open(io.BytesIO(data)) as source,
    ):
        source.getexif()
    assert _read(tmp_path, data).shape[2] == 3


# --- metadata ---

MARK = b"FINDME-SECRET"


def _planted() -> dict[str, bytes]:
    thumbnail = _pillow(_noise(), "JPEG")
    exif = Image.Exif()
    exif[0x010E] = MARK.decode()
    exif[0x8825] = {1: "N", 2: (48.0, 51.0, 29.0)}
    block = exif.tobytes() + MARK + thumbnail
    icc = MARK * 20
    xmp = b"<x:xmpmeta>" + MARK + b"</x:xmpmeta>"
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", MARK.decode())
    text.add_text("Author", MARK.decode(), zip=True)
    text.add_itxt("XML:com.adobe.xmp", MARK.decode())
    image = _noise()
    with_text = _pillow(
        image, "PNG", exif=block, icc_profile=icc, pnginfo=text, dpi=(3, 3)
    )
    chunks = [c for c in _chunks(with_text) if c[0] not in (b"IHDR", b"IDAT", b"IEND")]
    deep = _png16(_noise(dtype=np.uint16))
    for name, body in chunks:
        deep = _insert(deep, name, body)
    return {
        "JPEG": _pillow(
            image, "JPEG", exif=block, icc_profile=icc, xmp=xmp, comment=MARK
        ),
        "PNG": with_text,
        "PNG16": deep,
        "WEBP": _pillow(image, "WEBP", exif=block, icc_profile=icc, xmp=xmp),
        "TIFF": _pillow(image, "TIFF", icc_profile=icc, description=MARK.decode()),
        "TIFF16": _tiff(_noise(dtype=np.uint16), description=MARK.decode()),
    }


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "PNG16", "WEBP", "TIFF", "TIFF16"])
def test_no_metadata_survives(tmp_path, kind):
    data = _planted()[kind]
    assert MARK in data
    image = _read(tmp_path, data)
    out = tmp_path / "out.png"
    write_png(out, image)
    written = out.read_bytes()
    assert [name for name, _ in _chunks(written)] == [b"IHDR", b"IDAT", b"IEND"]
    assert MARK not in written
    assert b"\xff\xd8\xff" not in written[:8]
    with Image.open(out) as check:
        check.load()
        assert set(check.info) <= {"interlace"}
        assert not check.getexif()


# --- refusals ---


def _animation(kind: str) -> bytes:
    buffer = io.BytesIO()
    frames = [Image.fromarray(_noise(seed=seed)) for seed in range(3)]
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def _one_frame_apng() -> bytes:
    return _insert(_pillow(_noise(), "PNG"), b"acTL", struct.pack(">II", 1, 0))


def _float_tiff(dtype) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, _noise(channels=1)[:, :, 0].astype(dtype))
    return buffer.getvalue()


REFUSED = {
    "empty": (lambda: b"", "is empty"),
    "text": (lambda: b"Dear diary, " * 9, "is not a JPEG"),
    "one byte": (lambda: b"\xff", "is not a JPEG"),
    "pdf": (lambda: b"%PDF-1.7\n" + bytes(99), "is not a JPEG"),
    "heic": (lambda: b"\0\0\0\x18ftypheic" + bytes(99), "is not a JPEG"),
    "signature only": (lambda: SIGNATURE, "truncated"),
    "apng": (lambda: _animation("PNG"), "animated"),
    "apng of one frame": (_one_frame_apng, "animated"),
    "webp animation": (lambda: _animation("WEBP"), "more than one picture"),
    "gif animation": (lambda: _animation("GIF"), "more than one picture"),
    "tiff pages": (lambda: _animation("TIFF"), "more than one page"),
    "tiff float": (lambda: _float_tiff("f4"), "not unsigned numbers"),
    "tiff half": (lambda: _float_tiff("f2"), "not unsigned numbers"),
    "tiff 32 bit": (lambda: _float_tiff("u4"), "not unsigned numbers"),
    "tiff signed": (lambda: _float_tiff("i2"), "not unsigned numbers"),
    "tiff signed 8": (lambda: _float_tiff("i1"), "not unsigned numbers"),
    "tiff five channels": (
        lambda: _tiff(_noise(channels=5, dtype=np.uint16), extrasamples=[0, 0]),
        "neither grey nor RGB",
    ),
    "tiff premultiplied": (
        lambda: _tiff(_noise(channels=4, dtype=np.uint16), extrasamples=["assocalpha"]),
        "premultiplied",
    ),
    "tiff 16 bit cmyk": (
        lambda: _tiff(
            _noise(channels=4, dtype=np.uint16),
            photometric="separated",
            extrasamples=[],
        ),
        "neither grey nor RGB",
    ),
    "tiff 16 bit lzma": (
        lambda: _tiff(_noise(dtype=np.uint16), compression="lzma"),
        "compression",
    ),
    "png no pixels": (
        lambda: _join([(b"IHDR", _ihdr(0, 5)), (b"IDAT", b""), (b"IEND", b"")]),
        "no pixels",
    ),
    "png without data": (
        lambda: _join([(b"IHDR", _ihdr(5, 5)), (b"IEND", b"")]),
        "damaged",
    ),
    "png without header": (
        lambda: _join([(b"IDAT", b""), (b"IHDR", _ihdr(5, 5)), (b"IEND", b"")]),
        "no header",
    ),
    "png bad transparency": (
        lambda: _insert(_png16(_noise(dtype=np.uint16)), b"tRNS", b"\0\1\0\2\0\3\0"),
        "transparent colour",
    ),
    "gif no pixels": (lambda: b"GIF89a" + bytes(7) + b";", "damaged|no pixels"),
    "bmp garbage": (lambda: b"BMW is a maker of cars" * 5, "damaged"),
    "jpeg garbage": (lambda: b"\xff\xd8\xff" + bytes(range(256)), "damaged"),
    "tiff garbage": (lambda: b"II*\0" + bytes(range(256)), "damaged|page"),
    "webp garbage": (lambda: b"RIFF\x99\0\0\0WEBPVP8 " + bytes(200), "damaged"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusal(tmp_path, name):
    make, match = REFUSED[name]
    _refused(tmp_path, make(), match)


def test_missing_file(tmp_path):
    _refused_path(tmp_path / "no.png", "does not exist")


def test_folder(tmp_path):
    _refused_path(tmp_path, "is a folder")


def test_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    _refused_path(tmp_path / "pipe", "no ordinary file")


def test_endless_device():
    _refused_path(Path("/dev/zero"), "no ordinary file")


def test_link_to_nowhere_and_loop(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    _refused_path(tmp_path / "a", "does not exist")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    _refused_path(tmp_path / "a", "cannot be read")


def test_file_under_a_file(tmp_path):
    (tmp_path / "a").write_bytes(b"x")
    _refused_path(tmp_path / "a" / "b.png", "cannot be read")


def test_no_permission(tmp_path, monkeypatch):
    """Patched, since root may read anything."""
    path = tmp_path / "a.png"
    write_png(path, _noise())

    def fail(*_args, **_kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", fail)
    _refused_path(path, "may not be read")


def test_out_of_memory(tmp_path, monkeypatch):
    def fail(*_args):
        raise MemoryError

    write_png(tmp_path / "a.png", _noise())
    monkeypatch.setattr(images, "_decode", fail)
    _refused_path(tmp_path / "a.png", "memory")


@pytest.mark.parametrize("name", ["new\nline", "esc\x1b[31m", "bad\udcff", "ok-é"])
def test_message_is_one_printable_line(tmp_path, name):
    with pytest.raises(ImageError) as caught:
        read_image(tmp_path / name)
    assert str(caught.value).isprintable()
    assert ("é" in str(caught.value)) == ("é" in name)


# --- bombs ---


def _header_bomb(depth, colour) -> bytes:
    body = zlib.compress(bytes(1000))
    header = _ihdr(2**31 - 1, 2**31 - 1, depth, colour)
    return _join([(b"IHDR", header), (b"IDAT", body), (b"IEND", b"")])


def _tiff_bomb(dtype) -> bytes:
    """A TIFF file whose width and height are set to a million each."""
    data = bytearray(_tiff(_noise(dtype=dtype)))
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as file:
        for tag in (256, 257):
            entry = file.pages.first.tags[tag]
            struct.pack_into("<HI", data, entry.offset + 2, 4, 1)
            struct.pack_into("<I", data, entry.offset + 8, 1_000_000)
    return bytes(data)


def _jpeg_bomb() -> bytes:
    data = bytearray(_pillow(_noise(), "JPEG"))
    at = data.index(b"\xff\xc0")
    struct.pack_into(">HH", data, at + 5, 65000, 65000)
    return bytes(data)


def _webp_bomb() -> bytes:
    data = bytearray(_pillow(_noise(), "WEBP", lossless=True))
    struct.pack_into("<I", data, 21, 0x3FFF | 0x3FFF << 14)
    return bytes(data)


def _bmp_bomb() -> bytes:
    data = bytearray(_pillow(_noise(), "BMP"))
    struct.pack_into("<ii", data, 18, 1_000_000, 1_000_000)
    return bytes(data)


def _gif_bomb() -> bytes:
    data = bytearray(_pillow(_noise(channels=1), "GIF"))
    struct.pack_into("<HH", data, 6, 65535, 65535)
    return bytes(data)


BOMBS = {
    "png": lambda: _header_bomb(8, 2),
    "png16": lambda: _header_bomb(16, 2),
    "png grey16": lambda: _header_bomb(16, 0),
    "tiff": lambda: _tiff_bomb(np.uint8),
    "tiff16": lambda: _tiff_bomb(np.uint16),
    "jpeg": _jpeg_bomb,
    "webp": _webp_bomb,
    "bmp": _bmp_bomb,
    "gif": _gif_bomb,
}


@pytest.mark.parametrize("name", BOMBS)
def test_bomb_is_refused_before_decoding(tmp_path, name):
    data = BOMBS[name]()
    read_warm = _pillow(_noise(2, 2), "PNG")
    _read(tmp_path, read_warm)
    tracemalloc.start()
    started = time.perf_counter()
    _refused(tmp_path, data, "pixels")
    seconds = time.perf_counter() - started
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seconds < 2
    assert peak < 4 << 20


def _every_path() -> dict[str, bytes]:
    """A 16 x 24 picture for every decoder path."""
    image, deep = _noise(16, 24), _noise(16, 24, dtype=np.uint16)
    return {
        "JPEG": _pillow(image, "JPEG"),
        "PNG": _pillow(image, "PNG"),
        "PNG grey16": _png16(deep[:, :, :1]),
        "PNG16": _png16(deep),
        "PNG16 interlaced": _png16(deep, interlace=True),
        "WEBP": _pillow(image, "WEBP"),
        "WEBP lossless": _pillow(image, "WEBP", lossless=True),
        "BMP": _pillow(image, "BMP"),
        "GIF": _pillow(image[:, :, :1], "GIF"),
        "TIFF": _tiff(image),
        "TIFF lzw": _pillow(image, "TIFF", compression="tiff_lzw"),
        "TIFF grey16": _tiff(deep[:, :, :1]),
        "TIFF16": _tiff(deep),
        "TIFF16 strips": _tiff(deep, rowsperstrip=5),
        "TIFF16 deflate": _tiff(deep, compression="zlib", predictor=True),
        "TIFF16 tiled": _tiff(deep, tile=(16, 16), compression="zlib"),
    }


EVERY_PATH = _every_path()


@pytest.mark.parametrize("name", EVERY_PATH)
@pytest.mark.parametrize("limit", [16 * 24 - 1, 16 * 24 // 2 + 1, 100])
def test_over_the_limit_is_refused(tmp_path, monkeypatch, name, limit):
    """Also between one and two times the limit, where Pillow only warns."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    _refused(tmp_path, EVERY_PATH[name], "pixels")


@pytest.mark.parametrize("name", EVERY_PATH)
@pytest.mark.parametrize("limit", [16 * 24, None])
def test_up_to_the_limit_is_read(tmp_path, monkeypatch, name, limit):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    assert _read(tmp_path, EVERY_PATH[name]).shape[:2] == (16, 24)


def test_tile_beyond_the_limit_is_refused(tmp_path, monkeypatch):
    data = _tiff(_noise(16, 16, dtype=np.uint16), tile=(64, 64), compression="zlib")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    _refused(tmp_path, data, "64 x 64 pixels")


def test_inflation_is_bounded_in_png16(tmp_path):
    body = zlib.compress(bytes(50 << 20))
    data = _join([(b"IHDR", _ihdr(4, 4, 16, 2)), (b"IDAT", body), (b"IEND", b"")])
    tracemalloc.start()
    _refused(tmp_path, data, "more data than pixels")
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


def test_inflation_is_bounded_in_tiff16(tmp_path):
    image = np.zeros((512, 512, 3), np.uint16)
    data = bytearray(_tiff(image, compression="zlib", rowsperstrip=512))
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as file:
        entry = file.pages.first.tags[257]
    struct.pack_into("<HII", data, entry.offset + 2, 4, 1, 4)
    path = tmp_path / "bomb.tif"
    path.write_bytes(data)
    tracemalloc.start()
    with pytest.raises(ImageError, match="more data than pixels"):
        read_image(path)
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


# --- damage ---


@pytest.mark.parametrize("name", EVERY_PATH)
def test_truncation(tmp_path, name):
    data = EVERY_PATH[name]
    whole = _read(tmp_path, data)
    path = tmp_path / "cut.bin"
    for part in (0.02, 0.2, 0.5, 0.8, 0.95):
        path.write_bytes(data[: int(len(data) * part)])
        _refused_path(path)
    # Some formats do not show that their very end is missing; then nothing is lost.
    for cut in (1, 2, 4, 8):
        path.write_bytes(data[:-cut])
        try:
            back = read_image(path)
        except ImageError:
            continue
        np.testing.assert_array_equal(back, whole)


@pytest.mark.parametrize("name", [name for name in EVERY_PATH if "PNG" in name])
def test_png_lacking_its_end_is_refused(tmp_path, name):
    for cut in range(1, 20):
        _refused(tmp_path, EVERY_PATH[name][:-cut], "truncated")


@pytest.mark.parametrize("name", [name for name in EVERY_PATH if "PNG" in name])
def test_png_with_a_flipped_bit_is_refused(tmp_path, name):
    data = EVERY_PATH[name]
    for at in range(8, len(data), max(1, len(data) // 40)):
        _refused(tmp_path, data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])


def test_png16_with_too_few_or_many_rows(tmp_path):
    image = _noise(8, 8, dtype=np.uint16)
    for rows in (0, 4, 9):
        chunks = _chunks(_png16(np.resize(image, (max(rows, 1), 8, 3))))
        body = chunks[1][1] if rows else zlib.compress(b"")
        header = _ihdr(8, 8, 16, 2)
        data = _join([(b"IHDR", header), (b"IDAT", body), (b"IEND", b"")])
        _refused(tmp_path, data, "damaged")


def test_tiff_with_a_missing_strip(tmp_path):
    data = bytearray(_tiff(_noise(dtype=np.uint16), rowsperstrip=4))
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as file:
        counts = file.pages.first.tags[279]
    assert counts.count == 4
    size = {3: 2, 4: 4}[int(counts.dtype)]
    data[counts.valueoffset + size : counts.valueoffset + 2 * size] = bytes(size)
    _refused(tmp_path, bytes(data), "truncated")


_FUZZ = settings(
    max_examples=400,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def _array_or_refusal(path: Path) -> None:
    try:
        image = read_image(path)
    except ImageError as error:
        text = str(error)
    else:
        assert image.ndim == 3
        assert image.dtype in (np.uint8, np.uint16)
        return
    assert str(path) in text
    assert text.isprintable()


@_FUZZ
@given(
    name=st.sampled_from(sorted(EVERY_PATH)),
    keep=st.floats(0, 1),
    flips=st.lists(st.tuples(st.floats(0, 0.999), st.integers(1, 255)), max_size=8),
)
def test_damaged_files_give_an_array_or_a_refusal(tmp_path, name, keep, flips):
    data = bytearray(EVERY_PATH[name])
    for at, mask in flips:
        data[int(at * len(data))] ^= mask
    path = tmp_path / "damaged.bin"
    path.write_bytes(data if keep > 0.5 else data[: int(len(data) * 2 * keep)])
    _array_or_refusal(path)


@_FUZZ
@given(
    name=st.sampled_from(sorted(n for n in EVERY_PATH if "TIFF" in n)),
    at=st.integers(0, 250),
    value=st.binary(min_size=1, max_size=4),
)
def test_damaged_tiff_tags(tmp_path, name, at, value):
    data = bytearray(EVERY_PATH[name])
    # The directory lies in front in files by tifffile, behind in those by Pillow.
    start = at if struct.unpack_from("<I", data, 4)[0] < 100 else len(data) - 1 - at
    data[max(start, 0) : start + len(value)] = value
    path = tmp_path / "damaged.bin"
    path.write_bytes(data)
    _array_or_refusal(path)


@_FUZZ
@given(
    name=st.sampled_from(sorted(n for n in EVERY_PATH if "PNG" in n)),
    index=st.integers(0, 5),
    at=st.floats(0, 0.999),
    mask=st.integers(1, 255),
)
def test_damaged_png_with_right_checksums(tmp_path, name, index, at, mask):
    chunks = _chunks(EVERY_PATH[name])
    index %= len(chunks) - 1
    chunk, body = chunks[index]
    damaged = bytearray(body)
    damaged[int(at * len(body))] ^= mask
    chunks[index] = (chunk, bytes(damaged))
    path = tmp_path / "damaged.bin"
    path.write_bytes(_join(chunks))
    _array_or_refusal(path)


@_FUZZ
@given(
    start=st.sampled_from(
        [SIGNATURE, b"\xff\xd8\xff", b"BM", b"GIF89a", b"II*\0", b"MM\0*", b"II+\0"]
    ),
    rest=st.binary(max_size=200),
)
def test_garbage_behind_a_true_signature(tmp_path, start, rest):
    path = tmp_path / "garbage.bin"
    path.write_bytes(start + rest)
    _array_or_refusal(path)


# --- no global state ---


def test_nothing_global_changes(tmp_path):
    filters, limit = list(warnings.filters), Image.MAX_IMAGE_PIXELS
    for data in EVERY_PATH.values():
        _read(tmp_path, data)
        with pytest.raises(ImageError):
            _read(tmp_path, data[:50])
    assert warnings.filters == filters
    assert limit == Image.MAX_IMAGE_PIXELS
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


def test_threads(tmp_path):
    exif = b"Exif\0\0II*\0\x08\0\0\0\x05\0" + b"\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"
    image = _noise(64, 64)
    (tmp_path / "odd.jpg").write_bytes(_pillow(image, "JPEG", exif=exif))
    expected = read_image(tmp_path / "odd.jpg")
    filters = list(warnings.filters)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for back in pool.map(read_image, [tmp_path / "odd.jpg"] * 200):
            np.testing.assert_array_equal(back, expected)
    assert warnings.filters == filters


# --- writing fails ---


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
@pytest.mark.parametrize(
    ("owner", "name", "dtype"),
    [
        (os, "replace", np.uint8),
        (os, "fsync", np.uint16),
        (os, "open", np.uint8),
        (Image.Image, "save", np.uint8),
        (png.Writer, "write_packed", np.uint16),
    ],
)
@pytest.mark.parametrize("old", [False, True])
def test_failed_write_changes_nothing(
    tmp_path, monkeypatch, owner, name, dtype, error, old
):
    path = tmp_path / "a.png"
    if old:
        write_png(path, _noise(seed=1))
    before = [(p.name, p.read_bytes()) for p in tmp_path.iterdir()]

    def fail(*_args, **_kwargs):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, fail)
        with pytest.raises(type(error)) as caught:
            write_png(path, _noise(dtype=dtype))
    assert caught.value is error
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == before


def test_write_replaces_a_symlink(tmp_path):
    target, link = tmp_path / "target.png", tmp_path / "link.png"
    write_png(target, _noise(seed=1))
    before = target.read_bytes()
    link.symlink_to(target)
    write_png(link, _noise(seed=2))
    assert target.read_bytes() == before
    assert not link.is_symlink()


def test_written_file_has_the_mode_of_any_new_file(tmp_path):
    write_png(tmp_path / "a.png", _noise())
    (tmp_path / "b").touch()
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert len(modes) == 1

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
from itertools import product
from pathlib import Path

import numpy as np
import png
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile, ImageOps, PngImagePlugin

from vmixjax.data.codecs import codec, images, pillow
from vmixjax.data.codecs.images import read_image
from vmixjax.data.codecs.png import write_png
from vmixjax.errors import ImageError

SIGNATURE = b"\x89PNG\r\n\x1a\n"

# Pillow warns about this block.
ODD_EXIF = b"Exif\0\0II*\0\x08\0\0\0\x05\0" + b"\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"


# --- helpers ---


def _noise(height=13, width=17, channels=3, dtype=np.uint8, seed=0):
    rng = np.random.default_rng(seed)
    top = np.iinfo(dtype).max
    return rng.integers(0, top, (height, width, channels), dtype, endpoint=True)


def _deep(height=13, width=17, channels=3):
    return _noise(height, width, channels, np.uint16)


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


def _png(width, height, body: bytes | None, depth=8, colour=2) -> bytes:
    """A PNG file of any size whose pixels are this zlib stream."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    pixels = [] if body is None else [(b"IDAT", body)]
    return _join([(b"IHDR", header), *pixels, (b"IEND", b"")])


def _pillow(image: np.ndarray | Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _pypng(values: np.ndarray, **options) -> bytes:
    """A PNG file by pypng from (H, W) or (H, W, C) values."""
    height, width, *_ = values.shape
    buffer = io.BytesIO()
    png.Writer(width, height, **options).write(
        buffer, values.reshape(height, -1).tolist()
    )
    return buffer.getvalue()


def _png16(image: np.ndarray, interlace=False) -> bytes:
    channels = image.shape[2]
    kind = {"greyscale": channels < 3, "alpha": channels in (2, 4)}
    return _pypng(image, bitdepth=16, interlace=interlace, **kind)


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
    return _png(width, height, zlib.compress(b"".join(lines)), 16)


def _tiff(image: np.ndarray, byteorder="<", bigtiff=False, **options) -> bytes:
    buffer = io.BytesIO()
    channels = image.shape[2]
    if channels in (2, 4):
        options.setdefault("extrasamples", ["unassalpha"])
    options.setdefault("photometric", "rgb" if channels > 2 else "minisblack")
    options.setdefault("planarconfig", "contig" if channels > 1 else None)
    if options["planarconfig"] == "separate":
        image = np.moveaxis(image, -1, 0)
    elif channels == 1:
        image = image[:, :, 0]
    with tifffile.TiffWriter(buffer, byteorder=byteorder, bigtiff=bigtiff) as file:
        file.write(image, metadata=None, **options)
    return buffer.getvalue()


def _retag(data: bytes, **values: int) -> bytes:
    """Change tags of a little-endian TIFF file, each to one 32 bit number."""
    changed = bytearray(data)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        for name, value in values.items():
            entry = file.pages.first.tags[name]
            struct.pack_into("<HII", changed, entry.offset + 2, 4, 1, value)
    return bytes(changed)


def _bmp32(image: np.ndarray) -> bytes:
    """A BMP file whose header says that the fourth byte is alpha."""
    height, width, _ = image.shape
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header = struct.pack("<IiiHHIIiiII", 108, width, height, 1, 32, 3, 0, 0, 0, 0, 0)
    header += masks + bytes(108 - len(header) - len(masks))
    pixels = image[::-1, :, [2, 1, 0, 3]].tobytes()
    start = struct.pack("<2sIII", b"BM", 122 + len(pixels), 0, 122)
    return start + header + pixels


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


def _same(image: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_array_equal(image, expected)
    assert image.dtype == expected.dtype


def _refused(folder: Path, data: bytes, match: str = ".") -> None:
    path = folder / "secret-holiday.png"
    path.write_bytes(data)
    _refused_path(path, match)


def _refused_path(path: Path, match: str = ".") -> None:
    with pytest.raises(ImageError, match=match) as caught:
        read_image(path)
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text
    assert "; " in text  # a mend follows the fault


# --- round trips ---


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (64, 33)])
def test_round_trip(tmp_path, dtype, channels, size):
    image = _noise(*size, channels, dtype)
    path = tmp_path / "a.png"
    write_png(path, image)
    _same(read_image(path), image)
    names = {name for name, _ in _chunks(path.read_bytes())}
    assert names == {b"IHDR", b"IDAT", b"IEND"}
    # Another reader sees the same.
    _, _, rows, info = png.Reader(bytes=path.read_bytes()).read()
    assert info["bitdepth"] == 8 * image.dtype.itemsize
    assert info["planes"] == channels
    np.testing.assert_array_equal(np.array(list(rows)).reshape(image.shape), image)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [">u2", "<u2", "u1"])
def test_round_trip_of_views(tmp_path, dtype, channels):
    image = _deep(20, 30, channels).astype(dtype)[::-2, 3::3]
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


def _lossless():
    """Names of files, the files, and what is in them."""
    for channels in (1, 2, 3, 4):
        image, deep = _noise(channels=channels), _deep(channels=channels)
        yield f"png {channels}", _pillow(image, "PNG"), image
        yield f"png16 {channels}", _png16(deep), deep
        yield f"png16 interlaced {channels}", _png16(deep, interlace=True), deep
        for pixels, order in product((image, deep), "<>"):
            name = f"tiff {channels} {pixels.dtype} {order}"
            yield name, _tiff(pixels, byteorder=order), pixels
    image, deep = _noise(), _deep()
    grey, alpha = _noise(channels=1), _noise(channels=4)
    yield "png interlaced", _pypng(image, greyscale=False, interlace=True), image
    yield "png16 filters", _filtered_png16(deep), deep
    yield "png16 sBIT", _insert(_png16(deep), b"sBIT", b"\x0a\x0a\x0a"), deep
    opaque = alpha | np.array([0, 0, 0, 1], np.uint8)  # else the encoder drops colour
    for pixels in (image, opaque):
        name = f"webp {pixels.shape[2]}"
        yield name, _pillow(pixels, "WEBP", lossless=True), pixels
    yield "bmp", _pillow(image, "BMP"), image
    yield "bmp grey", _pillow(grey, "BMP"), grey
    yield "bmp padding", _pillow(alpha, "BMP"), alpha[:, :, :3]
    yield "bmp alpha", _bmp32(alpha), alpha
    bilevel = np.where(grey > 99, 255, 0).astype(np.uint8)
    for kind in ("BMP", "PNG", "TIFF"):
        source = Image.fromarray(bilevel[:, :, 0]).convert("1")
        yield f"bilevel {kind}", _pillow(source, kind), bilevel
    for pixels in (image, deep):
        yield f"bigtiff {pixels.dtype}", _tiff(pixels, bigtiff=True), pixels
        # Smaller copies below it are none of the picture.
        buffer = io.BytesIO()
        with tifffile.TiffWriter(buffer) as writer:
            writer.write(pixels, photometric="rgb", subifds=1)
            small = np.ascontiguousarray(pixels[::2, ::2])
            writer.write(small, photometric="rgb", subfiletype=1)
        yield f"tiff pyramid {pixels.dtype}", buffer.getvalue(), pixels
        infrared = np.concatenate([pixels, pixels[:, :, :1] // 2], axis=2)
        for planes in ("contig", "separate"):
            data = _tiff(infrared, extrasamples=["unspecified"], planarconfig=planes)
            yield f"tiff infrared {planes} {pixels.dtype}", data, infrared
        bands = {"photometric": "minisblack", "planarconfig": "contig"}
        for count in (1, 3):
            data = _tiff(
                infrared[:, :, : 1 + count],
                extrasamples=["unspecified"] * count,
                **bands,
            )
            yield (
                f"tiff bands {count} {pixels.dtype}",
                data,
                infrared[:, :, : 1 + count],
            )
    for pixels, order in product((grey, _deep(channels=1)), "<>"):
        inverted = np.iinfo(pixels.dtype).max - pixels
        data = _tiff(inverted, photometric="miniswhite", byteorder=order)
        yield f"tiff white {pixels.dtype} {order}", data, pixels
    for pixels, compression in product(
        (grey, image, alpha, _deep(channels=1)),
        ("raw", "tiff_lzw", "tiff_adobe_deflate"),
    ):
        name = f"tiff {compression} {pixels.dtype} {pixels.shape[2]}"
        yield name, _pillow(pixels, "TIFF", compression=compression), pixels
    # Whether samples are interleaved cannot be told from the shape of these.
    for size in (2, 3, 4):
        cube = _deep(size, size, size)
        yield f"tiff cube {size}", _tiff(cube), cube


LOSSLESS = {name: (data, image) for name, data, image in _lossless()}


@pytest.mark.parametrize("name", LOSSLESS)
def test_every_bit_is_read(tmp_path, name):
    data, image = LOSSLESS[name]
    _same(_read(tmp_path, data), image)


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "zlib"},
        {"compression": "zlib", "predictor": True},
        {"compression": "zlib", "predictor": True, "planarconfig": "separate"},
        {"compression": "zlib", "predictor": True, "rowsperstrip": 4},
        {"planarconfig": "separate"},
        {"planarconfig": "separate", "rowsperstrip": 4},
        {"rowsperstrip": 4},
        {"compression": "zlib", "rowsperstrip": 4},
        {"tile": (16, 16)},
        {"tile": (16, 32)},
        {"tile": (16, 16), "compression": "zlib", "predictor": True},
        {"tile": (16, 16), "compression": "zlib", "planarconfig": "separate"},
    ],
    ids=str,
)
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiff_layouts(tmp_path, dtype, channels, byteorder, options):
    image = _noise(37, 41, channels, dtype)
    _same(_read(tmp_path, _tiff(image, byteorder=byteorder, **options)), image)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
@pytest.mark.parametrize("clear", [None, 1])
def test_png_grey_of_few_bits(tmp_path, depth, clear):
    top = 2**depth - 1
    values = np.random.default_rng(0).integers(0, top + 1, (9, 10))
    data = _pypng(values, greyscale=True, bitdepth=depth, transparent=clear)
    expected = (values * (255 // top)).astype(np.uint8)[:, :, None]
    if clear is not None:
        alpha = np.where(values == clear, 0, 255).astype(np.uint8)[:, :, None]
        assert (alpha == 0).any()
        expected = np.concatenate([expected, alpha], 2)
    _same(_read(tmp_path, data), expected)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_png_transparent_colour_becomes_alpha(tmp_path, dtype, channels):
    image = _noise(channels=channels, dtype=dtype)
    key = image[2, 3].astype(">u2").tobytes()
    data = _pillow(image, "PNG") if dtype == np.uint8 else _png16(image)
    clear = (image == image[2, 3]).all(axis=2, keepdims=True)
    alpha = np.where(clear, 0, np.iinfo(dtype).max).astype(dtype)
    expected = np.concatenate([image, alpha], 2)
    _same(_read(tmp_path, _insert(data, b"tRNS", key)), expected)


# Pillow keeps only the number of an entry that alone is transparent, and fully so.
@pytest.mark.parametrize("alpha", [None, (7, 200, 255), (255, 0, 255)])
def test_png_palette(tmp_path, alpha):
    palette = np.diag([255] * 3)
    if alpha is not None:
        palette = np.column_stack([palette, alpha])
    values = np.random.default_rng(0).integers(0, 3, (5, 6))
    data = _pypng(values, palette=palette.tolist(), bitdepth=2)
    _same(_read(tmp_path, data), palette.astype(np.uint8)[values])


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3), ("CMYK", 3)])
def test_jpeg(tmp_path, mode, channels):
    source = Image.new("RGB", (24, 16), (200, 100, 50)).convert(mode)
    back = _read(tmp_path, _pillow(source, "JPEG", quality=100))
    assert back.shape == (16, 24, channels)
    expected = [124] if channels == 1 else [200, 100, 50]
    assert np.abs(back.astype(int) - expected).max() <= 4


def test_jpeg_progressive(tmp_path):
    image = _noise(40, 40)
    plain = _read(tmp_path, _pillow(image, "JPEG", quality=90))
    data = _pillow(image, "JPEG", quality=90, progressive=True)
    _same(_read(tmp_path, data), plain)


def test_mpo_is_read_as_its_first_picture(tmp_path):
    first, second = (Image.fromarray(_noise(seed=seed)) for seed in (1, 2))
    data = _pillow(first, "MPO", save_all=True, append_images=[second])
    with Image.open(io.BytesIO(data)) as check:
        assert (check.format, check.n_frames) == ("MPO", 2)
    _same(_read(tmp_path, data), _read(tmp_path, _pillow(first, "JPEG")))


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
    options = {"transparency": 3} if transparent else {}
    back = _read(tmp_path, _pillow(source, "GIF", optimize=False, **options))
    expected = palette[values]
    if grey and back.shape[2] < 3:
        expected = expected[:, :, :1]
    if transparent:
        alpha = np.where(values == 3, 0, 255).astype(np.uint8)[:, :, None]
        expected = np.concatenate([expected, alpha], 2)
    _same(back, expected)


@pytest.mark.parametrize("mode", ["P", "CMYK", "YCbCr", "LAB"])
def test_tiff_other_colours_become_rgb(tmp_path, mode):
    if mode == "LAB":
        source = Image.new("LAB", (9, 7), (140, 160, 170))
    else:
        source = Image.new("RGB", (9, 7), (200, 100, 50)).convert(mode)
    compression = "jpeg" if mode == "YCbCr" else "raw"
    back = _read(tmp_path, _pillow(source, "TIFF", compression=compression))
    assert back.shape == (7, 9, 3)
    if mode == "P":
        assert back[0, 0].tolist() == list(source.convert("RGB").getpixel((0, 0)))
    elif mode != "LAB":
        assert np.abs(back.astype(int) - [200, 100, 50]).max() <= 3


def test_content_decides_not_the_suffix(tmp_path):
    image = _noise()
    for name in ("a.jpg", "a.tif", "a.txt", "a"):
        _same(_read(tmp_path, _pillow(image, "PNG"), name), image)


def test_symlink_is_read(tmp_path):
    image = _noise()
    write_png(tmp_path / "a.png", image)
    (tmp_path / "b.png").symlink_to(tmp_path / "a.png")
    _same(read_image(tmp_path / "b.png"), image)


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
        _same(stored, image)
    _same(_read(tmp_path, _oriented(kind, image, value)), UPRIGHT[value](stored))


def test_orientation_agrees_with_pillow(tmp_path):
    for value in range(1, 9):
        data = _oriented("PNG", _noise(), value)
        with Image.open(io.BytesIO(data)) as source:
            expected = np.array(ImageOps.exif_transpose(source))
        _same(_read(tmp_path, data), expected)


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_unknown_orientation_is_none(tmp_path, value):
    for kind, image in (("TIFF", _deep()), ("PNG", _noise())):
        _same(_read(tmp_path, _oriented(kind, image, value)), image)


def test_odd_exif_does_not_warn(tmp_path):
    """Warnings are errors in this run."""
    data = _pillow(_noise(), "JPEG", exif=ODD_EXIF)
    with (
        pytest.warns(UserWarning, match="EXIF"),
        Image.open(io.BytesIO(data)) as source,
    ):
        source.getexif()
    assert _read(tmp_path, data).shape[2] == 3


# --- metadata ---

MARK = b"FINDME-SECRET"


def _planted() -> dict[str, bytes]:
    exif = Image.Exif()
    exif[0x010E] = MARK.decode()
    exif[0x8825] = {1: "N", 2: (48.0, 51.0, 29.0)}
    block = exif.tobytes() + MARK + _pillow(_noise(), "JPEG")  # a thumbnail
    icc, xmp = MARK * 20, b"<x:xmpmeta>" + MARK + b"</x:xmpmeta>"
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", MARK.decode())
    text.add_text("Author", MARK.decode(), zip=True)
    text.add_itxt("XML:com.adobe.xmp", MARK.decode())
    image, deep = _noise(), _png16(_deep())
    both = {"exif": block, "icc_profile": icc}
    with_text = _pillow(image, "PNG", **both, pnginfo=text, dpi=(3, 3))
    for name, body in _chunks(with_text):
        if name not in (b"IHDR", b"IDAT", b"IEND"):
            deep = _insert(deep, name, body)
    return {
        "JPEG": _pillow(image, "JPEG", **both, xmp=xmp, comment=MARK),
        "PNG": with_text,
        "PNG16": deep,
        "WEBP": _pillow(image, "WEBP", **both, xmp=xmp),
        "TIFF": _pillow(image, "TIFF", icc_profile=icc, description=MARK.decode()),
        "TIFF16": _tiff(_deep(), description=MARK.decode()),
    }


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "PNG16", "WEBP", "TIFF", "TIFF16"])
def test_no_metadata_survives(tmp_path, kind):
    data = _planted()[kind]
    assert MARK in data
    out = tmp_path / "out.png"
    write_png(out, _read(tmp_path, data))
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
    frames = [Image.fromarray(_noise(seed=seed)) for seed in range(3)]
    return _pillow(frames[0], kind, save_all=True, append_images=frames[1:])


def _tiff_of(dtype) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, _noise(channels=1)[:, :, 0].astype(dtype))
    return buffer.getvalue()


def _raw_photograph(**options) -> bytes:
    """As cameras write them: a thumbnail, and the photograph in a directory below."""
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(_noise(), photometric="rgb", subifds=1, **options)
        large = np.tile(_noise(), (2, 2, 1))
        writer.write(large, photometric="rgb")
    return buffer.getvalue()


NOT_IMAGE = "is not a JPEG, .*, HEIC or AVIF image; save it as .* PNG or"
NOT_UNSIGNED = "not unsigned numbers"
NOT_RGB = "neither grey nor RGB"
FIVE = _tiff(_deep(channels=5), extrasamples=[0, 0])
FIVE_8 = _tiff(_noise(channels=5), extrasamples=[0, 0])
PREMULTIPLIED = _tiff(_deep(channels=4), extrasamples=["assocalpha"])
CMYK = _tiff(_deep(channels=4), photometric="separated", extrasamples=[])
STRIPS, ZIPPED = _tiff(_deep(), rowsperstrip=4), _tiff(_deep(), compression="zlib")
CLEAR_ALPHA = _insert(_png16(_deep()), b"tRNS", b"\0\1\0\2\0\3\0")
LATE_HEADER = _join([(b"IDAT", b""), *_chunks(_png(5, 5, None))])
REFUSED = {
    "empty": (b"", "is empty"),
    "text": (b"Dear diary, " * 9, NOT_IMAGE),
    "one byte": (b"\xff", NOT_IMAGE),
    "pdf": (b"%PDF-1.7\n" + bytes(99), "is a document; save the picture in it"),
    "heic garbage": (b"\0\0\0\x18ftypheic" + bytes(99), "damaged|pillow-heif"),
    "avif garbage": (b"\0\0\0\x18ftypavif" + bytes(99), "damaged"),
    "gzip": (b"\x1f\x8b\x08" + bytes(99), "is a compressed file; decompress it"),
    "zip": (b"PK\3\4" + bytes(99), "is an archive; unpack it"),
    "svg": (b"<?xml version='1.0'?><svg/>", "is a drawing"),
    "git lfs": (b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
    "note of macOS": (b"\0\5\x16\7" + bytes(99), "is a note of macOS; take it out"),
    "ppm": (b"P6\n1 1\n255\n\1\2\3", NOT_IMAGE),
    "signature only": (SIGNATURE, "truncated"),
    "apng": (_animation("PNG"), "animated"),
    "webp animation": (_animation("WEBP"), "more than one picture"),
    "gif animation": (_animation("GIF"), "more than one picture"),
    "tiff pages": (_animation("TIFF"), "more than one page"),
    "tiff float": (_tiff_of("f4"), NOT_UNSIGNED),
    "tiff half": (_tiff_of("f2"), NOT_UNSIGNED),
    "tiff 32 bit": (_tiff_of("u4"), NOT_UNSIGNED),
    "tiff signed": (_tiff_of("i2"), NOT_UNSIGNED),
    "tiff signed 8": (_tiff_of("i1"), NOT_UNSIGNED),
    "tiff five channels": (FIVE, "5 channels, more than the 4"),
    "tiff five channels 8": (FIVE_8, "5 channels, more than the 4"),
    "tiff thumbnail": (_raw_photograph(subfiletype=1), "small copy of its picture"),
    "tiff thumbnail unmarked": (_raw_photograph(), "small copy of its picture"),
    "tiff old thumbnail": (
        _tiff(_noise(), extratags=[(255, 3, 1, 2, True)]),
        "small copy of its picture",
    ),
    "tiff premultiplied": (PREMULTIPLIED, "premultiplied"),
    "tiff 16 bit cmyk": (CMYK, NOT_RGB),
    "tiff 16 bit lzma": (_tiff(_deep(), compression="lzma"), "compression"),
    "tiff too few strips": (_retag(ZIPPED, RowsPerStrip=4), "number of strips"),
    "tiff too many strips": (_retag(STRIPS, ImageLength=4), "number of strips"),
    "tiff strip at 0": (_retag(ZIPPED, StripOffsets=0), "truncated"),
    "tiff odd planes": (_retag(ZIPPED, PlanarConfiguration=3), "wrong tags"),
    "png no pixels": (_png(0, 5, b""), "no pixels"),
    "png without data": (_png(5, 5, None), "damaged"),
    "png without header": (LATE_HEADER, "no header"),
    "png bad transparency": (CLEAR_ALPHA, "transparent colour"),
    "gif no pixels": (b"GIF89a" + bytes(7) + b";", "damaged|no pixels"),
    "bmp garbage": (b"BMW is a maker of cars" * 5, "damaged"),
    "jpeg garbage": (b"\xff\xd8\xff" + bytes(range(256)), "damaged"),
    "tiff garbage": (b"II*\0" + bytes(range(256)), "damaged|page"),
    "webp garbage": (b"RIFF\x99\0\0\0WEBPVP8 " + bytes(200), "damaged"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusal(tmp_path, name):
    _refused(tmp_path, *REFUSED[name])


def test_missing_file_and_folder(tmp_path):
    _refused_path(tmp_path / "no.png", "does not exist")
    _refused_path(tmp_path, "is a folder")


def test_pipe_and_endless_device_do_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    _refused_path(tmp_path / "pipe", "no ordinary file")
    _refused_path(Path("/dev/zero"), "no ordinary file")


def test_link_to_nowhere_and_loop(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    _refused_path(tmp_path / "a", "does not exist")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    _refused_path(tmp_path / "a", "cannot be read")


def test_file_under_a_file(tmp_path):
    (tmp_path / "a").write_bytes(b"x")
    _refused_path(tmp_path / "a" / "b.png", "cannot be read")


@pytest.mark.parametrize(
    ("owner", "name", "error", "match"),
    [
        # Patched, since root may read anything.
        (Path, "open", PermissionError(errno.EACCES, "denied"), "may not be read"),
        (images, "_decode", MemoryError(), "memory"),
    ],
)
def test_no_permission_and_no_memory(tmp_path, monkeypatch, owner, name, error, match):
    def fail(*_args, **_kwargs):
        raise error

    write_png(tmp_path / "a.png", _noise())
    monkeypatch.setattr(owner, name, fail)
    _refused_path(tmp_path / "a.png", match)


@pytest.mark.parametrize("name", ["new\nline", "esc\x1b[31m", "bad\udcff", "ok-é"])
def test_message_is_one_printable_line(tmp_path, name):
    with pytest.raises(ImageError) as caught:
        read_image(tmp_path / name)
    assert str(caught.value).isprintable()
    assert ("é" in str(caught.value)) == ("é" in name)


# --- bombs ---


def _patched(data: bytes, layout: str, at: int, *values: int) -> bytes:
    changed = bytearray(data)
    struct.pack_into(layout, changed, at, *values)
    return bytes(changed)


def _bombs() -> dict[str, bytes]:
    """Small files that claim huge sizes; the largest WebP is within the limit."""
    body, side, million = zlib.compress(bytes(1000)), 2**31 - 1, 1_000_000
    tiff, tiff16 = _tiff(_noise()), _tiff(_deep())
    jpeg, bmp = _pillow(_noise(), "JPEG"), _pillow(_noise(), "BMP")
    gif = _pillow(_noise(channels=1), "GIF")
    return {
        "png": _png(side, side, body),
        "png16": _png(side, side, body, 16),
        "png grey16": _png(side, side, body, 16, 0),
        "tiff": _retag(tiff, ImageWidth=million, ImageLength=million),
        "tiff16": _retag(tiff16, ImageWidth=million, ImageLength=million),
        "jpeg": _patched(jpeg, ">HH", jpeg.index(b"\xff\xc0") + 5, 65000, 65000),
        "bmp": _patched(bmp, "<ii", 18, million, million),
        "gif": _patched(gif, "<HH", 6, 65535, 65535),
    }


BOMBS = _bombs()


@pytest.mark.parametrize("name", BOMBS)
def test_bomb_is_refused_before_decoding(tmp_path, name):
    _read(tmp_path, _pillow(_noise(2, 2), "PNG"))  # to load the decoders
    tracemalloc.start()
    started = time.perf_counter()
    _refused(tmp_path, BOMBS[name], "pixels")
    seconds = time.perf_counter() - started
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seconds < 2
    assert peak < 4 << 20


def _every_path() -> dict[str, bytes]:
    """A 16 x 24 picture for every decoder path."""
    image, deep = _noise(16, 24), _deep(16, 24)
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
PNG_PATHS = sorted(name for name in EVERY_PATH if "PNG" in name)
TIFF_PATHS = sorted(name for name in EVERY_PATH if "TIFF" in name)


@pytest.mark.parametrize("name", EVERY_PATH)
def test_over_the_limit_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.setattr(codec, "MAX_PIXELS", 16 * 24 - 1)
    _refused(tmp_path, EVERY_PATH[name], "16 pixels, over the limit of 383")


@pytest.mark.parametrize("name", EVERY_PATH)
@pytest.mark.parametrize("of_pillow", [150, 200, None])
def test_up_to_the_limit_is_read(tmp_path, monkeypatch, name, of_pillow):
    """Whatever Pillow's is, which refuses twice as many pixels, and warns before."""
    expected = _read(tmp_path, EVERY_PATH[name])
    monkeypatch.setattr(codec, "MAX_PIXELS", 16 * 24)
    monkeypatch.setattr(pillow, "_STRIP", 100)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", of_pillow)
    _same(_read(tmp_path, EVERY_PATH[name]), expected)


@pytest.mark.parametrize("strip", [4, 9, 20])
@pytest.mark.parametrize(
    ("mode", "target"),
    [
        ("1", "L"),
        ("LA", "LA"),
        ("P", "RGBA"),
        ("CMYK", "RGB"),
        ("YCbCr", "RGB"),
        ("LAB", "RGB"),
        ("I;16", "I;16"),
    ],
)
def test_strips_are_converted_as_the_whole(monkeypatch, mode, target, strip):
    data = np.random.default_rng(1).bytes(768)
    image = Image.frombytes(
        mode, (8, 5), data[: len(Image.new(mode, (8, 5)).tobytes())]
    )
    if mode == "P":
        image.putpalette(data)
        image.info["transparency"] = data[-256:]
    whole = np.asarray(image.convert(target))
    monkeypatch.setattr(pillow, "_STRIP", strip)
    _same(pillow.pillow_array(image, 1), np.atleast_3d(whole))


def test_tile_beyond_the_limit_is_refused(tmp_path, monkeypatch):
    data = _tiff(_deep(16, 16), tile=(64, 64), compression="zlib")
    monkeypatch.setattr(codec, "MAX_PIXELS", 1000)
    _refused(tmp_path, data, "64 x 64 pixels")


def test_inflation_is_bounded(tmp_path):
    rows = np.zeros((512, 512, 3), np.uint16)
    cut = _retag(_tiff(rows, compression="zlib", rowsperstrip=512), ImageLength=4)
    for data, limit in (
        (_png(4, 4, zlib.compress(bytes(50 << 20)), 16), 8 << 20),
        (cut, 4 << 20),
    ):
        tracemalloc.start()
        _refused(tmp_path, data, "more data than pixels")
        assert tracemalloc.get_traced_memory()[1] < limit
        tracemalloc.stop()


# --- damage ---


@pytest.mark.parametrize("name", EVERY_PATH)
def test_truncation(tmp_path, name):
    data = EVERY_PATH[name]
    whole = _read(tmp_path, data)
    path = tmp_path / "cut.bin"
    for part in (0.02, 0.2, 0.5, 0.8, 0.95):
        _refused(tmp_path, data[: int(len(data) * part)])
    # Some formats do not show that their very end is missing; then nothing is lost.
    for cut in (1, 2, 4, 8):
        path.write_bytes(data[:-cut])
        try:
            back = read_image(path)
        except ImageError:
            continue
        _same(back, whole)


@pytest.mark.parametrize("name", PNG_PATHS)
def test_png_lacking_its_end_or_with_a_flipped_bit(tmp_path, name):
    data = EVERY_PATH[name]
    for cut in range(1, 20):
        _refused(tmp_path, data[:-cut], "truncated")
    for at in range(8, len(data), max(1, len(data) // 40)):
        _refused(tmp_path, data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])


@pytest.mark.parametrize("rows", [0, 4, 9])
def test_png16_with_too_few_or_many_rows(tmp_path, rows):
    body = zlib.compress(bytes(rows * (1 + 8 * 3 * 2)))
    _refused(tmp_path, _png(8, 8, body, 16), "damaged")


def test_tiff_with_a_missing_strip(tmp_path):
    data = _tiff(_deep(), rowsperstrip=4)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        counts = file.pages.first.tags["StripByteCounts"]
    assert counts.count == 4
    layout, size = {3: ("<H", 2), 4: ("<I", 4)}[int(counts.dtype)]
    _refused(
        tmp_path, _patched(data, layout, counts.valueoffset + size, 0), "truncated"
    )


_FUZZ = settings(
    max_examples=400,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def _array_or_refusal(folder: Path, data: bytes) -> None:
    path = folder / "damaged.bin"
    path.write_bytes(data)
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
    _array_or_refusal(tmp_path, data[: int(len(data) * min(1, 2 * keep))])


@_FUZZ
@given(
    name=st.sampled_from(TIFF_PATHS),
    at=st.integers(0, 250),
    value=st.binary(min_size=1, max_size=4),
)
def test_damaged_tiff_tags(tmp_path, name, at, value):
    data = bytearray(EVERY_PATH[name])
    # The directory lies in front in files by tifffile, behind in those by Pillow.
    start = at if struct.unpack_from("<I", data, 4)[0] < 100 else len(data) - 1 - at
    data[max(start, 0) : start + len(value)] = value
    _array_or_refusal(tmp_path, data)


@_FUZZ
@given(
    name=st.sampled_from(PNG_PATHS),
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
    _array_or_refusal(tmp_path, _join(chunks))


@_FUZZ
@given(
    start=st.sampled_from(
        [SIGNATURE, b"\xff\xd8\xff", b"BM", b"GIF89a", b"II*\0", b"MM\0*", b"II+\0"]
    ),
    rest=st.binary(max_size=200),
)
def test_garbage_behind_a_true_signature(tmp_path, start, rest):
    _array_or_refusal(tmp_path, start + rest)


# --- no global state ---


def test_nothing_global_changes(tmp_path, capfd):
    filters, limit = list(warnings.filters), Image.MAX_IMAGE_PIXELS
    for data in EVERY_PATH.values():
        _read(tmp_path, data)
        with pytest.raises(ImageError):
            _read(tmp_path, data[:50])
    assert warnings.filters == filters
    assert limit == Image.MAX_IMAGE_PIXELS
    assert not ImageFile.LOAD_TRUNCATED_IMAGES
    assert capfd.readouterr() == ("", "")


def test_threads(tmp_path):
    path = tmp_path / "odd.jpg"
    path.write_bytes(_pillow(_noise(64, 64), "JPEG", exif=ODD_EXIF))
    expected = read_image(path)
    filters = list(warnings.filters)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for back in pool.map(read_image, [path] * 200):
            _same(back, expected)
    assert warnings.filters == filters


# --- writing fails ---


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
@pytest.mark.parametrize(
    ("owner", "name", "dtype"),
    [
        (os, "replace", np.uint8),
        (os, "fsync", np.uint16),
        (os, "open", np.uint8),
        (zlib, "compressobj", np.uint8),
        (png, "write_chunks", np.uint16),
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

"""PNG files that tell much beside their pixels, and animations of one picture."""

import io
import os
import struct
import subprocess
import sys
import zlib

import numpy as np
import oracle
import pytest
from PIL import Image, PngImagePlugin

from vmixjax.data.codecs.images import decode_image
from vmixjax.errors import ImageError

PICTURE = oracle.smooth_image(16, 24)
XMP = '<x tiff:Orientation="6"/>'


def chunk(name, body):
    checksum = zlib.crc32(name + body)
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", checksum)


def stored(image=PICTURE, **options):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", **options)
    return buffer.getvalue()


def with_chunks(*chunks, data=None, at=33):
    data = stored() if data is None else data
    return data[:at] + b"".join(chunk(*one) for one in chunks) + data[at:]


LARGE = b'{"node": 1}' * 210_000
TOLD = {
    "zTXt": (b"zTXt", b"workflow\0\0" + zlib.compress(LARGE)),
    "iTXt": (b"iTXt", b"workflow\0\1\0\0\0" + zlib.compress(LARGE)),
    "iTXt as it is": (b"iTXt", b"workflow\0\0\0\0\0" + LARGE),
    "tEXt": (b"tEXt", b"workflow\0" + LARGE * 30),
    "iCCP": (b"iCCP", b"x\0\0" + zlib.compress(os.urandom(99) * 15_000)),
    "iCCP of garbage": (b"iCCP", b"x\0\0" + b"garbage"),
}


@pytest.mark.parametrize("name", TOLD)
@pytest.mark.parametrize("behind", [False, True])
def test_what_is_told_beside_pixels_stops_nothing(name, behind):
    at = len(stored()) - 12 if behind else 33
    data = with_chunks(TOLD[name], at=at)
    assert (decode_image(data, "a.png") == PICTURE).all()


@pytest.mark.parametrize("kind", ["tEXt", "zTXt", "iTXt", "iTXt deflated", "eXIf"])
def test_texts_still_turn_a_picture(kind):
    # As Pillow has it, when it is asked for nothing but texts.
    exif = Image.Exif()
    exif[0x0112] = 6
    raw = exif.tobytes()
    profile = f"\nexif\n{len(raw):8}\n{raw.hex()}".encode()
    xmp = b"XML:com.adobe.xmp\0"
    one = {
        "tEXt": (b"tEXt", b"Raw profile type exif\0" + profile),
        "zTXt": (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(profile)),
        "iTXt": (b"iTXt", xmp + bytes(4) + XMP.encode()),
        "iTXt deflated": (b"iTXt", xmp + b"\1\0\0\0" + zlib.compress(XMP.encode())),
        "eXIf": (b"eXIf", raw.removeprefix(b"Exif\0\0")),
    }[kind]
    data = with_chunks(TOLD["zTXt"], one)
    expected = np.rot90(PICTURE, -1)
    assert (decode_image(data, "a.png") == expected).all()


def test_large_exif_is_called_so():
    profile = (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(LARGE))
    with pytest.raises(ImageError, match="more than 1 MB of EXIF or XMP; turn it"):
        decode_image(with_chunks(profile), "a.png")


def frame(sequence, **changed):
    size = {"width": 24, "height": 16, **changed}
    return b"fcTL", struct.pack(
        ">IIIIIHHBB", sequence, size["width"], size["height"], 0, 0, 1, 1, 0, 0
    )


def control(frames):
    return b"acTL", struct.pack(">II", frames, 0)


def test_an_animation_of_one_picture_is_that_picture():
    for data in (
        with_chunks(control(1), frame(0)),
        with_chunks(control(1)),
    ):
        assert (decode_image(data, "a.png") == PICTURE).all()
    # Pillow writes no animation of one, so the pixels are as Pillow reads them.
    data = with_chunks(control(1), frame(0))
    assert (np.asarray(Image.open(io.BytesIO(data))) == PICTURE).all()


def test_an_animation_of_another_picture_is_refused():
    other = (b"fdAT", struct.pack(">I", 1) + zlib.compress(bytes(16 * 73)))
    begun = with_chunks(control(1))
    for data in (
        # The one frame is not the picture that readers of plain PNG see.
        with_chunks(frame(0), other, data=begun, at=len(begun) - 12),
        with_chunks(control(2), frame(0)),
        with_chunks(control(1), frame(0), frame(1)),
        with_chunks(control(1), control(1)),
    ):
        with pytest.raises(ImageError, match="is an animated PNG"):
            decode_image(data, "a.png")


def test_of_pillow_itself():
    # What the limits are about: should Pillow take such files, nothing is to be done.
    with pytest.raises(ValueError, match="too large"):
        PngImagePlugin.PngImageFile(io.BytesIO(with_chunks(TOLD["zTXt"])))


def test_what_libtiff_says_stays_out_of_the_terminal(tmp_path):
    ifd = Image.fromarray(PICTURE)
    buffer = io.BytesIO()
    info = {65000: "odd", 33550: (1.0, 1.0, 0.0)}
    ifd.save(buffer, "TIFF", compression="tiff_lzw", tiffinfo=info)
    (tmp_path / "odd.tif").write_bytes(buffer.getvalue())
    # Damaged in the midst of what is compressed.
    data = bytearray(buffer.getvalue())
    data[40:200] = bytes(160)
    (tmp_path / "bad.tif").write_bytes(data)
    script = (
        "import sys, pathlib\n"
        "from vmixjax.data.codecs.images import read_image\n"
        "from vmixjax.errors import ImageError\n"
        "for name in sys.argv[1:]:\n"
        "    try:\n"
        "        print(read_image(pathlib.Path(name)).shape)\n"
        "    except ImageError:\n"
        "        print('refused')\n"
    )
    names = [str(tmp_path / name) for name in ("odd.tif", "bad.tif")]
    done = subprocess.run(
        [sys.executable, "-c", script, *names],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "(16, 24, 3)\nrefused\n"
    assert done.stderr == ""

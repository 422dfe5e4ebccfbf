"""Killed at any moment, a release goes on to the same bytes, and has shown nothing."""

import os
import random
import signal
import subprocess
import sys
import time
import zlib

import numpy as np
import oracle
import pytest
from small_folders import tree

from vmixjax.cli import main
from vmixjax.data.codecs.png import SIGNATURE, write_png
from vmixjax.data.writing import WORK

KILLS = int(os.environ.get("VMIXJAX_KILLS", "3"))
"""They take some seconds each."""

COUNT, SIDE = 64, 16
FORMATS = ("folder", "tfds", "webdataset")
COMMAND = [sys.executable, "-m", "vmixjax.cli", "mix"]


@pytest.fixture(scope="module")
def originals():
    image = oracle.smooth_image(SIDE, SIDE)
    return [np.roll(image, n, (0, 1)) ^ np.uint8(n) for n in range(COUNT)]


@pytest.fixture(scope="module")
def made(tmp_path_factory, originals):
    """The source, the options, and an uninterrupted release in each format."""
    root = tmp_path_factory.mktemp("made")
    for number, image in enumerate(originals):
        path = root / "photos" / f"class-{number % 3}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_png(path, image)
    (root / "secret").write_bytes(bytes(range(32)))
    (root / "secret").chmod(0o600)
    options = ["--tile-size", "8", "--shard-size", "8"]
    options += ["--secret-file", str(root / "secret")]
    for kind in FORMATS:
        arguments = [root / "photos", root / kind, *options, "--format", kind]
        assert main(["mix", *map(str, arguments)]) == 0
    return root, options


def rows_of_pictures(data):
    """Rows of all pictures in a file, as far as they go: some may be cut off."""
    for begin in data.split(SIGNATURE)[1:]:
        offset, stream = 0, zlib.decompressobj()
        pixels = b""
        while offset + 8 < len(begin):
            length = int.from_bytes(begin[offset : offset + 4], "big")
            if begin[offset + 4 : offset + 8] == b"IDAT":
                pixels += stream.decompress(begin[offset + 8 : offset + 8 + length])
            offset += length + 12
        size = 1 + 3 * SIDE
        whole = len(pixels) // size
        rows = np.frombuffer(pixels[: whole * size], np.uint8).reshape(whole, size)
        # Each row is stored as its difference to the one above.
        yield from rows[:, 1:].cumsum(0, dtype=np.uint8)


@pytest.mark.parametrize("number", range(KILLS))
def test_killed_at_random_it_goes_on_to_the_same_bytes(
    made, originals, tmp_path, number
):
    root, options = made
    kind, chance = FORMATS[number % 3], random.Random(number)
    mixed, vault, back = (tmp_path / name for name in ("mixed", "vault", "back"))
    arguments = [str(root / "photos"), str(mixed), *options, "--format", kind]
    arguments += ["--vault", str(vault)]
    wanted = tree(root / kind)
    unmixed = {row.tobytes() for image in originals for row in image}

    run = subprocess.Popen([*COMMAND, *arguments], stderr=subprocess.DEVNULL)
    # Sometimes while it compiles, mostly within some shard: those take no time.
    shards = chance.randrange(-1, COUNT // 8)
    while run.poll() is None and not (mixed / WORK / "begun.json").exists():
        time.sleep(0.001)
    while run.poll() is None and (len(list((mixed / WORK).glob("*-*.json"))) <= shards):
        time.sleep(0.0005)
    time.sleep(chance.uniform(0, 2 if shards < 0 else 0.05))
    run.send_signal(signal.SIGKILL)
    run.wait()

    seen = 0
    for name, data in tree(mixed).items():
        if not name.startswith(WORK):
            assert wanted[name] == data, f"{name} is partial"
        for row in rows_of_pictures(data):
            assert row.tobytes() not in unmixed, f"{name} shows a picture as it was"
            seen += 1
    print(f"{kind}: {seen} rows there when it was killed, status {run.returncode}")
    assert main(["mix", *arguments]) == 0
    assert tree(mixed) == wanted
    # The vault has lived through it as well.
    assert main(["unmix", str(mixed), str(back), "--vault", str(vault)]) == 0
    restored = [row for data in tree(back).values() for row in rows_of_pictures(data)]
    assert {row.tobytes() for row in restored} == unmixed

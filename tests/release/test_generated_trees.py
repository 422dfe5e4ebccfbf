"""Trees that are made up: whatever comes back is right, and all else is named."""

import contextlib
import dataclasses
import itertools
import os
import re
import shutil
import tarfile
import tempfile
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
import strangers
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from strangers import decoded, encoded, noise

from vmixjax._printable import printable
from vmixjax.config import MixConfig
from vmixjax.data.formats import FORMATS
from vmixjax.errors import RunError
from vmixjax.release.config import Recipe, ReleaseConfig
from vmixjax.release.mix import mix_release, run_local
from vmixjax.release.progress import Progress
from vmixjax.release.unmix import unmix_release
from vmixjax.release.verify import verify_release

MIXING = MixConfig(tile_size=4, ladder=((2, 1),))
"""One that few programs are compiled for."""

EXAMPLES = int(os.environ.get("VMIXJAX_EXAMPLES", "300"))
"""Trees; thousands by hand."""

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Disks take most of the time."""

LETTERS = st.sampled_from("aAé.% -\u202e\n\\2E")
NAMES = st.one_of(
    st.text(LETTERS, min_size=1, max_size=5),
    st.integers(249, 255).map(lambda length: "x" * length),
).filter(lambda name: not name.startswith(".") and len(name.encode()) <= 255)
SUFFIXES = st.sampled_from([".png", ".jpg", ".x.png", ""])
CLASSES = st.sampled_from(
    ["", "cat", "dog", " cat", "pets/b", "train", "UNFINISHED", "release.json", "3"]
)
MODES = st.sampled_from(
    ["L", "RGB", "broken", "text", "empty"]
    # Each of these takes seconds to compile for.
    + ["LA", "RGBA", "deep"] * (EXAMPLES > 300)
)


@dataclasses.dataclass(frozen=True)
class File:
    """A file of a source: which class it is in, its name, and what it holds."""

    folder: str
    name: str
    mode: str

    @property
    def path(self):
        return f"{self.folder}/{self.name}" if self.folder else self.name

    def content(self, number):
        channels = {"L": 1, "LA": 2, "RGBA": 4}.get(self.mode, 3)
        # As large as a tile at most: one shape is compiled for.
        image = noise(number, channels=channels, height=3 + number % 2, width=4)
        if self.mode == "deep":
            # Of 16 bits, and grey, which Pillow knows.
            image = image[:, :, :1].astype(np.uint16) * 257
        data = encoded(image)
        return {"broken": data[:-20], "text": b"Dear diary", "empty": b""}.get(
            self.mode, data
        )


FILES = st.lists(
    st.builds(
        lambda folder, name, suffix, mode: File(folder, name + suffix, mode),
        CLASSES,
        NAMES,
        SUFFIXES,
        MODES,
    ).filter(lambda file: len(file.name.encode()) <= 255),
    min_size=1,
    max_size=5,
    unique_by=lambda file: file.path,
)


def write_folder(root, files):
    return strangers.write_tree(
        root, {file.path: file.content(i) for i, file in enumerate(files)}
    )


def write_tars(root, files):
    """Keys are names up to the first dot; some samples lack a class, or have two."""
    members = []
    for i, file in enumerate(files):
        key = file.path.replace(".", "-")
        members.append((f"{key}.png", file.content(i)))
        members.append((f"{key}.cls", str(i % 2).encode()))
        if file.mode == "empty":
            members.append((f"{key}.png", file.content(i + 1)))
        if file.mode == "text":
            members.append((f"{key}.jpg", f"{key}.png"))
    root.mkdir()
    return strangers.write_tar(root / "a.tar", members)


def images_of(source):
    """The images of a source as they are, by the name that a line says of each."""
    if source.is_dir():
        for path in sorted(p for p in source.rglob("*") if p.is_file()):
            yield path.relative_to(source).as_posix(), readable(path.read_bytes())
        return
    with tarfile.open(source) as tar:
        for key, members in itertools.groupby(tar, lambda m: m.name.partition(".")[0]):
            images = [m for m in members if not m.name.endswith(".cls")]
            whole = len(images) == 1
            data = tar.extractfile(images[0]).read()
            yield key, readable(data) if whole else None


def readable(data):
    try:
        return decoded(data)
    except (OSError, SyntaxError, ValueError):
        return None


class Quiet(Progress):
    """Keeps what there is to say, and draws no bar."""

    def of(self, *_, **__):
        return contextlib.nullcontext()

    def say(self, line):
        pass


def pixels(image):
    return image.shape, image.dtype.str, image.tobytes()


def mixed_and_restored(root, source, kind, *, names):
    """What was left out in mixing, and what came back; all else must be right."""
    config = ReleaseConfig(
        src=str(source),
        dst=root / "mixed",
        recipe=Recipe(MIXING),
        format=kind,
        keep_names=names,
        keep_order=True,
        allow_overlaps=True,
        shard_size=2,
        vault=root / "vault",
    )
    progress = Quiet("mixing")
    mix_release(config, partial(run_local, workers=1), progress, workers=1)
    left_out = list(progress.skipped)

    progress = Quiet("verifying")
    report = verify_release(config.dst, vault_folder=config.vault, progress=progress)
    assert report.problems == []

    progress = Quiet("restoring")
    back = root / "back"
    unmix_release(config.dst, back, config.vault, workers=1, progress=progress)
    assert progress.skipped == progress.doubts == []
    read = getattr(strangers, f"read_{'tars' if kind == 'webdataset' else kind}")
    return left_out, list(read(back))


def check_name(kind, name, source, label, file):
    """A restored image is called as it was, as far as its format has names."""
    folder, _, last = file.rpartition("/")
    stem = last if source != "folder" else PurePosixPath(last).with_suffix("").name
    if source == "tars" and "%" in file:
        # Keys with escapes have tests of their own.
        return
    if kind == "folder":
        # Of those that would meet, the suffix stays.
        expected = rf"({re.escape(stem)}|{re.escape(last)})(-\d+)?\.png"
        assert re.fullmatch(expected, name.rpartition("/")[2])
        assert source != "folder" or name.rpartition("/")[0] == folder
    elif kind == "coco":
        expected = rf"({re.escape(stem)}|{re.escape(last)})(-\d+)?\.png"
        assert re.fullmatch(expected, name.rpartition("/")[2])
    elif kind == "webdataset" and "%" not in file:
        expected = rf"({re.escape(stem)}|{re.escape(last)})(-\d+)?"
        assert re.fullmatch(expected, name.rpartition("/")[2].replace("%2E", "."))
        assert name.rpartition("/")[0] == folder
    elif kind == "tfds" and source == "folder":
        assert label in (None, folder.strip())


@settings(
    max_examples=EXAMPLES,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    FILES,
    st.sampled_from(["folder", "tars"]),
    st.sampled_from(list(FORMATS)),
    st.booleans(),
)
def test_nothing_is_lost_that_is_not_named(files, source_kind, kind, names):
    root = Path(tempfile.mkdtemp(dir=MEMORY))
    try:
        write = write_folder if source_kind == "folder" else write_tars
        source = write(root / "source", files)
        originals = dict(images_of(source))
        try:
            left_out, back = mixed_and_restored(root, source, kind, names=names)
        except RunError as error:
            refused = str(error)
        else:
            refused = None
        if refused is not None:
            # As a whole, before there is a release.
            assert re.search(
                "no image|cannot hold|no field objects|have the key"
                "|splits? are called|a split",
                refused,
            ), refused
            assert not (root / "mixed" / "release.json").exists()
            return
        by_pixels = {
            pixels(image): name
            for name, image in originals.items()
            if image is not None
        }
        came = set()
        for name, image, beside in back:
            file = by_pixels[pixels(image)]
            came.add(file)
            check_name(kind, name, source_kind, beside, file)
        assert len(came) == len(back)
        lost = set(originals) - came
        assert len(left_out) == len(lost)
        for file in lost:
            lines = map(printable, left_out)
            assert any(printable(file) in line for line in lines), (file, left_out)
    finally:
        shutil.rmtree(root)

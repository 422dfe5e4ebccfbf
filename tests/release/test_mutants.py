"""Whatever is wrong with an input, commands say so: nothing else comes of it.

No traceback, no wrong image, nothing written outside of DST, bounded time and memory.
`VMIXJAX_MUTANTS=1000 python -m pytest -m '' tests/release/test_mutants.py` tries many,
and `VMIXJAX_MUTANT=17` with `-k KIND` one of them again.
"""

import hashlib
import importlib
import io
import os
import shutil
import stat
import sys
import tarfile
from functools import partial
from pathlib import Path

import box_sets
import mutants
import numpy as np
import oracle
import pytest
import strangers
import tensorflow_datasets as tfds
from array_record.python import array_record_module
from PIL import Image
from small_coco import write_coco
from stills import after_each_flush
from tensorflow_datasets.proto import tf_example_pb2
from watched import Wrong, each_mutant, run, tree, write_decoys

from vmixjax.cli import main
from vmixjax.data.codecs.png import encode_png, write_png
from vmixjax.data.writing import MANIFEST, WORK
from vmixjax.release.vault import FILE_NAME

COUNT = 6
OPTIONS = ["--tile-size", "8", "--shard-size", "2"]
SOURCES = {
    "folder": "photos",
    "webdataset": "tars",
    "tfds": "tfds:pets",
    "coco": "coco:cells",
    "voc": "voc:streets",
    "yolo": "yolo:yards",
}
FORMATS = tuple(SOURCES)
BOXES = ("coco", "voc", "yolo")


def picture(number):
    """One shape for all: every other one takes seconds to compile."""
    return np.roll(oracle.smooth_image(16, 16), number, (0, 1)) ^ np.uint8(number)


def private(path, content):
    path.write_bytes(content)
    path.chmod(0o600)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Good inputs of all kinds, and what becomes of them."""
    root = tmp_path_factory.mktemp("made")
    write_photos(root / "photos")
    write_tars(root / "tars")
    write_pets(root / "pets")
    write_pictures(root / "pictures")
    names = {"train": ["anna-0", "anna-1", "anna-2", "anna-3"], "val": ["b-4", "b-5"]}
    write_coco(root / "cells", train=4, val=2)
    box_sets.write_voc(root / "streets", names)
    box_sets.write_yolo(root / "yards", names)
    private(root / "secret", bytes(range(32)))
    private(root / "passphrase", b"open sesame\n")
    for kind in FORMATS:
        mixed, vault = root / f"mixed-{kind}", root / f"vault-{kind}"
        keep = ["--vault", vault, "--secret-file", root / "secret"]
        mix(source(root, kind), mixed, *keep, "--format", kind)
        back = root / f"back-{kind}"
        assert main(["unmix", *map(str, (mixed, back, "--vault", vault))]) == 0
        assert main(["verify", *map(str, (mixed, "--vault", vault))]) == 0
        assert len(restored(back, kind)) == COUNT
        one = ["--vault", vault, "--id", name_of(kind, 5)]
        assert main(["unmix", *map(str, (mixed, root / f"one-{kind}", *one))]) == 0
        assert restored(root / f"one-{kind}", kind) == restored(back, kind)[5:]
        # Killed: what is there when one shard is done and another one is not yet.
        mix_until(root / f"killed-{kind}", source(root, kind), kind, root / "secret")
        mix_until(root / f"forgotten-{kind}", source(root, kind), kind, None)
    lock = ["--vault", root / "locked", "--vault-passphrase-file", root / "passphrase"]
    lock += ["--secret-file", root / "secret"]
    mix(root / "photos", root / "mixed-locked", *lock)
    assert tree(root / "mixed-locked") == tree(root / "mixed-folder")
    return root


def mix(*arguments):
    assert main(["mix", *map(str, arguments), *OPTIONS]) == 0


def mix_until(mixed, src, kind, secret):
    """Mixes, and keeps what is there once two of the shards are noted as done."""
    whole = mixed.with_name(f"{mixed.name}-whole")

    def copy():
        noted = len(list((whole / WORK).glob("*.json")))
        if noted >= 3 and not mixed.exists():
            shutil.copytree(whole, mixed)

    with pytest.MonkeyPatch.context() as patch:
        after_each_flush(patch, copy)
        mix(
            src, whole, "--format", kind, *(["--secret-file", secret] if secret else [])
        )
    assert mixed.exists()
    shutil.rmtree(whole)


def source(root, kind):
    format, colon, name = SOURCES[kind].rpartition(":")
    return f"{format}{colon}{root / name}"


def write_photos(folder):
    for number in range(COUNT):
        path = folder / ("cats" if number < 3 else "dogs") / f"anna-{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_png(path, picture(number))


def write_tars(folder):
    folder.mkdir()
    with tarfile.open(folder / "anna.tar", "w") as tar:
        for number in range(COUNT):
            for suffix, data in (
                ("png", encode_png(picture(number))),
                ("cls", b"%d" % (number % 2)),
                ("txt", b"pet %d" % number),
            ):
                member = tarfile.TarInfo(f"anna/{number}.{suffix}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))


def write_pets(folder):
    folder.mkdir()
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(16, 16, 3), encoding_format="png"),
            "label": tfds.features.ClassLabel(names=["cat", "dog"]),
            "file_name": tfds.features.Text(),
            "caption": tfds.features.Text(),
            "age": tfds.features.Scalar(np.float32),
        }
    )
    name = folder / "pets-train.array_record-00000-of-00001"
    writer = array_record_module.ArrayRecordWriter(str(name), "group_size:1")
    for number in range(COUNT):
        example = {
            "image": io.BytesIO(encode_png(picture(number))),
            "label": number % 2,
            "file_name": f"anna-{number}.jpg",
            "caption": f"pet {number}",
            "age": number / 2,
        }
        writer.write(features.serialize_example(features.encode_example(example)))
    writer.close()
    split = tfds.core.SplitInfo(name="train", shard_lengths=[COUNT], num_bytes=0)
    tfds.folder_dataset.write_metadata(
        data_dir=folder, features=features, split_infos=[split], check_data=False
    )


def write_pictures(folder):
    """A file of each format; what is lossy is another picture, but a picture."""
    folder.mkdir()
    for number, suffix in enumerate(("png", "jpg", "tiff", "webp", "gif", "bmp")):
        Image.fromarray(picture(number)).save(folder / f"{suffix}-{number}.{suffix}")


def restored(folder, kind):
    """What is there, as a stranger reads it: names, pixels, labels, boxes and texts."""
    if kind in BOXES:
        return boxed(folder, kind)
    found = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        if path.suffix == ".png":
            name = path.relative_to(folder).with_suffix("").as_posix()
            found.append((name, digest(path.read_bytes())))
        elif path.suffix == ".tar":
            with tarfile.open(path) as tar:
                samples = {}
                for member in tar:
                    key, _, suffix = member.name.rpartition(".")
                    content = tar.extractfile(member).read()
                    samples.setdefault(key, []).append(
                        digest(content) if suffix == "png" else (suffix, content)
                    )
            found += [(key, *parts) for key, parts in samples.items()]
        elif "array_record" in path.name:
            found += [features_of(folder, one) for one in mutants.records(path)]
        elif path.suffix == ".part":
            raise Wrong("unmix left a file behind that ends in .part")
    return found


def boxed(folder, kind):
    """What strangers read of images with boxes."""
    if kind == "coco":
        there = strangers.read_coco(folder)
    else:
        there = [
            (name, image, (split, boxes))
            for name, (split, image, boxes) in box_sets.READ[kind](folder).items()
        ]
    return sorted((name, digest_of(image), str(of)) for name, image, of in there)


def features_of(folder, record):
    features = tf_example_pb2.Example.FromString(record).features.feature
    image = digest(features.pop("image").bytes_list.value[0])
    names = (folder / "label.labels.txt").read_text().split()
    label = names[features.pop("label").int64_list.value[0]]
    rest = [(name, features[name].SerializeToString()) for name in sorted(features)]
    return image, label, *rest


def digest(data):
    return digest_of(np.asarray(Image.open(io.BytesIO(data))))


def digest_of(image):
    return hashlib.sha256(image.tobytes()).hexdigest()


def shown(item):
    """Without the digest of pixels, which nobody can read."""
    return [part for part in item if not (isinstance(part, str) and len(part) == 64)]


class Place:
    """A folder with all that a command needs, and much that it must not touch."""

    def __init__(self, made, folder, kind, *, mixed, vault=None):
        self.made, self.home, self.kind = made, folder / "home", kind
        self.lures = write_decoys(self.home)
        self.mixed, self.back = self.home / "mixed", self.home / "back"
        self.vault = self.home / "vault"
        for name in ("secret", "passphrase"):
            private(self.home / name, (made / name).read_bytes())
        if mixed is not None:
            shutil.copytree(made / mixed, self.mixed)
        shutil.copytree(made / (vault or f"vault-{kind}"), self.vault)
        self.locked = vault == "locked"
        # Where a release names a module in it, this is where Python finds it.
        sys.path.insert(0, str(self.home))
        for name in [
            n for n in sys.modules if n.partition(".")[0] in ("mixed", "evil")
        ]:
            del sys.modules[name]
        importlib.invalidate_caches()

    def __enter__(self):
        self.was = Path.cwd()
        os.chdir(self.home / "decoys")
        return self

    def __exit__(self, *_):
        os.chdir(self.was)
        sys.path.remove(str(self.home))

    def run(self, *arguments, may_change=()):
        return run(main, arguments, inside=self.home, may_change=may_change)

    def opening(self):
        lock = ["--vault-passphrase-file", self.home / "passphrase"]
        return ["--vault", self.vault, *(lock if self.locked else [])]

    def unmix(self, number=None):
        """Restores all or one; whatever comes back must be right."""
        originals = restored(self.made / f"back-{self.kind}", self.kind)
        one = [] if number is None else ["--id", name_of(self.kind, number)]
        status, _ = self.run(
            *("unmix", self.mixed, self.back, *self.opening(), *one),
            may_change=[self.back],
        )
        found = restored(self.back, self.kind) if self.back.exists() else []
        shutil.rmtree(self.back, ignore_errors=True)
        wanted = originals if number is None else [originals[number]]
        if wrong := [one for one in found if one not in wanted]:
            raise Wrong(
                f"unmix {one}, status {status}, restored wrongly: {shown(wrong[0])}"
            )
        whole = number is not None or (self.mixed / MANIFEST).exists()
        if status == 0 and whole and {*found} != {*wanted}:
            count = f"{len({*found})} of {len(wanted)}"
            raise Wrong(f"unmix {one}, status 0, restored {count} only")

    def verify(self, *options, good=None):
        """Only what is as it was may be called good."""
        options = options or self.opening()
        status, said = self.run("verify", self.mixed, *options)
        wanted = tree(self.made / f"mixed-{self.kind}")
        if status == 0 and "--vault" in options and tree(self.mixed) != wanted:
            raise Wrong("verify --vault called a changed release good")
        if good and status != 0:
            raise Wrong(f"verify called what mix wrote wrong: {said[-300:]!r}")

    def mix(self, *options, src=None):
        """Mixes again, or goes on: what is done must be as it was to be."""
        arguments = [
            src or source(self.made, self.kind),
            self.mixed,
            *options,
            *OPTIONS,
        ]
        status, _ = self.run(
            *("mix", *arguments, "--format", self.kind),
            may_change=[self.mixed, self.vault],
        )
        wanted = tree(self.made / f"mixed-{self.kind}")
        if status == 0 and options and tree(self.mixed) != wanted:
            raise Wrong("mix ended well, but not with the bytes that it should have")
        return status


def name_of(kind, number):
    """What an original is called."""
    stem, split = (f"anna-{number}", "train") if number < 4 else (f"b-{number}", "val")
    return {
        "folder": f"{'cats' if number < 3 else 'dogs'}/anna-{number}.png",
        "webdataset": f"anna/{number}",
        "tfds": f"train/{number}",
        "coco": f"{split}/{number % 4:012}.png",
        "voc": f"JPEGImages/{stem}.png",
        "yolo": f"images/{split}/{stem}.png",
    }[kind]


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=[pytest.mark.long] if kind in BOXES else [])
        for kind in FORMATS
    ],
)
def test_releases(made, tmp_path, kind):
    def check(dice, folder):
        with Place(made, folder, kind, mixed=f"mixed-{kind}") as place:
            trace = place.home / "decoys" / "trace" if kind == "tfds" else None
            mutants.mutate_release(place.mixed, dice, place.lures, trace=trace)
            yield place.verify
            yield place.unmix
            yield partial(place.unmix, dice.randrange(COUNT))

    each_mutant(kind, tmp_path, check)


def test_manifests(made, tmp_path):
    def check(dice, folder):
        kind = dice.choice(FORMATS)
        with Place(made, folder, kind, mixed=f"mixed-{kind}") as place:
            path = place.mixed / MANIFEST
            if dice.random() < 0.1:
                mutants.mutate_place(path, dice, place.lures)
            else:
                mutants.mutate_file(path, dice, place.lures)
            yield partial(place.verify, "--json")
            yield place.verify
            yield place.unmix
            keep = ["--secret-file", place.home / "secret"]
            yield partial(place.mix, *dice.choice((keep, [*keep, *place.opening()])))

    each_mutant("manifest", tmp_path, check)


@pytest.mark.parametrize(
    "locked",
    [False, pytest.param(True, marks=pytest.mark.long)],
    ids=["open", "locked"],
)
def test_vaults(made, tmp_path, locked):
    def check(dice, folder):
        kind = "folder" if locked else dice.choice(FORMATS)
        vault = "locked" if locked else None
        with Place(made, folder, kind, mixed=f"mixed-{kind}", vault=vault) as place:
            path = place.vault / FILE_NAME
            if dice.random() < 0.05:
                mutants.mutate_place(path, dice, place.lures)
            else:
                mutants.mutate_vault(path, dice, place.lures)
            ways = [
                place.unmix,
                place.verify,
                partial(place.unmix, dice.randrange(COUNT)),
                partial(mix_again, place, anew=dice.random() < 0.5),
            ]
            # A passphrase takes its time.
            yield from [dice.choice(ways)] if locked else ways

    def mix_again(place, *, anew):
        # Where there is none, mix makes a vault with another secret.
        if not (place.vault / FILE_NAME).exists():
            return
        if anew:
            shutil.rmtree(place.mixed)
        place.mix(*place.opening())

    each_mutant("locked-vault" if locked else "vault", tmp_path, check)


def test_notes_on_unfinished_releases(made, tmp_path):
    def check(dice, folder):
        kind, secret = dice.choice(FORMATS), dice.random() < 0.6
        before = f"{'killed' if secret else 'forgotten'}-{kind}"
        with Place(made, folder, kind, mixed=before) as place:
            for _ in range(dice.choice((1, 1, 2))):
                notes = (place.mixed / WORK).glob("*.json")
                notes = sorted(p for p in notes if p.is_file() and not p.is_symlink())
                mutate_note(dice.choice(notes), dice, place.lures)
            yield partial(go_on, place, secret)

    def mutate_note(path, dice, lures):
        how = dice.random()
        if how < 0.1:
            mutants.mutate_place(path, dice, lures)
        elif how < 0.3:
            mutants.mutate_names_in(path, dice, lures)
        else:
            mutants.mutate_file(path, dice, lures)

    def go_on(place, secret):
        keep = ["--secret-file", place.home / "secret"] if secret else []
        status = place.mix(*keep)
        if status == 0 and not secret:
            place.verify("--json", good=True)
            if len(restored(place.mixed, place.kind)) != COUNT:
                raise Wrong("mix ended well, but not with all images")

    each_mutant("unfinished", tmp_path, check)


@pytest.mark.long
def test_source_images(made, tmp_path):
    def check(dice, folder):
        with Place(made, folder, "folder", mixed=None) as place:
            shutil.rmtree(place.vault)
            pictures = shutil.copytree(made / "pictures", place.home / "pictures")
            path = dice.choice(sorted(pictures.iterdir()))
            how = dice.random()
            if how < 0.1:
                mutants.mutate_place(path, dice, place.lures)
            elif how < 0.15:
                mutants.mutate_names(pictures, dice, place.lures)
            else:
                mutants.mutate_file(path, dice, place.lures)
            yield partial(mix_and_back, place, pictures, "folder")

    each_mutant("image", tmp_path, check)


def test_source_tars(made, tmp_path):
    def check(dice, folder):
        with Place(made, folder, "webdataset", mixed=None) as place:
            shutil.rmtree(place.vault)
            tars = shutil.copytree(made / "tars", place.home / "tars")
            mutants.mutate_file(tars / "anna.tar", dice, place.lures)
            kind, drop = dice.choice(FORMATS), dice.choice(DROPS)
            yield partial(mix_and_back, place, tars, kind, *drop)

    each_mutant("tar", tmp_path, check)


DROPS = [], ["--keep-names"], ["--drop", "txt"]


def test_source_tfds(made, tmp_path):
    def check(dice, folder):
        with Place(made, folder, "tfds", mixed=None) as place:
            shutil.rmtree(place.vault)
            # Called as if it were a package with something in it.
            pets = shutil.copytree(made / "pets", place.home / "evil")
            trace = place.home / "decoys" / "trace"
            (place.home / "evil.py").write_text(mutants.EVIL.format(str(trace)))
            mutants.mutate_release(pets, dice, place.lures)
            kind = dice.choice(("same", "tfds"))
            yield partial(mix_and_back, place, f"tfds:{pets}", kind)

    each_mutant("source-tfds", tmp_path, check)


@pytest.mark.long
@pytest.mark.parametrize("kind", BOXES)
def test_source_boxes(made, tmp_path, kind):
    def check(dice, folder):
        with Place(made, folder, kind, mixed=None) as place:
            shutil.rmtree(place.vault)
            name = source(made, kind).rpartition("/")[2]
            boxes = shutil.copytree(made / name, place.home / name)
            mutants.mutate_release(boxes, dice, place.lures)
            to = dice.choice((kind, kind, *FORMATS))
            yield partial(mix_and_back, place, f"{kind}:{boxes}", to)

    each_mutant(f"source-{kind}", tmp_path, check)


def mix_and_back(place, src, kind, *options):
    """Whatever could be mixed is a good release, and comes back."""
    if not str(src).startswith("tfds:"):
        place.run("vfe", src, "--tile-size", 8)
    arguments = [src, place.mixed, *options, *OPTIONS, "--format", kind]
    status, _ = place.run(
        *("mix", *arguments, *place.opening()), may_change=[place.mixed, place.vault]
    )
    if status == 2:
        return
    for command in (
        ["verify", place.mixed, *place.opening(), "--source", src],
        ["unmix", place.mixed, place.back, *place.opening()],
    ):
        status, said = place.run(*command, may_change=[place.back])
        if status != 0:
            raise Wrong(
                f"{command[0]} of what mix wrote, status {status}: {said[-300:]!r}"
            )
    if stat.S_ISDIR(place.mixed.stat().st_mode) and (place.mixed / WORK).exists():
        raise Wrong("mix ended, but UNFINISHED is still there")

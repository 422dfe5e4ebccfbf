"""Releases of whole data sets: what goes in comes out mixed, all of it, or resumes."""

import errno
import io
import json
import os
import re
import signal
import subprocess
import sys
import tarfile

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image, PngImagePlugin
from small_folders import picture, tree
from strangers import write_tfds

from vmixjax.cli import main
from vmixjax.data.codecs.images import read_image
from vmixjax.data.codecs.png import encode_png, write_png
from vmixjax.data.writing import WORK

OPTIONS = ["--tile-size", "8", "--shard-size", "4"]
COUNT = 10


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    for number in range(COUNT):
        path = folder / ("cats" if number % 3 else "dogs") / f"anna-{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_png(path, picture(number))
    return folder


@pytest.fixture
def secret(tmp_path):
    (tmp_path / "secret").write_bytes(bytes(range(32)))
    (tmp_path / "secret").chmod(0o600)
    return ["--secret-file", str(tmp_path / "secret")]


def stored(image, **options):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, **options)
    return io.BytesIO(buffer.getvalue())


@pytest.fixture
def pets(tmp_path):
    folder = tmp_path / "pets"
    write_tfds(
        folder,
        {
            "image": tfds.features.Image(shape=(16, 16, 3)),
            "label": tfds.features.ClassLabel(names=["cat", "dog"]),
            "file_name": tfds.features.Text(),
            "caption": tfds.features.Text(),
            "age": tfds.features.Scalar(np.float32),
        },
        [
            {
                "image": stored(picture(i), format="PNG"),
                "label": i % 2,
                "file_name": f"anna-{i}.jpg",
                "caption": f"pet {i}",
                "age": i / 2,
            }
            for i in range(COUNT)
        ],
    )
    return folder


@pytest.fixture
def tars(tmp_path):
    folder = tmp_path / "tars"
    folder.mkdir()
    for part in range(2):
        with tarfile.open(folder / f"part-{part}.tar", "w") as tar:
            for i in range(5 * part, 5 * part + 5):
                for suffix, data in (
                    ("png", encode_png(picture(i))),
                    ("cls", str(i % 2).encode()),
                    ("json", b'{"url": "anna"}'),
                ):
                    member = tarfile.TarInfo(f"anna/{i}.{suffix}")
                    member.size, member.mtime, member.uname = len(data), 10**9, "anna"
                    tar.addfile(member, io.BytesIO(data))
    return folder


def labelled(folder, kind):
    """What a release holds, as a stranger reads it: {(digest of pixels): label}."""
    found = []
    if kind == "folder":
        for path in sorted(folder.rglob("*.png")):
            folders = [p for p in path.relative_to(folder).parts if p != "train"]
            found.append((np.asarray(Image.open(path)), folders[0]))
    elif kind == "tfds":
        builder = tfds.builder_from_directory(folder)
        for example in builder.as_data_source("train"):
            label = int(example["label"])
            names = getattr(builder.info.features["label"], "names", None)
            found.append((example["image"], names[label] if names else str(label)))
    else:
        for path in sorted(folder.glob("*.tar")):
            with tarfile.open(path) as tar:
                members = {m.name: tar.extractfile(m).read() for m in tar}
            for name in sorted(m for m in members if m.endswith(".png")):
                image = np.asarray(Image.open(io.BytesIO(members[name])))
                found.append((image, members[name[:-3] + "cls"].decode()))
    return found


@pytest.mark.parametrize(
    ("source", "kind", "more"),
    [
        ("photos", "folder", []),
        ("photos", "tfds", []),
        ("photos", "webdataset", []),
        ("pets", "tfds", []),
        ("pets", "folder", ["--drop", "file_name", "caption", "age"]),
        ("pets", "webdataset", ["--drop", "age"]),
        ("tars", "webdataset", ["--drop", "json"]),
        ("tars", "tfds", ["--keep", "json"]),
        ("tars", "folder", ["--drop", "json"]),
    ],
)
def test_any_source_becomes_any_release_and_comes_back(
    request, tmp_path, capsys, source, kind, more
):
    folder = request.getfixturevalue(source)
    src = f"tfds:{folder}" if source == "pets" else str(folder)
    mixed, vault, back = (tmp_path / name for name in ("mixed", "vault", "back"))
    kept = ["--vault", str(vault)]
    arguments = [src, str(mixed), *OPTIONS, *more, *kept]
    assert main(["mix", *arguments, "--format", kind]) == 0
    manifest = json.loads((mixed / "release.json").read_text())
    assert manifest["images"] == sum(manifest["splits"].values()) == COUNT
    assert not (mixed / WORK).exists()

    originals = [picture(i) for i in range(COUNT)]
    found = labelled(mixed, kind)
    assert len(found) == COUNT
    for image, _ in found:
        assert image.shape == (16, 16, 3)
        assert all((image != original).mean() > 0.3 for original in originals)

    capsys.readouterr()
    assert main(["verify", str(mixed), *kept, "--source", src]) == 0
    assert "good" in capsys.readouterr().out

    assert main(["unmix", str(mixed), str(back), *kept]) == 0
    restored = labelled(back, kind)
    numbers = [
        next(i for i, o in enumerate(originals) if np.array_equal(image, o))
        for image, _ in restored
    ]
    assert sorted(numbers) == list(range(COUNT))
    name = {
        "photos": lambda i: "cats" if i % 3 else "dogs",
        "pets": lambda i: "dog" if i % 2 else "cat",
        "tars": lambda i: str(i % 2),
    }[source]
    if source != "tars" and kind == "webdataset":
        # A tar holds numbers of classes.
        classes = {"photos": ["cats", "dogs"], "pets": ["cat", "dog"]}[source]
        name = lambda i, name=name: str(classes.index(name(i)))  # noqa: E731
    for number, (_, label) in zip(numbers, restored, strict=True):
        assert label == name(number)
    # Labels are with the images that they belong to in the release as well.
    assert sorted(label for _, label in found) == sorted(map(name, range(COUNT)))


def test_a_tfds_release_needs_none_of_our_code(pets, tmp_path):
    # A name and a version: then TFDS finds it by these as well.
    mixed = tmp_path / "data" / "pets" / "1.0.0"
    assert main(["mix", f"tfds:{pets}", str(mixed), *OPTIONS]) == 0
    script = (
        "import sys\n"
        "sys.modules['vmixjax'] = None\n"
        "import tensorflow_datasets as tfds\n"
        "builder = tfds.builder_from_directory(sys.argv[1])\n"
        "source = builder.as_data_source('train')\n"
        "print(len(source), builder.info.features['label'].names)\n"
        "for e in source:\n"
        "  print(int(e['label']), e['file_name'].decode(), e['caption'].decode(),\n"
        "        float(e['age']), e['image'].shape)\n"
        "again = tfds.data_source('pets:1.0.0', split='train', data_dir=sys.argv[2])\n"
        "assert len(again) == len(source)\n"
        "assert all((a['image'] == b['image']).all() for a, b in zip(again, source))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, mixed, tmp_path / "data"],
        capture_output=True,
        text=True,
        check=True,
    )
    first, *rest = run.stdout.splitlines()
    assert first == "10 ['cat', 'dog']"
    # In an order of the release's own, by which they are numbered.
    shown = [int(line.split()[3]) for line in rest]
    assert sorted(shown) == list(range(COUNT))
    assert rest == [
        f"{i % 2} {place:05d} pet {i} {i / 2} (16, 16, 3)"
        for place, i in enumerate(shown)
    ]


def test_names_in_a_data_set_come_back_with_the_vault(pets, tmp_path):
    mixed, vault, back = (tmp_path / name for name in ("mixed", "vault", "back"))
    kept = ["--vault", str(vault)]
    assert main(["mix", f"tfds:{pets}", str(mixed), *OPTIONS, *kept]) == 0
    assert main(["unmix", str(mixed), str(back), *kept]) == 0
    again = tfds.builder_from_directory(back).as_data_source("train")
    for i, example in enumerate(again):
        np.testing.assert_array_equal(example["image"], picture(i))
        assert example["file_name"] == f"anna-{i}.jpg".encode()
        assert (float(example["age"]), int(example["label"])) == (i / 2, i % 2)


@pytest.mark.parametrize("kind", ["folder", "tfds", "webdataset"])
def test_workers_and_engines_change_no_byte(photos, tmp_path, secret, kind):
    trees = []
    engines = [["--workers", n] for n in "124"]
    engines.append(["--engine", "beam", "--", "--direct_num_workers=2"])
    for i, engine in enumerate(engines):
        mixed = tmp_path / f"mixed-{i}"
        arguments = [str(photos), str(mixed), *OPTIONS, *secret, "--format", kind]
        assert main(["mix", *arguments, *engine]) == 0
        trees.append(tree(mixed))
    assert len(trees[0]) > 2
    assert all(one == trees[0] for one in trees)


def test_beam_workers_fill_one_vault(photos, tmp_path, capsys):
    mixed, vault, back = (tmp_path / name for name in ("mixed", "vault", "back"))
    kept = ["--vault", str(vault)]
    (photos / "cats" / "anna-0.txt").write_text("no image")
    arguments = [str(photos), str(mixed), *OPTIONS, *kept, "--engine", "beam"]
    assert main(["mix", *arguments]) == 1
    assert "1 of shard train-00000" in capsys.readouterr().err
    assert [path.name for path in vault.iterdir()] == ["vault.sqlite"]
    assert main(["unmix", str(mixed), str(back), *kept]) == 0
    for number in range(COUNT):
        name = f"{'cats' if number % 3 else 'dogs'}/anna-{number}.png"
        np.testing.assert_array_equal(read_image(back / name), picture(number))


class Crash(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


@pytest.mark.parametrize("kind", ["folder", "tfds", "webdataset"])
@pytest.mark.parametrize("moment", [0, 1, 2, 3, 5, 7])
def test_stopped_anywhere_it_goes_on_to_the_same_bytes(
    photos, tmp_path, secret, monkeypatch, kind, moment
):
    arguments = [*OPTIONS, *secret, "--vault", str(tmp_path / "vault")]
    arguments += ["--format", kind]
    whole, mixed = tmp_path / "whole", tmp_path / "mixed"
    assert main(["mix", str(photos), str(whole), *arguments]) == 0
    left = moment

    def crash_at(function):
        def stopped(*given, **named):
            nonlocal left
            if left == 0:
                raise Crash
            left -= 1
            return function(*given, **named)

        return stopped

    with monkeypatch.context() as patch:
        # Whatever gives a file its final name.
        patch.setattr(os, "replace", crash_at(os.replace))
        patch.setattr("pathlib.Path.replace", crash_at(type(photos).replace))
        # Who is killed tidies nothing up.
        patch.setattr("pathlib.Path.unlink", lambda *_, **__: None)
        with pytest.raises(Crash):
            main(["mix", str(photos), str(mixed), *arguments])
    wanted = tree(whole)
    there = {n: d for n, d in tree(mixed).items() if not n.startswith(WORK)}
    assert there.items() <= wanted.items()
    assert "release.json" not in there
    assert main(["mix", str(photos), str(mixed), *arguments]) == 0
    assert tree(mixed) == wanted
    # Once more changes nothing.
    assert main(["mix", str(photos), str(mixed), *arguments]) == 0
    assert tree(mixed) == wanted


@pytest.fixture
def interruptible():
    """Lets processes be interrupted even where a shell started this one with `&`."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


WAITS = """
import runpy, time
from vmixjax.release.job import ReleaseJob

mix = ReleaseJob.mix

def mix_one_and_wait(*arguments):
    mix(*arguments)
    print("mixed one", flush=True)
    time.sleep(60)

ReleaseJob.mix = mix_one_and_wait
runpy.run_module("vmixjax.cli", run_name="__main__")
"""
"""A run that is in the middle of its work for as long as it takes to interrupt it."""


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_is_one_line(photos, tmp_path, secret):
    mixed = tmp_path / "mixed"
    arguments = ["mix", photos, mixed, *OPTIONS, *secret, "--shard-size", "1"]
    with subprocess.Popen(
        [sys.executable, "-c", WAITS, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stdout.readline() == "mixed one\n"
        run.send_signal(signal.SIGINT)
        _, said = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "interrupted" in said
    assert "Traceback" not in said
    assert not list(mixed.rglob("*.part"))


def crash_at_the_end(photos, mixed, monkeypatch):
    """Mixes with a secret that is forgotten, but for the manifest."""

    def crash(*_):
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr("vmixjax.release.mix.write_manifest", crash)
        with pytest.raises(Crash):
            main(["mix", str(photos), str(mixed), *OPTIONS])


def test_a_forgotten_secret_means_starting_over(photos, tmp_path, monkeypatch, capsys):
    mixed = tmp_path / "mixed"
    crash_at_the_end(photos, mixed, monkeypatch)
    first = {n: d for n, d in tree(mixed).items() if not n.startswith(WORK)}
    assert len(first) == COUNT
    capsys.readouterr()
    assert main(["mix", str(photos), str(mixed), *OPTIONS]) == 0
    assert "that secret is forgotten" in capsys.readouterr().err
    second = tree(mixed)
    assert len(second) == COUNT + 1
    assert not set(second.items()) & set(first.items())


def test_starting_over_leaves_no_file_that_damaged_notes_hide(
    photos, tmp_path, monkeypatch, capsys
):
    mixed = tmp_path / "mixed"
    crash_at_the_end(photos, mixed, monkeypatch)
    note = sorted((mixed / WORK).glob("train-*.json"))[0]
    told = json.loads(note.read_text())
    name = sorted(told["note"]["files"])[0]
    told["note"]["files"][name] = "0" * 64
    note.write_text(json.dumps(told))
    before = tree(mixed)
    capsys.readouterr()
    assert main(["mix", str(photos), str(mixed), *OPTIONS]) == 2
    assert f"{name} is not what the notes on DST" in capsys.readouterr().err
    assert tree(mixed) == before


def test_another_source_or_secret_does_not_go_on(
    photos, tmp_path, secret, monkeypatch, capsys
):
    mixed = tmp_path / "mixed"
    arguments = ["mix", str(photos), str(mixed), *OPTIONS]

    def crash(*_):
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr("vmixjax.release.mix.write_manifest", crash)
        with pytest.raises(Crash):
            main([*arguments, *secret])
    before = tree(mixed)
    (tmp_path / "other").write_bytes(bytes(range(1, 33)))
    (tmp_path / "other").chmod(0o600)
    for more in ([], ["--secret-file", str(tmp_path / "other")]):
        capsys.readouterr()
        assert main([*arguments, *more]) == 2
        assert "was begun with another" in capsys.readouterr().err
    write_png(photos / "cats/anna-1.png", picture(1)[:8])
    assert main([*arguments, *secret]) == 2
    assert "was begun with another source" in capsys.readouterr().err
    assert tree(mixed) == before


def test_a_source_that_vanishes_stops_the_run(photos, tmp_path, secret, capsys):
    mixed = tmp_path / "mixed"
    arguments = ["mix", str(photos), str(mixed), *OPTIONS, *secret]
    away = photos / "dogs/anna-6.png"
    data = away.read_bytes()

    class Gone:
        def __init__(self, function):
            self.function = function

        def __call__(self, path, **options):
            away.unlink(missing_ok=True)
            return self.function(path, **options)

    from vmixjax.data.formats import folder

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folder, "read_image", Gone(folder.read_image))
        assert main(arguments) == 2
    assert "was there and is gone; bring it back" in capsys.readouterr().err
    assert not (mixed / "release.json").exists()
    away.write_bytes(data)
    assert main(arguments) == 0
    assert main(["verify", str(mixed)]) == 0


@pytest.mark.parametrize(
    ("kind", "room"), [("folder", 800), ("tfds", 5_000), ("webdataset", 5_000)]
)
def test_a_full_disk_is_one_line_and_leaves_nothing_partial(
    photos, tmp_path, kind, room
):
    # Noise takes more than 800 bytes as PNG, the other pictures less.
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3))
    write_png(photos / "cats" / "zz.png", noise.astype(np.uint8))
    mixed = tmp_path / "mixed"
    script = (
        "import resource, runpy\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}))\n"
        "runpy.run_module('vmixjax.cli', run_name='__main__', alter_sys=True)\n"
    )
    options = ["--tile-size", "8", "--shard-size", "10", "--format", kind]
    options.append("--keep-names")
    run = subprocess.run(
        [sys.executable, "-c", script, "mix", photos, mixed, *options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2, run.stderr
    assert "Traceback" not in run.stderr
    last = run.stderr.strip().splitlines()[-1]
    assert "too large" in last.lower() or "check the disk" in last
    assert not (mixed / "release.json").exists()
    for name in tree(mixed):
        assert name.startswith(WORK) or "zz" not in name
        assert not name.endswith(".part")


def test_a_disk_that_fills_up_says_what_to_do(
    photos, tmp_path, secret, monkeypatch, capsys
):
    mixed, left = tmp_path / "mixed", 6
    arguments = ["mix", str(photos), str(mixed), *OPTIONS, *secret]
    fsync = os.fsync

    def full(descriptor):
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr("vmixjax.data.writing.os.fsync", full)
        assert main(arguments) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == (
        f"vmixjax: {mixed}: No space left on device; make room, and run the same "
        f"command again"
    )
    assert not [name for name in tree(mixed) if name.endswith(".part")]
    assert main(arguments) == 0
    assert main(["verify", str(mixed)]) == 0


def test_a_folder_that_cannot_be_written_is_one_line(photos, tmp_path, capsys):
    (tmp_path / "file").touch()
    mixed = tmp_path / "file" / "mixed"
    assert main(["mix", str(photos), str(mixed), *OPTIONS]) == 2
    said = capsys.readouterr().err
    assert "Not a directory" in said
    assert "Traceback" not in said


def write_planted(folder, source, files):
    """Image files by name, in a folder, in a TFDS data set, or in a tar file."""
    if source == "tfds":
        features = {
            "image": tfds.features.Image(shape=(16, 16, 3)),
            "file_name": tfds.features.Text(),
            "uri": tfds.features.Scalar(np.str_),
        }
        write_tfds(
            folder,
            features,
            [
                {"image": io.BytesIO(data), "file_name": name, "uri": name}
                for name, data in files.items()
            ],
        )
        return
    folder.mkdir(parents=True)
    if source == "folder":
        for name, data in files.items():
            (folder / name).write_bytes(data)
        return
    with tarfile.open(folder / "PLANTED.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(f"PLANTED/{name}")
            member.size, member.mtime = len(data), 10**9
            member.uname = member.gname = "PLANTED-owner"
            member.pax_headers = {"comment": "PLANTED-pax"}
            tar.addfile(member, io.BytesIO(data))


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("folder", "folder"),
        ("folder", "tfds"),
        ("folder", "webdataset"),
        ("tfds", "tfds"),
        ("tfds", "webdataset"),
        ("webdataset", "webdataset"),
        ("webdataset", "folder"),
    ],
)
def test_nothing_that_was_planted_gets_out(tmp_path, source, kind):
    folder, mixed = tmp_path / "originals" / "pets", tmp_path / "mixed"
    exif = Image.Exif()
    exif[0x010F], exif[0x010E] = "PLANTED-camera", "PLANTED-exif"
    thumbnail = stored(picture(9), format="JPEG").getvalue()
    options = {
        "exif": exif.tobytes() + thumbnail,
        "icc_profile": b"PLANTED-icc",
        "xmp": b"<x:xmpmeta>PLANTED-xmp</x:xmpmeta>",
    }
    jpeg = stored(
        picture(0), format="JPEG", comment=b"PLANTED-comment", **options
    ).getvalue()
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", "PLANTED-text")
    text.add_text("Comment", "PLANTED-ztxt", zip=True)
    text.add_itxt("Title", "PLANTED-itxt")
    png = stored(
        picture(1), format="PNG", pnginfo=text, exif=exif, icc_profile=b"PLANTED-icc"
    )
    planted = {
        "PLANTED-name-one.jpg": jpeg + b"PLANTED-behind",
        "PLANTED-name-two.png": png.getvalue() + b"PLANTED-behind",
    }
    write_planted(folder, source, planted)
    src = f"tfds:{folder}" if source == "tfds" else str(folder)
    sentences = [b"PLANTED", thumbnail[:64], b"originals", b"JFIF", b"Exif", b"tEXt"]
    sentences += [b"zTXt", b"iTXt", b"eXIf", b"iCCP", b"tIME", b"xmpmeta"]
    assert main(["mix", src, str(mixed), *OPTIONS, "--format", kind]) == 0
    files = [path for path in mixed.rglob("*") if path.is_file()]
    assert len(files) >= 2
    for path in files:
        data = path.read_bytes()
        for sentence in sentences:
            assert sentence not in data, (path.name, sentence)
        assert "PLANTED" not in path.name
    assert main(["verify", str(mixed), "--source", src]) == 0


def test_pixels_hidden_in_other_features_need_a_decision(tmp_path, capsys):
    folder = tmp_path / "pets"
    mask = tfds.features.Image(shape=(16, 16, 1), encoding_format="png")
    features = {"image": tfds.features.Image(shape=(16, 16, 3)), "mask": mask}
    pictures = [
        {"image": stored(picture(i), format="PNG"), "mask": picture(i)[..., :1]}
        for i in range(2)
    ]
    for example in pictures:
        example["mask"] = stored(example["mask"][..., 0], format="PNG")
    write_tfds(folder, features, pictures)
    arguments = ["mix", f"tfds:{folder}", str(tmp_path / "mixed"), *OPTIONS]
    assert main(arguments) == 2
    ways = "--drop mask, let it through with --keep mask, or keep one class"
    assert ways in capsys.readouterr().err
    assert not (tmp_path / "mixed").exists()
    assert main([*arguments, "--keep", "mask"]) == 0
    source = tfds.builder_from_directory(tmp_path / "mixed").as_data_source("train")
    masks = [example["mask"].tolist() for example in source]
    for i in range(2):
        example = source[masks.index(picture(i)[..., :1].tolist())]
        assert (example["image"] != picture(i)).mean() > 0.3


def test_numbers_that_may_name_people_need_a_decision(tmp_path, capsys):
    folder, mixed = tmp_path / "pets", tmp_path / "mixed"
    features = {
        "image": tfds.features.Image(shape=(16, 16, 3)),
        "patient_id": tfds.features.Scalar(np.int64),
        "owner_name": tfds.features.Scalar(np.str_),
    }
    example = {"image": stored(picture(0), format="PNG"), "patient_id": 4711}
    write_tfds(folder, features, [{**example, "owner_name": "Anna"}])
    arguments = ["mix", f"tfds:{folder}", str(mixed), *OPTIONS]
    assert main(arguments) == 2
    assert "--drop patient_id, or let it through" in capsys.readouterr().err
    assert main([*arguments, "--keep", "patient_id"]) == 0
    (made,) = tfds.builder_from_directory(mixed).as_data_source("train")
    assert (int(made["patient_id"]), made["owner_name"]) == (4711, b"00000")


def test_names_that_lead_out_of_dst_are_left_out(tmp_path, capsys):
    with tarfile.open(tmp_path / "pets.tar", "w") as tar:
        for number, key in enumerate(("good", "../../bad", "UNFINISHED/bad", "/bad")):
            data = encode_png(picture(number))
            member = tarfile.TarInfo(f"{key}.png")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    arguments = ["mix", str(tmp_path / "pets.tar"), *OPTIONS, "--keep-names"]
    for kind, good in (("folder", "good.png"), ("webdataset", "train-000000.tar")):
        inside = tmp_path / "deep" / kind
        assert main([*arguments, str(inside), "--format", kind]) == 1
        said = capsys.readouterr().err
        assert said.count("leads out of DST") == 2
        assert "UNFINISHED has a meaning" in said
        assert set(tree(inside)) == {good, "release.json"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "pets.tar"]


@pytest.mark.parametrize("kind", ["folder", "tfds", "webdataset"])
def test_that_a_release_is_mixed_again_is_told(photos, tmp_path, capsys, kind):
    mixed = tmp_path / "mixed"
    assert main(["mix", str(photos), str(mixed), *OPTIONS, "--format", kind]) == 0
    assert "is a release" not in capsys.readouterr().err
    again = ["mix", f"{kind}:{mixed}", str(tmp_path / "again"), *OPTIONS]
    assert main(again) == 0
    assert f"SRC {mixed} is a release: its images are mixed already" in (
        capsys.readouterr().err
    )


def test_a_release_does_not_lie_in_a_data_set_that_is_named(tmp_path, capsys):
    folder = tmp_path / "data" / "pets" / "1.0.0"
    features = {"image": tfds.features.Image(shape=(16, 16, 3))}
    write_tfds(folder, features, [{"image": stored(picture(0), format="PNG")}])
    arguments = ["mix", "tfds:pets", "--data-dir", str(tmp_path / "data"), *OPTIONS]
    before = tree(tmp_path)
    for dst, words in (
        (folder / "mixed", "DST .* lies inside SRC"),
        (tmp_path / "data", "SRC .* lies inside DST"),
    ):
        assert main([*arguments, str(dst)]) == 2
        assert re.search(words, capsys.readouterr().err)
    assert tree(tmp_path) == before


def test_members_of_tars_need_a_decision(tars, tmp_path, capsys):
    arguments = ["mix", str(tars), str(tmp_path / "mixed"), *OPTIONS]
    assert main(arguments) == 2
    assert "--drop json, or let them through" in capsys.readouterr().err
    with tarfile.open(tars / "part-2.tar", "w") as tar:
        data = encode_png(picture(0))
        member = tarfile.TarInfo("anna/0.png")
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
    assert main([*arguments, "--drop", "json"]) == 2
    assert "another sample with the key 'anna/0'" in capsys.readouterr().err
    (tars / "part-2.tar").write_bytes(b"garbage" * 999)
    assert main([*arguments, "--drop", "json"]) == 2
    assert "part-2.tar is no whole tar file" in capsys.readouterr().err


def test_splits_of_a_folder_stay_splits(photos, tmp_path):
    for split in ("train", "test"):
        (tmp_path / "data" / split / "cats").mkdir(parents=True)
        for i in range(3):
            path = tmp_path / "data" / split / "cats" / f"{i}.png"
            write_png(path, picture(i + 5 * (split == "test")))
    mixed = tmp_path / "mixed"
    arguments = ["mix", str(tmp_path / "data"), str(mixed), *OPTIONS]
    assert main([*arguments, "--format", "tfds"]) == 0
    info = tfds.builder_from_directory(mixed).info
    assert {s: i.num_examples for s, i in info.splits.items()} == {
        "train": 3,
        "test": 3,
    }
    other = tmp_path / "other"
    arguments = ["mix", str(tmp_path / "data"), str(other), *OPTIONS]
    assert main([*arguments, "--splits", "test"]) == 0
    assert sorted(tree(other)) == [
        "release.json",
        *(f"test/cats/0000{i}.png" for i in range(3)),
    ]


def test_a_log_gets_a_line_now_and_then(photos, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("vmixjax.release.progress._SECONDS", 0.0)
    assert main(["mix", str(photos), str(tmp_path / "mixed"), *OPTIONS]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) >= 3
    assert all(line.startswith("mixing:") for line in lines)
    assert "10/10" in lines[-1]
    assert "image/s" in lines[-1]

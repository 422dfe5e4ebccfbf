"""Releases as Pascal VOC and YOLO have data sets: mixed, verified, killed, restored."""

import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import box_sets
import numpy as np
import pytest
import tensorflow_datasets as tfds
from box_sets import png, thing, write, write_voc, write_yolo, xml
from small_folders import tree
from strangers import write_tfds

from vmixjax.cli import main
from vmixjax.data import encode_png
from vmixjax.data.writing import WORK, sha256

OPTIONS = ["--tile-size", "8", "--shard-size", "2"]
SPLITS = {"train": ["b-anna", "a-anna", "c-anna"], "val": ["e-anna"], "test": []}
NAMES = ["zebra", "ant", "bee"]
READ = {"voc": box_sets.read_voc, "yolo": box_sets.read_yolo}


def boxes_of(number):
    """Boxes of an example, at places that padding to whole tiles rounds."""
    ends = [(1, 2, 9, 13), (3, 5, 20, 18)][: number % 3]
    return [(NAMES[(number + k) % 3], *end) for k, end in enumerate(ends)]


def write_pets(folder, height=20, width=18):
    """A TFDS data set whose images are not whole tiles."""
    features = {
        "image": tfds.features.Image(shape=(height, width, 3), encoding_format="png"),
        "objects": tfds.features.Sequence(
            {
                "bbox": tfds.features.BBoxFeature(),
                "label": tfds.features.ClassLabel(names=NAMES),
            }
        ),
    }
    examples = [
        {
            "image": io.BytesIO(encode_png(box_sets.picture(number, height, width))),
            "objects": [
                {
                    "bbox": tfds.features.BBox(
                        ymin / height, xmin / width, ymax / height, xmax / width
                    ),
                    "label": name,
                }
                for name, ymin, xmin, ymax, xmax in boxes_of(number)
            ],
        }
        for number in range(5)
    ]
    return write_tfds(folder, features, examples)


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret"
    path.write_bytes(bytes(range(32)))
    path.chmod(0o600)
    return ["--secret-file", str(path)]


def run(*arguments):
    return main([str(argument) for argument in arguments])


def in_shares(found, kind):
    """Boxes as shares, whatever they are read as: {name: (class, corners...)}."""
    boxes = {}
    for name, (_, image, some) in found.items():
        height, width = image.shape[:2]
        sides = (height, width, height, width) if kind == "voc" else (1, 1, 1, 1)
        boxes[name] = [
            (one[0], *(end / side for end, side in zip(one[1:5], sides, strict=True)))
            for one in some
        ]
    return boxes


def as_set(boxes):
    """Boxes of images in any order, as float32 has them."""
    return sorted(
        str([(name, *map(float, np.float32(ends))) for name, *ends in some])
        for some in boxes
    )


@pytest.mark.parametrize("kind", ["voc", "yolo"])
def test_as_it_came_it_comes_back(tmp_path, capsys, kind):
    make = {"voc": write_voc, "yolo": write_yolo}[kind]
    src = make(tmp_path / "anna", SPLITS)
    mixed, vault, back = (tmp_path / name for name in ("mixed", "vault", "back"))
    assert run("mix", f"{kind}:{src}", mixed, *OPTIONS, "--vault", vault) == 0
    there, wanted = READ[kind](mixed), READ[kind](src)
    assert as_set(in_shares(there, kind).values()) == as_set(
        in_shares(wanted, kind).values()
    )
    assert sorted(split for split, *_ in there.values()) == ["train"] * 3 + ["val"]
    if kind == "voc":
        assert sorted(there) == ["00000", "00001", "00002", "val_00000"]
        assert (mixed / "ImageSets/Main/test.txt").read_bytes() == b""
        # Flags go with their boxes.
        assert {box[5] for _, _, some in there.values() for box in some} == {"0", "1"}
    written = b"".join(tree(mixed).values()).lower()
    assert not any(word in written for word in (b"anna", b"/home", b"left", b"head"))
    capsys.readouterr()
    assert run("verify", mixed, "--vault", vault, "--source", f"{kind}:{src}") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "good"
    assert run("unmix", mixed, back, "--vault", vault) == 0
    restored = READ[kind](back)
    assert restored.keys() == wanted.keys()
    for name, (split, image, boxes) in wanted.items():
        assert split == restored[name][0]
        shares = [in_shares({"": found[name]}, kind) for found in (wanted, restored)]
        assert as_set(shares[0].values()) == as_set(shares[1].values())
        assert kind == "yolo" or boxes == restored[name][2]
        np.testing.assert_array_equal(restored[name][1], image)
    if kind == "voc":
        lists = "ImageSets/Main/train.txt"
        assert (back / lists).read_bytes() == (src / lists).read_bytes()
    # One alone, by its old name.
    old = next(iter(wanted)) if kind == "yolo" else "JPEGImages/e-anna.png"
    one = tmp_path / "one"
    assert run("unmix", mixed, one, "--vault", vault, "--id", old) == 0
    assert [name for name in tree(one) if name.endswith(".png")] == [old]


@pytest.mark.parametrize("kind", ["voc", "yolo"])
@pytest.mark.parametrize("fit", ["pad", "crop"])
def test_boxes_of_tfds_go_there_and_back(tmp_path, kind, fit):
    src = write_pets(tmp_path / "pets")
    mixed, vault, back = (tmp_path / name for name in ("mixed", "vault", "back"))
    keep = ["--vault", vault, "--format", kind, "--fit", fit, "--keep-order"]
    assert run("mix", f"tfds:{src}", mixed, *OPTIONS, *keep) == 0
    height, width = (24, 24) if fit == "pad" else (16, 16)
    found = READ[kind](mixed)
    assert len(found) == 5
    for number, (name, (_, image, _)) in enumerate(sorted(found.items())):
        assert image.shape == (height, width, 3)
        cut = [
            (label, *np.minimum(ends, [height, width] * 2))
            for label, *ends in boxes_of(number)
        ]
        expected = [
            (label, *(np.array(ends) / ([height, width] * 2))) for label, *ends in cut
        ]
        there = in_shares(found, kind)[name]
        assert [box[0] for box in there] == [box[0] for box in expected]
        corners = [[box[1:] for box in some] for some in (there, expected)]
        np.testing.assert_allclose(*corners, rtol=0, atol=2**-22)
    if kind == "voc":
        texts = [path.read_text() for path in mixed.glob("Annotations/*.xml")]
        assert not any(
            "." in line for text in texts for line in text.split("<name>")[1:]
        )
    assert run("verify", mixed, "--vault", vault) == 0
    assert run("unmix", mixed, back, "--vault", vault) == 0
    restored = READ[kind](back)
    prefix, suffix = ("train/", "") if kind == "voc" else ("images/train/", ".png")
    for number in range(5):
        _, image, _ = restored[f"{prefix}{number}{suffix}"]
        np.testing.assert_array_equal(image, box_sets.picture(number, 20, 18))
        there = in_shares(restored, kind)[f"{prefix}{number}{suffix}"]
        right = [
            (name, a / 20, b / 18, c / 20, d / 18)
            for name, a, b, c, d in boxes_of(number)
        ]
        assert as_set([there]) == as_set([right])


def test_each_format_gives_the_next_its_boxes(tmp_path):
    """What VOC has becomes YOLO, TFDS, and VOC again: the same boxes and classes."""
    src = write_voc(tmp_path / "voc", SPLITS)
    chain = [(f"voc:{src}", "yolo", ["--drop", "is_difficult"]), (None, "tfds", [])]
    place = None
    for source, kind, more in [*chain, (None, "voc", [])]:
        mixed = tmp_path / f"{kind}-again"
        arguments = [source or place, mixed, "--format", kind, "--keep-order", *more]
        assert run("mix", *arguments, *OPTIONS) == 0
        place = f"{kind}:{mixed}"
    first = in_shares(box_sets.read_voc(src), "voc")
    last = in_shares(box_sets.read_voc(tmp_path / "voc-again"), "voc")
    assert as_set(first.values()) == as_set(last.values())


@pytest.mark.parametrize("kind", ["voc", "yolo"])
def test_names_and_order_are_kept_where_asked(tmp_path, kind):
    make = {"voc": write_voc, "yolo": write_yolo}[kind]
    src, mixed = make(tmp_path / "src", SPLITS), tmp_path / "mixed"
    keep = ["--keep-names", "--keep-order"]
    assert run("mix", f"{kind}:{src}", mixed, *OPTIONS, *keep) == 0
    assert READ[kind](mixed).keys() == READ[kind](src).keys()
    if kind == "voc":
        lists = "ImageSets/Main/train.txt"
        assert (mixed / lists).read_text() == (src / lists).read_text()


@pytest.mark.parametrize("kind", ["voc", "yolo"])
def test_interrupted_anywhere_it_goes_on_to_the_same_bytes(
    tmp_path, secret, monkeypatch, kind
):
    make = {"voc": write_voc, "yolo": write_yolo}[kind]
    src = make(tmp_path / "src", {"train": "abcd", "val": "e", "test": []})
    whole, copies, flush = tmp_path / "whole", [], os.fsync

    def copying(descriptor):
        flush(descriptor)
        # Other threads may be about to remove or rename what is there.
        copy = tmp_path / f"copy-{len(copies)}"
        copies.append(copy)
        shutil.copytree(whole, copy, ignore_dangling_symlinks=True)

    options = [*OPTIONS, *secret, "--workers", "1"]
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", copying)
        assert run("mix", f"{kind}:{src}", whole, *options) == 0
    wanted = tree(whole)
    assert len(copies) > 15
    for copy in copies[1::4] + copies[-3:]:
        assert run("mix", f"{kind}:{src}", copy, *options) == 0
        assert tree(copy) == wanted


def test_killed_it_goes_on_and_is_restored(tmp_path):
    src = write_voc(tmp_path / "src", {"train": [f"{n:02d}" for n in range(40)]})
    mixed, vault, back = (tmp_path / name for name in ("mixed", "vault", "back"))
    arguments = [f"voc:{src}", mixed, *OPTIONS, "--vault", vault, "--allow-overlaps"]
    command = [sys.executable, "-m", "vmixjax.cli", "mix", *map(str, arguments)]
    killed = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while killed.poll() is None and len(list((mixed / WORK).glob("*-*.json"))) < 3:
        time.sleep(0.001)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (mixed / "release.json").exists()
    assert run("mix", *arguments) == 0
    assert run("verify", mixed, "--vault", vault) == 0
    assert run("unmix", mixed, back, "--vault", vault) == 0
    restored, wanted = box_sets.read_voc(back), box_sets.read_voc(src)
    assert restored.keys() == wanted.keys()
    for name, (_, image, _) in wanted.items():
        np.testing.assert_array_equal(restored[name][1], image)


def told(capsys, mixed, vault=()):
    capsys.readouterr()
    status = run("verify", mixed, *vault)
    return status, capsys.readouterr().out


@pytest.mark.parametrize(
    ("kind", "name", "change", "problem"),
    [
        ("voc", "Annotations/00000.xml", (b"<size>", b"<a>1</a><size>"), "than boxes"),
        ("voc", "Annotations/00000.xml", (b"00000", b"anna"), "more than boxes in"),
        ("voc", "Annotations/00000.xml", (b"</annot", b"<!-- x --></annot"), "boxes"),
        ("voc", "ImageSets/Main/train.txt", (b"0\n", b"0  \n"), "lists more than"),
        ("voc", "classes.txt", (b"ant\n", b"ant\n\n"), "classes.txt lists more than"),
        ("yolo", "labels/train/00001.txt", (b" ", b"  "), "more than boxes in labels"),
        ("yolo", "data.yaml", (b"nc", b"# anna\nnc"), "data.yaml says more than"),
    ],
)
def test_what_files_carry_beyond_boxes_is_told(
    tmp_path, capsys, kind, name, change, problem
):
    make = {"voc": write_voc, "yolo": write_yolo}[kind]
    src, mixed = make(tmp_path / "src", SPLITS), tmp_path / "mixed"
    assert run("mix", f"{kind}:{src}", mixed, *OPTIONS, "--keep-order") == 0
    path, manifest = mixed / name, mixed / "release.json"
    data = path.read_bytes()
    assert change[0] in data
    path.write_bytes(data.replace(*change, 1))
    status, said = told(capsys, mixed)
    assert status == 1
    assert f"WRONG: {name} was changed" in said
    # With a manifest that is made to agree.
    text = manifest.read_text().replace(hashlib.sha256(data).hexdigest(), sha256(path))
    manifest.write_text(text)
    status, said = told(capsys, mixed)
    assert status == 1
    assert "was changed" not in said
    assert problem in said


@pytest.mark.parametrize("kind", ["voc", "yolo"])
def test_other_boxes_are_not_restored(tmp_path, capsys, kind):
    make = {"voc": write_voc, "yolo": write_yolo}[kind]
    src, mixed, vault = (tmp_path / name for name in ("src", "mixed", "vault"))
    make(src, SPLITS)
    keep = ["--vault", vault, "--keep-order"]
    assert run("mix", f"{kind}:{src}", mixed, *OPTIONS, *keep) == 0
    name = {"voc": "Annotations/00000.xml", "yolo": "labels/train/00000.txt"}[kind]
    old, new = {"voc": (b">1<", b">2<"), "yolo": (b"0 0.5", b"1 0.5")}[kind]
    data = (mixed / name).read_bytes()
    assert old in data
    (mixed / name).write_bytes(data.replace(old, new, 1))
    _, said = told(capsys, mixed, ["--vault", vault])
    assert "has another label, or other things beside its image" in said
    assert run("unmix", mixed, tmp_path / "back", "--vault", vault) == 1
    assert len(READ[kind](tmp_path / "back")) == 3


def test_faults_are_counted_and_strict_stops_at_them(tmp_path, capsys):
    src = write_voc(tmp_path / "src", {"train": ["a", "b", "c"]})
    write(src, {"Annotations/b.xml": xml(thing("ant", 1, 1, 99, 9))})
    (src / "JPEGImages/c.png").unlink()
    assert run("mix", f"voc:{src}", tmp_path / "mixed", *OPTIONS) == 1
    lines = capsys.readouterr().err.splitlines()
    skipped = sorted(line for line in lines if "skipped: " in line)
    assert len(skipped) == 2
    assert "b.xml has box 0" in skipped[0]
    assert "c is not there, though Annotations/c.xml is of it" in skipped[1]
    manifest = json.loads((tmp_path / "mixed/release.json").read_text())
    assert (manifest["images"], manifest["skipped"]) == (1, 2)
    assert run("mix", f"voc:{src}", tmp_path / "strict", *OPTIONS, "--strict") == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith("(--strict)")


@pytest.mark.parametrize("kind", ["voc", "yolo"])
def test_classes_of_images_are_refused_before_anything_is_written(
    tmp_path, capsys, kind
):
    write(tmp_path / "src", {"cats/a.png": png(0), "dogs/b.png": png(1)})
    arguments = [tmp_path / "src", tmp_path / "mixed", "--format", kind]
    assert run("mix", *arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"--format {kind} cannot hold the field label: choose --format tfds" in line
    assert not (tmp_path / "mixed").exists()


@pytest.mark.parametrize("kind", ["voc", "yolo"])
def test_without_boxes_it_is_a_folder_of_splits(tmp_path, kind):
    make = {"voc": write_voc, "yolo": write_yolo}[kind]
    src, mixed = make(tmp_path / "src", SPLITS), tmp_path / "mixed"
    drop = ["--drop", "objects", "--format", "folder"]
    assert run("mix", f"{kind}:{src}", mixed, *OPTIONS, *drop) == 0
    names = [name for name in tree(mixed) if name.endswith(".png")]
    expected = [*(f"train/0000{n}.png" for n in range(3)), "val/00000.png"]
    assert sorted(names) == expected
    back = ["--format", kind, "--drop", "objects"]
    assert run("mix", f"{kind}:{src}", tmp_path / "none", *OPTIONS, *back) == 2


@pytest.mark.parametrize("kind", ["voc", "yolo"])
def test_boxes_that_changed_are_changes_of_the_source(tmp_path, capsys, kind):
    make = {"voc": write_voc, "yolo": write_yolo}[kind]
    src = make(tmp_path / "src", SPLITS)
    arguments = [f"{kind}:{src}", tmp_path / "mixed", "--vault", tmp_path / "vault"]
    assert run("mix", *arguments, *OPTIONS) == 0
    name = {"voc": "Annotations/a-anna.xml", "yolo": "labels/train/a-anna.txt"}[kind]
    text = (src / name).read_text()
    (src / name).write_text(text)
    os.utime(src / name, (1, 1))
    assert run("mix", *arguments, *OPTIONS) == 0
    new = text.replace("12", "13") if kind == "voc" else text.replace("0.25", "0.24")
    (src / name).write_text(new)
    capsys.readouterr()
    assert run("mix", *arguments, *OPTIONS) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "1 changed (" in line
    assert "mix it into another folder" in line
    assert "--update" not in line
    assert run("mix", *arguments, *OPTIONS, "--update") == 2

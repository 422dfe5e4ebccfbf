"""What is checked, counted and refused of releases as VOC and YOLO have data sets."""

import hashlib
import json
import os

import pytest
from box_sets import MAKE, READ, png, thing, write, write_voc, xml
from small_folders import tree

from vmixjax.cli import main
from vmixjax.data.writing import sha256

OPTIONS = ["--tile-size", "8", "--shard-size", "2"]
SPLITS = {"train": ["b-anna", "a-anna", "c-anna"], "val": ["e-anna"], "test": []}


def run(*arguments):
    return main([str(argument) for argument in arguments])


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
    src, mixed = MAKE[kind](tmp_path / "src", SPLITS), tmp_path / "mixed"
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
    src, mixed, vault = (tmp_path / name for name in ("src", "mixed", "vault"))
    MAKE[kind](src, SPLITS)
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
    src, mixed = MAKE[kind](tmp_path / "src", SPLITS), tmp_path / "mixed"
    drop = ["--drop", "objects", "--format", "folder"]
    assert run("mix", f"{kind}:{src}", mixed, *OPTIONS, *drop) == 0
    names = [name for name in tree(mixed) if name.endswith(".png")]
    expected = [*(f"train/0000{n}.png" for n in range(3)), "val/00000.png"]
    assert sorted(names) == expected
    back = ["--format", kind, "--drop", "objects"]
    assert run("mix", f"{kind}:{src}", tmp_path / "none", *OPTIONS, *back) == 2


@pytest.mark.parametrize("kind", ["voc", "yolo"])
def test_boxes_that_changed_are_changes_of_the_source(tmp_path, capsys, kind):
    src = MAKE[kind](tmp_path / "src", SPLITS)
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


def test_an_image_of_another_split_is_not_restored_into_it(tmp_path, capsys):
    src, mixed = MAKE["yolo"](tmp_path / "src", SPLITS), tmp_path / "mixed"
    vault = ["--vault", tmp_path / "vault"]
    assert run("mix", f"yolo:{src}", mixed, *OPTIONS, *vault) == 0
    about = mixed / "data.yaml"
    about.write_text(about.read_text().replace("val:", "sal:"))
    back = tmp_path / "back"
    capsys.readouterr()
    assert run("unmix", mixed, back, *vault) == 1
    assert "it was mixed as images/val/00000.png: bring it" in capsys.readouterr().err
    assert {split for split, *_ in READ["yolo"](back).values()} == {"train"}
    one = ["--id", "images/val/e-anna.png", *vault]
    assert run("unmix", mixed, tmp_path / "one", *one) != 0
    assert not (tmp_path / "one").exists()

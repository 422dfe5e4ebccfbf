"""Boxes and masks go with their images through mixing, and come back as they were."""

import dataclasses
import json
import shutil
import struct
import zlib
from functools import partial

import numpy as np
import pytest
import tensorflow_datasets as tfds
from annotated import (
    OBJECTS,
    PARTS,
    boxes_of,
    mask_of,
    read_annotated,
    rewrite,
    same,
    values_of,
    write_pets,
)
from meddler import resum
from small_folders import tree
from strangers import encoded, noise

from vmixjax.cli import main
from vmixjax.config import MixConfig
from vmixjax.data import Mask, Objects, open_source
from vmixjax.release import config as configs
from vmixjax.release import mix as mixing
from vmixjax.release import placed
from vmixjax.release.schema import Note, Tally
from vmixjax.release.vault import Entry

COUNT = 7
SMALL = ["--tile-size", "8", "--shard-size", "3"]
KINDS = ["tfds", "webdataset"]


def mix(*arguments, status=0):
    assert main(["mix", *map(str, arguments), *SMALL]) == status


def refused(capsys, *arguments):
    capsys.readouterr()
    mix(*arguments, status=2)
    (line,) = [
        line
        for line in capsys.readouterr().err.splitlines()
        if line.startswith("vmixjax: ")
    ]
    return line


def said(capsys):
    out, err = capsys.readouterr()
    return [*out.splitlines(), *err.splitlines()]


def restore(mixed, vault, back, *, source=None):
    options = ["--vault", str(vault)]
    original = ["--source", source] if source else []
    assert main(["verify", str(mixed), *options, *original]) == 0
    assert main(["unmix", str(mixed), str(back), *options]) == 0


def picture(number, height=16, width=16):
    return noise(number, height=height, width=width)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("order", [[], ["--keep-order"]])
def test_each_image_keeps_its_boxes(tmp_path, capsys, kind, order):
    source = write_pets(tmp_path / "pets", COUNT)
    mixed, vault, back = (tmp_path / name for name in ("mixed", "vault", "back"))
    mix(source, mixed, "--format", kind, "--vault", vault, *order)
    (line,) = [line for line in said(capsys) if line.startswith("boxes: ")]
    counts = [len(boxes_of(number)["label"]) for number in range(COUNT)]
    images = sum(count > 0 for count in counts)
    assert line.startswith(f"boxes: {sum(counts)} of 3 classes in {images} images; wh")

    of = {values_of(picture(number)): number for number in range(COUNT)}
    found = [(of[values_of(i)], boxes) for i, boxes, _ in read_annotated(mixed)]
    numbers = [number for number, _ in found]
    assert sorted(numbers) == list(range(COUNT))
    assert (numbers == list(range(COUNT))) == bool(order)
    for number, boxes in found:
        assert same(boxes, boxes_of(number))

    manifest = json.loads((mixed / "release.json").read_text())
    assert manifest["fields"] == ["objects"]
    assert manifest["about"]["boxes"] is True
    assert sum(manifest["boxes"].values()) == sum(counts)
    assert manifest["with_boxes"] == images
    others = (("area", "float"), ("is_crowd", "bool"))
    released = open_source(str(mixed))
    assert released.fields == {"objects": Objects(OBJECTS, others)}
    capsys.readouterr()
    restore(mixed, vault, back, source=source)
    assert "checked: boxes lie inside of their images" in said(capsys)
    originals = list(read_annotated(back))
    assert len(originals) == COUNT
    for number, (image, boxes, _) in enumerate(originals):
        # In the order that they had.
        np.testing.assert_array_equal(image, picture(number))
        assert same(boxes, boxes_of(number))


@pytest.mark.parametrize("last", KINDS)
@pytest.mark.parametrize("first", KINDS)
def test_a_release_is_a_source_of_boxes(tmp_path, first, last):
    source = write_pets(tmp_path / "pets", COUNT, mask=True)
    one, two = tmp_path / "one", tmp_path / "two"
    mix(source, one, "--format", first, "--keep-order", "--keep", "parts")
    name = "parts" if first == "tfds" else "parts_mask"
    mix(one, two, "--format", last, "--keep-order", "--keep", name)
    for number, (_, boxes, mask) in enumerate(read_annotated(two)):
        assert same(boxes, boxes_of(number))
        if mask is not None:
            np.testing.assert_array_equal(mask, mask_of(number, 16, 16))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fit", ["pad", "crop"])
def test_boxes_move_with_images_that_become_whole_tiles(tmp_path, capsys, kind, fit):
    height, width = 20, 29
    source = write_pets(tmp_path / "pets", COUNT, height=height, width=width)
    mixed, vault, back = (tmp_path / name for name in ("mixed", "vault", "back"))
    options = ["--format", kind, "--vault", vault, "--fit", fit, "--keep-order"]
    mix(source, mixed, *options)
    told = said(capsys)
    rows, columns = (24, 32) if fit == "pad" else (16, 24)
    gone = 0
    for number, (image, boxes, _) in enumerate(read_annotated(mixed)):
        assert image.shape == (rows, columns, 3)
        # In pixels they are where they were, or end at the edge.
        there = boxes["bbox"].reshape(-1, 4) * np.float64(
            (rows, columns, rows, columns)
        )
        were = boxes_of(number)
        right = were["bbox"].astype(np.float64) * (height, width, height, width)
        right = np.minimum(right, (rows, columns, rows, columns))
        left = (right[:, 2:] > right[:, :2] + 1e-6).all(axis=1)
        gone += (~left).sum()
        np.testing.assert_allclose(there, right[left], atol=1e-4)
        np.testing.assert_array_equal(boxes["label"], were["label"][left])
        np.testing.assert_array_equal(boxes["area"], were["area"][left])
    assert (gone > 0) == (fit == "crop")
    line = f"{gone} boxes were cut off with what they were in"
    assert (line in told) == bool(gone)
    manifest = json.loads((mixed / "release.json").read_text())
    assert manifest.get("boxes_cut_off", 0) == gone
    restore(mixed, vault, back, source=source)
    for number, (image, boxes, _) in enumerate(read_annotated(back)):
        np.testing.assert_array_equal(image, picture(number, height, width))
        assert same(boxes, boxes_of(number))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fit", ["pad", "crop"])
def test_masks_that_are_kept_go_whole(tmp_path, capsys, kind, fit):
    height, width = 20, 29
    source = write_pets(tmp_path / "pets", 4, height=height, width=width, mask=True)
    mixed, vault, back = (tmp_path / name for name in ("mixed", "vault", "back"))
    options = ["--format", kind, "--vault", vault, "--fit", fit, "--keep-order"]
    mix(source, mixed, *options, "--keep", "parts")
    assert any(line.startswith("masks: of every pixel; ") for line in said(capsys))
    for number, (_, _, mask) in enumerate(read_annotated(mixed)):
        right = mask_of(number, height, width)
        padded = np.pad(right, [(0, 4), (0, 3)], mode="edge")
        right = padded if fit == "pad" else right[:16, :24]
        np.testing.assert_array_equal(mask, right)
    if kind == "tfds":
        feature = tfds.builder_from_directory(mixed).info.features["parts"]
        assert type(feature) is tfds.features.LabeledImage
        assert list(feature.names) == [*PARTS]
    restore(mixed, vault, back, source=source)
    assert "checked: masks fit their images, cell by cell" in said(capsys)
    for number, (_, _, mask) in enumerate(read_annotated(back)):
        np.testing.assert_array_equal(mask, mask_of(number, height, width))


def cells_of(mask, side):
    """The class of most pixels of each cell, where void says nothing."""
    rows, columns = mask.shape[0] // side, mask.shape[1] // side
    blocks = mask.reshape(rows, side, columns, side).swapaxes(1, 2)
    counts = np.stack([(blocks == n).sum(axis=(2, 3)) for n in range(len(PARTS))], -1)
    said = counts[..., :-1].argmax(axis=-1)
    return np.where(counts[..., :-1].any(axis=-1), said, len(PARTS) - 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("fit", "cells"), [("pad", 4), ("crop", 0)])
def test_masks_keep_one_class_for_each_cell(tmp_path, capsys, kind, fit, cells):
    height, width = 20, 29
    source = write_pets(tmp_path / "pets", 4, height=height, width=width, mask=True)
    mixed, vault, back = (tmp_path / name for name in ("mixed", "vault", "back"))
    options = ["--format", kind, "--vault", vault, "--fit", fit, "--keep-order"]
    mix(source, mixed, *options, "--mask-cells", cells)
    side = cells or 8
    line = f"masks: one class for {side} x {side} pixels; whoever has"
    assert any(told.startswith(line) for told in said(capsys))
    about = json.loads((mixed / "release.json").read_text())["about"]
    assert about["mask_cells"] == side
    padded = [
        np.pad(mask_of(number, height, width), [(0, 4), (0, 3)], mode="edge")
        for number in range(4)
    ]
    for number, (_, _, mask) in enumerate(read_annotated(mixed)):
        whole = padded[number] if fit == "pad" else padded[number][:16, :24]
        np.testing.assert_array_equal(mask, cells_of(whole, side))
    called = "parts" if kind == "tfds" else "parts_mask"
    known = (3, PARTS) if kind == "tfds" else (None, None)
    assert open_source(str(mixed)).fields[called] == Mask(*known, cells=side)
    restore(mixed, vault, back, source=source)
    # They come back as cells, as many as the original reaches into.
    rows, columns = -(-height // side), -(-width // side)
    for number, (image, _, mask) in enumerate(read_annotated(back)):
        np.testing.assert_array_equal(image, picture(number, height, width))
        expected = cells_of(padded[number], side)[:rows, :columns]
        np.testing.assert_array_equal(mask, expected)


def test_what_masks_show_is_asked_about(tmp_path, capsys):
    source = write_pets(tmp_path / "pets", 2, mask=True)
    line = refused(capsys, source, tmp_path / "mixed")
    assert line == (
        "vmixjax: the mask parts may show what the images show, by outlines: leave it "
        "behind with --drop parts, let it through with --keep parts, or keep one class "
        "for each cell of N x N pixels with --mask-cells N"
    )
    assert not (tmp_path / "mixed").exists()
    mix(source, tmp_path / "mixed", "--drop", "parts", "objects")
    assert not open_source(str(tmp_path / "mixed")).fields
    assert not [line for line in said(capsys) if line.startswith(("masks:", "boxes:"))]


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (
            ["--mask-cells", "3"],
            "must divide the tile of 8 pixels, as 2, 4, 8 do; got 3",
        ),
        (["--mask-cells", "16"], "must divide the tile of 8 pixels, as 2, 4, 8 do; go"),
        (["--mask-cells", "-2"], "must divide the tile of 8 pixels, as 2, 4, 8 do; go"),
        (["--mask-cells", "1"], "is every pixel; to let masks through whole, --keep"),
        (["--mask-cells", "4", "--keep", "parts"], "--keep lets parts through as they"),
        (["--mask-cells", "4", "--drop", "parts"], "SRC has no masks; leave it out"),
    ],
)
def test_cells_have_to_make_sense(tmp_path, capsys, options, fault):
    source = write_pets(tmp_path / "pets", 2, mask=True)
    line = refused(capsys, source, tmp_path / "mixed", *options)
    assert line.startswith("vmixjax: --mask-cells ")
    assert fault in line
    assert not (tmp_path / "mixed").exists()


def test_other_cells_are_another_release(tmp_path, capsys):
    source = write_pets(tmp_path / "pets", 2, mask=True)
    mixed = tmp_path / "mixed"
    options = [source, mixed, "--vault", tmp_path / "vault", "--mask-cells"]
    mix(*options, "4")
    mix(*options, "4")
    line = refused(capsys, *options, "8")
    assert "holds a release with another mask_cells: 4, not 8" in line


def worsen(number, stored):
    """Some boxes and masks that are none."""
    if number == 1:
        stored["objects"]["bbox"][0] = (0.2, 0.2, 0.7, 1.5)
    if number == 2:
        stored["objects"]["bbox"][1] = (0.4, 0.2, 0.4, 0.5)
    if number == 4:
        stored["objects"]["label"][0] = 0
        stored["objects"]["bbox"][0, 0] = np.nan
    if number == 5:
        stored["parts"][3, 4] = 9


@pytest.mark.parametrize("kind", KINDS)
def test_images_with_bad_boxes_or_masks_are_left_out(tmp_path, capsys, kind):
    source = write_pets(tmp_path / "pets", COUNT, mask=True, change=worsen)
    mixed = tmp_path / "mixed"
    options = ["--format", kind, "--keep-order", "--mask-cells", "8"]
    mix(source, mixed, *options, status=1)
    told = [line for line in said(capsys) if "train/" in line]
    assert len(told) == 4
    faults = [
        "train/1 has box 0, [0.2, 0.2, 0.7, 1.5] as ymin, xmin, ymax, xmax, which lies",
        "train/2 has box 1, [0.4, 0.2, 0.4, 0.5] as ymin, xmin, ymax, xmax, which has",
        "train/4 has box 0, [nan, ",
        "train/5: parts has 9 in row 3, column 4, which is no class, of 3; mend that",
    ]
    for line, fault in zip(told, faults, strict=True):
        assert fault in line
    found = [boxes for _, boxes, _ in read_annotated(mixed)]
    left = [boxes_of(number) for number in (0, 3, 6)]
    assert all(map(same, found, left))
    manifest = json.loads((mixed / "release.json").read_text())
    assert (manifest["images"], manifest["skipped"]) == (3, 4)
    line = refused(capsys, source, tmp_path / "strict", *options, "--strict")
    assert "train/1 has box 0" in line
    assert line.endswith("(--strict)")


@pytest.mark.parametrize("kind", KINDS)
def test_it_goes_on_to_the_same_bytes(tmp_path, monkeypatch, kind):
    class Crash(BaseException):
        pass

    source = write_pets(tmp_path / "pets", COUNT, height=20, mask=True)
    (tmp_path / "secret").write_bytes(bytes(range(32)))
    (tmp_path / "secret").chmod(0o600)
    options = ["--secret-file", tmp_path / "secret", "--format", kind]
    options += ["--mask-cells", "4", "--workers"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    mix(source, whole, *options, "1")
    real, done = mixing.ReleaseJob.mix, []

    def crashes(job, *arguments):
        if done:
            raise Crash
        real(job, *arguments)
        done.append(job)

    with monkeypatch.context() as patch:
        patch.setattr(mixing.ReleaseJob, "mix", crashes)
        with pytest.raises(Crash):
            mix(source, broken, *options, "2")
    assert not (broken / "release.json").exists()
    mix(source, broken, *options, "3")
    assert tree(broken) == tree(whole)


def in_tar(suffix, change):
    """Changes what each sample has by a suffix."""

    def changed(members):
        for name in [name for name in members if name.endswith(suffix)]:
            members[name] = change(members[name])

    return changed


def in_json(change):
    def changed(content):
        form = json.loads(content)
        for row in form["objects"]:
            change(row)
        return json.dumps(form).encode()

    return in_tar(".objects.json", changed)


def spread(features):
    for _ in features["objects/label"].int64_list.value:
        features["objects/bbox"].float_list.value[:2] = [-0.5, -0.5]


def moved(features):
    for n, _ in enumerate(features["objects/label"].int64_list.value):
        features["objects/bbox"].float_list.value[4 * n : 4 * n + 2] = [0, 0]


def crowded(features):
    for n, _ in enumerate(features["objects/label"].int64_list.value):
        features["objects/is_crowd"].int64_list.value[n] = 1234


def with_note(png):
    """A note in a PNG file, as anybody may put there."""
    name = b"tEXtnote\0Jane"
    chunk = struct.pack(">I", len(name) - 4) + name
    return png[:33] + chunk + struct.pack(">I", zlib.crc32(name)) + png[33:]


def noted(features):
    mask = features["parts"].bytes_list
    mask.value[0] = with_note(mask.value[0])


def repainted(features):
    features["parts"].bytes_list.value[0] = encoded(np.zeros((4, 4, 1), np.uint8))


CHANGES = {
    "tfds": {
        "lies outside of the image": spread,
        "other things beside its image": moved,
        "more than pixels: more than numbers in objects": crowded,
        "more than pixels: tEXt in parts": noted,
        "has another label, or": repainted,
    },
    "webdataset": {
        "lies outside of the image": in_json(
            lambda row: row.update(bbox=[-0.5, 0, 1, 1])
        ),
        "other things beside its image": in_json(
            lambda row: row.update(bbox=[0, 0, 1, 1])
        ),
        "more than pixels: more than boxes in .objects.json": in_tar(
            ".objects.json", lambda content: content + b"\n"
        ),
        "more than pixels: tEXt in .parts_mask.png": in_tar("_mask.png", with_note),
        "has another label, or": in_tar(
            "_mask.png", lambda _: encoded(np.zeros((4, 4, 1), np.uint8))
        ),
        "has one class for 1 x 1 pixels, not for 4 x 4 as release.json": in_tar(
            "_mask.png", lambda _: encoded(mask_of(0, 16, 16))
        ),
    },
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A release of each kind, with its vault."""
    root = tmp_path_factory.mktemp("made")
    source = write_pets(root / "pets", 3, mask=True)
    for kind in KINDS:
        options = ["--vault", root / f"{kind}-vault", "--mask-cells", "4"]
        options += ["--shard-size", "9"]
        arguments = [
            source,
            root / kind,
            "--format",
            kind,
            "--tile-size",
            "8",
            *options,
        ]
        assert main(["mix", *map(str, arguments)]) == 0
    return root


@pytest.mark.parametrize(
    ("kind", "fault"),
    [(kind, fault) for kind in KINDS for fault in CHANGES[kind]],
)
def test_verify_finds_what_was_changed(made, tmp_path, capsys, kind, fault):
    mixed, vault = tmp_path / "mixed", made / f"{kind}-vault"
    shutil.copytree(made / kind, mixed)
    rewrite(mixed, CHANGES[kind][fault])
    resum(mixed)
    options = [str(mixed), "--vault", str(vault)]
    assert main(["verify", *options]) == 1
    told = said(capsys)
    assert any(fault in line for line in told), told
    assert not any("SHA-256 is another" in line for line in told)


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_was_released_is_restored(made, tmp_path, capsys, kind):
    mixed, vault = tmp_path / "mixed", made / f"{kind}-vault"
    shutil.copytree(made / kind, mixed)
    rewrite(mixed, CHANGES[kind]["other things beside its image"])
    options = [str(mixed), str(tmp_path / "back"), "--vault", str(vault)]
    assert main(["unmix", *options]) == 1
    refused = [line for line in said(capsys) if "has another label, or other" in line]
    # The third has no boxes.
    assert len(refused) == sum(len(boxes_of(n)["label"]) > 0 for n in range(3))


def test_boxes_that_earlier_versions_let_through_come_back(tmp_path, monkeypatch):
    """They were bytes, and vaults have digests of them."""
    source = write_pets(tmp_path / "pets", 3, mask=True)
    mixed, vault, back = (tmp_path / name for name in ("mixed", "vault", "back"))
    with monkeypatch.context() as patch:
        opened = configs.open_source
        patch.setattr(configs, "open_source", partial(opened, raw=True))
        options = ["--vault", vault, "--keep", "objects", "parts", "--keep-order"]
        mix(source, mixed, *options)
    about = json.loads((mixed / "release.json").read_text())["about"]
    assert not {"boxes", "mask_cells"} & about.keys()
    restore(mixed, vault, back)
    for number, (image, boxes, mask) in enumerate(read_annotated(back)):
        np.testing.assert_array_equal(image, picture(number))
        assert same(boxes, boxes_of(number))
        np.testing.assert_array_equal(mask, mask_of(number, 16, 16))


def test_workers_on_beam_fill_one_vault(tmp_path):
    source = write_pets(tmp_path / "pets", COUNT, height=20, mask=True)
    (tmp_path / "secret").write_bytes(bytes(range(32)))
    (tmp_path / "secret").chmod(0o600)
    options = ["--fit", "crop", "--keep", "parts", "--keep-order"]
    options += ["--secret-file", tmp_path / "secret"]
    here, there, back = (tmp_path / name for name in ("here", "there", "back"))
    mix(source, here, *options)
    beam = [source, there, *SMALL, *options, "--vault", tmp_path / "vault"]
    assert main(["mix", *map(str, beam), "--engine", "beam"]) == 0
    assert tree(there) == tree(here)
    restore(there, tmp_path / "vault", back)
    for number, (_, boxes, mask) in enumerate(read_annotated(back)):
        assert same(boxes, boxes_of(number))
        np.testing.assert_array_equal(mask, mask_of(number, 20, 16))


def test_without_boxes_all_is_as_earlier_versions_have_it(tmp_path):
    source = write_pets(tmp_path / "pets", 2)
    mix(source, tmp_path / "mixed", "--drop", "objects")
    manifest = json.loads((tmp_path / "mixed" / "release.json").read_text())
    since = {"boxes", "with_boxes", "boxes_cut_off", "mask_cells"}
    assert not since & (manifest.keys() | manifest["about"].keys())
    assert not since & Note({}, 1, Tally(images=1)).as_json()["tally"].keys()
    told = Note({}, 1, Tally(images=1, boxes={"0": 3}, with_boxes=1)).as_json()
    assert since & told["tally"].keys() == {"boxes", "with_boxes"}
    config = MixConfig(8, ((8, 1),))
    levels = np.ones((2, 2), np.uint8)
    entry = Entry(b"x", "0", "0", "0", config, levels, 16, 16, 3, b"")
    assert b"kept" not in entry.encode()
    held = dataclasses.replace(entry, kept={"objects": b"\0\1"})
    assert Entry.decode(held.encode()).kept == {"objects": b"\0\1"}


@pytest.mark.parametrize("damage", [b"{", b"\x89PNG", b""])
def test_what_a_vault_keeps_is_checked(damage):
    """Seals notice damage; what is sealed is checked all the same."""
    fields = {"objects": Objects(OBJECTS), "parts": Mask(3)}
    values = {"objects": None, "parts": np.zeros((4, 4), np.uint8)}
    for name in fields:
        with pytest.raises(ValueError):  # noqa: PT011 (parsers have their own words)
            placed.restore(fields, values, (4, 4), {name: damage})
    same_again = placed.restore(fields, values, (3, 2), {})
    assert same_again["parts"].shape == (3, 2)

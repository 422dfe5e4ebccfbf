"""VOC data sets: what is read of them, what is refused, and what is written."""

import os

import box_sets
import mutants
import numpy as np
import pytest
from box_sets import png, thing, write, write_voc, xml

from vmixjax.data import format_of, open_source
from vmixjax.data.formats.voc.classes import PASCAL
from vmixjax.data.objects import Objects
from vmixjax.errors import ImageError, RunError

MUTANTS = int(os.environ.get("VMIXJAX_MUTANTS", "50"))
SPLITS = {"train": ["b", "a", "c"], "val": ["e"], "test": []}


def one(tmp_path, annotation, image=None):
    """A data set of one image, opened."""
    files = {"JPEGImages/a.png": image or png(0), "Annotations/a.xml": annotation}
    return open_source(f"voc:{write(tmp_path / 'one', files)}")


def names(source):
    return {
        split: [source.name_of(split, index) for index in range(count)]
        for split, count in source.splits.items()
    }


def test_lists_are_splits_and_boxes_are_those_of_tfds(tmp_path):
    root = write_voc(tmp_path / "voc", SPLITS)
    assert format_of(str(root)).name == "voc"
    source = open_source(str(root))
    assert dict(source.splits) == {"test": 0, "train": 3, "val": 1}
    assert names(source)["train"] == [f"JPEGImages/{n}.png" for n in "bac"]
    assert source.fields == {"objects": Objects(("ant", "zebra"), _flags("difficult"))}
    truth = box_sets.read_voc(root)
    for split, count in source.splits.items():
        for index in range(count):
            example = source.read(split, index)
            there, image, boxes = truth[example.stem]
            assert (there, example.folder) == (split, split)
            np.testing.assert_array_equal(example.image, image)
            found = example.values["objects"]
            assert [("ant", "zebra")[n] for n in found.labels] == [b[0] for b in boxes]
            # As TFDS computes them, from floating numbers of Python.
            corners = [[y / 16, x / 16, b / 16, r / 16] for _, y, x, b, r, _ in boxes]
            np.testing.assert_array_equal(found.corners, np.float32(corners))
            flags = [bool(int(flag)) for *_, flag in boxes]
            assert found.others["is_difficult"].tolist() == flags
            assert source.values(split, index)["objects"].alike(found)


def _flags(*tags):
    return tuple((f"is_{tag}", "bool") for tag in tags)


def test_trainval_is_left_out_where_its_halves_are_there(tmp_path):
    root = write_voc(tmp_path / "voc", {"train": ["a"], "val": ["b"]})
    write(root, {"ImageSets/Main/trainval.txt": "a\nb\n"})
    write(root, {"ImageSets/Main/zebra_train.txt": "a  1\nb -1\n"})
    assert names(open_source(f"voc:{root}")).keys() == {"train", "val"}
    named = open_source(f"voc:{root}", splits=["trainval"])
    assert named.splits == {"trainval": 2}
    (root / "ImageSets/Main/val.txt").unlink()
    (root / "ImageSets/Main/train.txt").unlink()
    assert open_source(f"voc:{root}").splits == {"trainval": 2}
    (root / "ImageSets/Main/trainval.txt").unlink()
    with pytest.raises(RunError, match=r"none of the lists.*zebra_train with --splits"):
        open_source(f"voc:{root}")
    with pytest.raises(RunError, match=r"--splits dev: .*Main has zebra_train only"):
        open_source(f"voc:{root}", splits=["dev"])


@pytest.mark.parametrize(
    ("place", "splits"),
    [
        ("JPEGImages/{}.png Annotations/{}.xml", {"train": 2}),
        ("{}.png {}.xml", {"train": 2}),
        ("train/{}.png train/{}.xml", {"train": 2}),
    ],
)
def test_without_lists_folders_tell(tmp_path, place, splits):
    image, note = place.split()
    for number, name in enumerate("ab"):
        files = {image: png(number), note: xml(thing("ant", 1, 1, 9, 9))}
        write(tmp_path, {path.format(name): what for path, what in files.items()})
    source = open_source(f"voc:{tmp_path}")
    assert dict(source.splits) == splits
    assert [len(source.values("train", n)["objects"]) for n in range(2)] == [1, 1]


def test_classes_are_those_that_occur_or_pascals_or_listed(tmp_path):
    root = write_voc(
        tmp_path / "voc", {"train": ["a"]}, xml(thing("person", 1, 1, 9, 9))
    )
    assert open_source(f"voc:{root}").fields["objects"].names == PASCAL
    assert len(PASCAL) == 20
    write(root, {"classes.txt": "zebra\nperson\n"})
    source = open_source(f"voc:{root}")
    assert source.fields["objects"].names == ("zebra", "person")
    assert source.values("train", 0)["objects"].labels.tolist() == [1]
    write(root, {"classes.txt": "zebra\n"})
    with pytest.raises(ImageError, match=r"a\.xml has an object 'person', which is no"):
        open_source(f"voc:{root}").read("train", 0)
    write(root, {"classes.txt": "zebra\nzebra\n"})
    with pytest.raises(RunError, match=r"classes\.txt has a class twice"):
        open_source(f"voc:{root}")


@pytest.mark.parametrize("start", ["\ufeff", '<?xml version="1.0" encoding="gb2312"?>'])
def test_text_is_utf_8_whatever_it_says(tmp_path, start):
    source = one(tmp_path, start + xml(thing("猫", 1, 1, 9, 9)))
    assert source.fields["objects"].names == ("猫",)
    (tmp_path / "one/Annotations/a.xml").write_bytes("<é/>".encode("latin-1"))
    with pytest.raises(ImageError, match="is no XML in UTF-8"):
        source.read("train", 0)


def test_objects_or_their_flags_are_left_behind(tmp_path):
    root = write_voc(tmp_path / "voc", {"train": ["a", "b"]})
    write(root, {"Annotations/b.xml": "no XML"})
    plain = open_source(f"voc:{root}", drop=["objects/is_difficult"])
    assert plain.fields["objects"].others == ()
    assert plain.read("train", 0).values["objects"].others == {}
    without = open_source(f"voc:{root}", drop=["objects"])
    assert without.fields == {}
    assert without.read("train", 1).values == {}
    (root / "Annotations/b.xml").unlink()
    assert open_source(f"voc:{root}", drop=["objects"]).read("train", 1).values == {}
    with pytest.raises(
        RunError, match=r"--drop pose: SRC .* has objects, objects/is_d"
    ):
        open_source(f"voc:{root}", drop=["pose"])
    with pytest.raises(RunError, match="--image png: an image is a file of its own"):
        open_source(f"voc:{root}", image="png")


BOMB = '<!DOCTYPE a [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><annotation>&b;</annotation>'


@pytest.mark.parametrize(
    ("annotation", "fault"),
    [
        ("", "is no XML in UTF-8 (line 1: no element found)"),
        (xml()[:-5], "is no XML in UTF-8"),
        (BOMB, "has a DOCTYPE"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotation/>', "has a DOCTYPE"),
        (xml(thing("&ant;", 1, 1, 9, 9)), "undefined entity"),
        ("<kml></kml>", "begins with <kml>, not with <annotation>"),
        ("<annotation/>", "does not say the <width> of its image"),
        (xml(width=0), "says '0' for the <width>"),
        (xml(height="nan"), "a <height> that is none: 'nan' is no number"),
        (xml(height=15), "is of an image of 15 x 16, and JPEGImages/a.png has 16 x 16"),
        (xml(more="<size><width>16</width></size>"), "has two <width>"),
        (xml("<object><name>ant</name></object>"), "has object 0 without <ymin>"),
        (xml(thing("", 1, 1, 9, 9)), "has object 0 without <name>"),
        (xml(thing("<b>ant</b>", 1, 1, 9, 9)), "has an element inside of <name>"),
        (xml(thing("a" * 999, 1, 1, 9, 9)), "has 999 letters in <name>"),
        (xml("<a>" * 99, "</a>" * 99), "is nested more than 32 deep"),
        (xml(thing("ant", "nan", 1, 9, 9)), "<xmin> that is none: 'nan' is no number"),
        (xml(thing("ant", 1, "inf", 9, 9)), "<ymin> that is none: 'inf' is no number"),
        (xml(thing("ant", 1, 1, "1e999", 9)), "'1e999' is larger than any"),
        (xml(thing("ant", 1, 1, "1_0", 9)), "'1_0' is no number"),
        (xml(thing("ant", 1, 1, "٣", 9)), "'٣' is no number"),
        (xml(thing("ant", 1, 1, 1e9, 9)), "which lies outside of the image"),
        (xml(thing("ant", 1, 1, 17, 9)), "which lies outside of the image"),
        (xml(thing("ant", -1, 1, 9, 9)), "which lies outside of the image"),
        (xml(thing("ant", 9, 1, 9, 9)), "which has no area"),
        (xml(thing("ant", 1, 9, 9, 1)), "which has no area"),
        (
            xml(thing("ant", 1, 1, 9, 9, "<difficult>maybe</difficult>")),
            "says 'maybe' for <difficult>, which is 0 or 1",
        ),
    ],
)
def test_what_is_wrong_with_an_annotation_is_said_in_a_line(
    tmp_path, annotation, fault
):
    source = one(tmp_path, annotation)
    with pytest.raises(ImageError) as caught:
        source.read("train", 0)
    line = str(caught.value)
    assert "a.xml" in line
    assert fault in line
    assert "\n" not in line
    # The image itself is sound.
    open_source(f"voc:{tmp_path / 'one'}", drop=["objects"]).read("train", 0)


def test_what_is_listed_and_is_no_pair_is_told_and_the_rest_is_read(tmp_path):
    root = write_voc(
        tmp_path / "voc",
        {"train": ["good", "gone", "bare", "twice", "good", "twin", "TWIN"]},
    )
    (root / "JPEGImages/gone.png").unlink()
    (root / "Annotations/bare.xml").unlink()
    write(root, {"JPEGImages/twice.jpg": png(9), "JPEGImages/extra.png": png(8)})
    source = open_source(f"voc:{root}")
    told = []
    for index in range(source.splits["train"]):
        try:
            told.append(source.read("train", index).stem)
        except ImageError as error:
            told.append(str(error).removeprefix(f"{root}/"))
    assert told == [
        "good",
        "JPEGImages/gone is not there, though Annotations/gone.xml is of it; add the "
        "image, or take that out",
        "JPEGImages/bare.png has no XML file, Annotations/bare.xml; add it, or take "
        "the image out",
        "JPEGImages/twice.jpg and JPEGImages/twice.png have one file of boxes, "
        "Annotations/twice.xml, as only their suffixes differ; rename all but one, or "
        "take them out",
        "JPEGImages/good.png is listed twice; take it out of one of the lists",
        "JPEGImages/twin.png has the name of another image but for capital letters; "
        "rename one of them",
        "JPEGImages/TWIN.png has the name of another image but for capital letters; "
        "rename one of them",
    ]
    (remark,) = source.remarks()
    assert remark.startswith(f"1 images of {root / 'JPEGImages'} are in none of the")


@pytest.mark.parametrize("name", ["../photos/x", "/etc/passwd", "a/../../x", "a\0b"])
def test_lists_name_nothing_elsewhere(tmp_path, name):
    root = write_voc(tmp_path / "voc", {"train": ["a"]})
    write(root, {"ImageSets/Main/train.txt": f"a\n{name}\n"})
    with pytest.raises(RunError, match=r"train\.txt names a file elsewhere"):
        open_source(f"voc:{root}")


def test_lists_that_link_to_each_other_are_none(tmp_path):
    root = write_voc(tmp_path / "voc", {"train": ["a"]})
    (root / "ImageSets/Main/train.txt").unlink()
    for name, to in (("train.txt", "val.txt"), ("val.txt", "train.txt")):
        (root / "ImageSets/Main" / name).symlink_to(to)
    with pytest.raises(RunError, match="is a link; put the file itself there"):
        open_source(f"voc:{root}")


def test_links_out_of_the_folder_are_followed_where_named(tmp_path):
    root = write_voc(tmp_path / "voc", {"train": ["a", "b"]})
    away = tmp_path / "away"
    away.mkdir()
    (root / "Annotations/a.xml").rename(away / "a.xml")
    (root / "Annotations/a.xml").symlink_to(away / "a.xml")
    with pytest.raises(
        ImageError, match=r"a\.xml is a link out of the folder; copy the"
    ):
        open_source(f"voc:{root}").read("train", 0)
    followed = open_source(f"voc:{root}", follow_links=[away])
    assert len(followed.read("train", 0).values["objects"]) == 1
    (root / "JPEGImages").rename(away / "images")
    (root / "JPEGImages").symlink_to(away / "images")
    with pytest.raises(RunError, match="JPEGImages is a link out of the folder; move"):
        open_source(f"voc:{root}")
    assert open_source(f"voc:{root}", follow_links=[away]).splits["train"] == 2


def test_a_folder_without_annotations_is_none(tmp_path):
    write(tmp_path, {"a.png": png(0)})
    with pytest.raises(RunError, match="has no XML files, in Annotations or beside"):
        open_source(f"voc:{tmp_path}")
    with pytest.raises(RunError, match="does not exist"):
        open_source("voc:nowhere")


def test_an_annotation_too_large_to_be_one_is_not_read(tmp_path):
    source = one(tmp_path, xml())
    with (tmp_path / "one/Annotations/a.xml").open("r+b") as file:
        file.truncate(2**33)
    with pytest.raises(ImageError, match=r"a\.xml holds 8589934592 bytes"):
        source.read("train", 0)


def test_whatever_an_annotation_holds_it_is_read_or_refused(tmp_path):
    good = xml(thing("ant", 1, 2, 9, 9), thing("zebra", 3, 3, 12.5, 16)).encode()
    source = one(tmp_path, good)
    path, read = tmp_path / "one/Annotations/a.xml", 0
    said = []
    for number in range(20 * MUTANTS):
        dice = mutants.chance("voc", number)
        path.write_bytes(mutants.mutate_bytes(good, dice, b"<!DOCTYPE a []>" + good))
        try:
            boxes = source.read("train", 0).values["objects"]
        except ImageError as error:
            said.append(str(error))
        else:
            read += 1
            assert boxes.corners.shape == (len(boxes), 4)
            assert np.isfinite(boxes.corners).all()
            assert (boxes.corners[:, :2] < boxes.corners[:, 2:]).all()
    assert read
    assert said
    assert all("a.xml" in line and "\n" not in line for line in said)

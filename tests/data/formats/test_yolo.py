"""YOLO data sets: what is read of them, what is refused, and what is written."""

import os

import box_sets
import mutants
import numpy as np
import pytest
import yaml
from box_sets import png, write, write_yolo

from vmixjax.data import format_of, open_source
from vmixjax.data.example import Schema
from vmixjax.data.formats.yolo import description
from vmixjax.data.formats.yolo.labels import parse, render
from vmixjax.data.formats.yolo.writer import YoloSink
from vmixjax.data.objects import Boxes, Objects
from vmixjax.errors import ImageError, RunError

MUTANTS = int(os.environ.get("VMIXJAX_MUTANTS", "50"))
SPLITS = {"train": ["b", "a", "c", "d"], "val": ["a"], "test": []}
GOOD = "0 0.5 0.5 0.25 0.25\n"


def one(tmp_path, labels, about="names: [zebra, ant]\ntrain: images/train\n"):
    """A data set of one image, not opened yet."""
    files = {"images/train/a.png": png(0), "labels/train/a.txt": labels}
    return write(tmp_path / "one", {**files, "data.yaml": about})


def examples(source):
    for split, count in source.splits.items():
        for index in range(count):
            yield split, source.read(split, index)


@pytest.mark.parametrize("layout", ["images/{}", "{}/images"])
@pytest.mark.parametrize("described", [True, False])
def test_layouts_of_ultralytics_and_roboflow(tmp_path, layout, described):
    root = write_yolo(tmp_path / "set", SPLITS, layout)
    truth = box_sets.read_yolo(root)
    if not described:
        (root / "data.yaml").unlink()
        write(root, {"classes.txt": "zebra\nant\n"})
        (root / layout.format("test")).rmdir()
    assert format_of(str(root)).name == "yolo"
    source = open_source(str(root))
    assert source.fields == {"objects": Objects(("zebra", "ant"))}
    found = {example.name: (split, example) for split, example in examples(source)}
    assert found.keys() == truth.keys()
    for name, (split, image, boxes) in truth.items():
        there, example = found[name]
        assert (there, example.folder) == (split, split)
        assert example.stem == f"{split}/{name.split('/')[-1][0]}"
        np.testing.assert_array_equal(example.image, image)
        objects = example.values["objects"]
        assert [("zebra", "ant")[n] for n in objects.labels] == [b[0] for b in boxes]
        corners = np.array([b[1:] for b in boxes]).reshape(-1, 4)
        np.testing.assert_array_equal(objects.corners, corners.astype(np.float32))
    (remark,) = source.remarks()
    assert remark == (
        "1 of 5 images have no objects, as their files of boxes are empty or not there"
    )


def test_the_file_that_describes_is_a_name_as_well(tmp_path):
    root = write_yolo(tmp_path / "set", SPLITS)
    (root / "data.yaml").rename(root / "pets.yaml")
    assert format_of(str(root / "pets.yaml")).name == "yolo"
    source = open_source(str(root / "pets.yaml"))
    assert dict(source.splits) == {"test": 0, "train": 4, "val": 1}
    with pytest.raises(RunError, match=r"has neither data\.yaml nor classes\.txt"):
        open_source(f"yolo:{root}")


def test_roboflows_paths_lead_up_and_mean_below(tmp_path):
    root = write_yolo(tmp_path / "set", {"train": ["a"], "valid": ["b"]}, "{}/images")
    about = "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n"
    write(root, {"data.yaml": about + "nc: 2\nnames: ['zebra', 'ant']\nroboflow: {}\n"})
    source = open_source(f"yolo:{root}")
    assert dict(source.splits) == {"train": 1, "val": 1, "test": 0}
    assert source.read("val", 0).stem == "val/b"
    told = list(source.remarks())
    assert told == [f"{root / 'test/images'}, of the split test, is not there"]


def test_flat_folders_are_one_split(tmp_path):
    root = write(tmp_path, {"images/a.png": png(0), "labels/a.txt": GOOD})
    write(root, {"labels/classes.txt": "zebra\n", "labels/train.cache": "x"})
    source = open_source(f"yolo:{root}")
    assert dict(source.splits) == {"train": 1}
    assert source.read("train", 0).stem == "train/a"
    beside = write(tmp_path / "beside", {"a.png": png(0), "a.txt": GOOD})
    write(beside, {"classes.txt": "zebra\n"})
    assert len(open_source(f"yolo:{beside}").values("train", 0)["objects"]) == 1


@pytest.mark.parametrize(
    ("about", "names"),
    [
        ("names: {0: no, 1: 'yes'}", ("no", "yes")),
        ("names:\n  1: b\n  0: a\n", ("a", "b")),
        ('names:\n- a # first\n- "b: c"\n', ("a", "b: c")),
        ("nc: 2", ("class_0", "class_1")),
        ("names: !!python/object/apply:os.system [a, b]", ("a", "b")),
        ("path: ../datasets/pets\nnames: [a, b]\nval:\n", ("a", "b")),
        ("path: /content/pets\nnames: [a, b]\ndownload: https://x\n", ("a", "b")),
    ],
)
def test_names_are_a_list_or_a_mapping(tmp_path, about, names):
    root = one(tmp_path, GOOD, f"{about}\ntrain: images/train\n")
    source = open_source(f"yolo:{root}")
    assert source.fields["objects"].names == names
    assert dict(source.splits) == {"train": 1}


def test_a_path_says_where_folders_lie(tmp_path):
    root = write_yolo(tmp_path / "set", {"train": ["a"]}, "pets/images/{}")
    about = "path: pets\ntrain: images/train\nnames: [a, b]\n"
    write(root, {"data.yaml": about})
    assert dict(open_source(f"yolo:{root}").splits) == {"train": 1}
    absolute = f"train: {root}/pets/images/train\nnames: [a, b]\n"
    write(root, {"data.yaml": absolute})
    assert dict(open_source(f"yolo:{root}").splits) == {"train": 1}


@pytest.mark.parametrize(
    ("about", "fault"),
    [
        ("", "has no entries"),
        ("[]", "has no entries"),
        ("names:\n  a: [", "is no YAML (line 2)"),
        ("names: " + "[" * 5000, "is no YAML of a data set"),
        ("train: images/train", "has no names"),
        ("names: a", "has no names"),
        ("names: [a, [b]]", "has no names"),
        ("names: {0: a, 2: b}", "whose numbers are not 0 to 1"),
        ("names: [a, a]", "gives two classes one name"),
        ("names: []", "names 0 classes"),
        ("nc: 3\nnames: [a, b]", "says nc: 3, but has 2 names"),
        ("nc: -1\nnames: [a]", "says nc: '-1', which is no number"),
        ("nc: 99999999999\n", "which is no number of classes"),
        ("nc: {a: b}\nnames: [a]", "which is no number of classes"),
        ("names: [a]\ntrain: [x, y]", "has train or path that is no text"),
        ("names: [a]\ntrain: train.txt", "a list of images; name their folder"),
        ("names: [a]\ntrain: a/../../x", "leads out of its folder"),
        ("names: [a]\ntrain: /etc", "leads out of its folder"),
        ("names: [a]\ntrain: ..", "leads out of its folder"),
        ("names: [a]\nkpt_shape: [17, 3]", "is of key points"),
        ("names: [a]\n\0", "is no YAML"),
        ("names: [a]\ntrain: images\nval: images/train", "have images in common"),
    ],
)
def test_what_is_wrong_with_a_description_is_said_in_a_line(tmp_path, about, fault):
    root = one(tmp_path, GOOD, about)
    with pytest.raises(RunError) as caught:
        open_source(f"yolo:{root}")
    assert "\n" not in str(caught.value)
    assert fault in str(caught.value)


def test_aliases_that_grow_without_bound_cost_nothing(tmp_path):
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [
        f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]"
        for a, b in zip("abcdefghijkl", "bcdefghijklm", strict=True)
    ]
    root = one(tmp_path, GOOD, "\n".join([*lines, "names: *m"]))
    with pytest.raises(RunError, match="has no names"):
        open_source(f"yolo:{root}")


def test_a_description_too_large_to_be_one_is_not_read(tmp_path):
    root = one(tmp_path, GOOD)
    with (root / "data.yaml").open("r+b") as file:
        file.truncate(2**33)
    with pytest.raises(RunError, match=r"data\.yaml holds 8589934592 bytes"):
        open_source(f"yolo:{root}")


@pytest.mark.parametrize(
    ("labels", "fault"),
    [
        (b"\xff\xfe0", "is no text in UTF-8"),
        ("x 0.5 0.5 0.25 0.25", "has line 1, in which 'x' is no number of a class"),
        (f"{GOOD}\n-1 0.5 0.5 0.25 0.25", "has line 3, in which '-1' is no number"),
        ("0 0.5 0.5 0.25", "there are 4 numbers: a box has 5"),
        ("0 0.5 0.5 0.25 0.25 0.9", "a sixth number, how sure a network is"),
        ("0 0.5 0.5 0.25 0.25 0.9 0.1 0.2", "there are 8 numbers"),
        ("0 nan 0.5 0.25 0.25", "'nan' is no number"),
        ("0 0.5 inf 0.25 0.25", "'inf' is no number"),
        ("0 0.5 0.5 1e999 0.25", "'1e999' is larger than any place in an image"),
        ("0 0.5 0.5 0x1 0.25", "'0x1' is no number"),
        ("9 0.5 0.5 0.25 0.25", "whose label 9 is no class, of 2"),
        ("0 0.5 0.5 0.25 -0.25", "which has no area"),
        ("0 0.5 0.5 0 0.25", "which has no area"),
        ("0 0.5 0.95 0.25 0.25", "which lies outside of the image"),
        ("0 320 240 64 64", "which lies outside of the image"),
        ("0 1e300 0.5 1e300 0.25", "'1e300' is larger than any place"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_what_is_wrong_with_labels_is_said_in_a_line(tmp_path, labels, fault):
    source = open_source(f"yolo:{one(tmp_path, labels)}")
    with pytest.raises(ImageError) as caught:
        source.read("train", 0)
    line = str(caught.value)
    assert "labels/train/a.txt" in line
    assert fault in line
    assert "\n" not in line


def test_of_outlines_the_box_is_taken(tmp_path):
    source = open_source(f"yolo:{one(tmp_path, '1 0.25 0.5 0.5 0.125 0.75 0.875')}")
    boxes = source.read("train", 0).values["objects"]
    assert boxes.corners.tolist() == [[0.125, 0.25, 0.875, 0.75]]
    assert boxes.labels.tolist() == [1]


def test_what_is_no_pair_is_told_and_the_rest_is_read(tmp_path):
    root = write_yolo(tmp_path / "set", {"train": ["good", "gone", "two", "A", "a"]})
    (root / "images/train/gone.png").unlink()
    write(root, {"images/train/two.jpg": png(9), "labels/train/A.txt": GOOD})
    source = open_source(f"yolo:{root}")
    told = []
    for index in range(source.splits["train"]):
        try:
            told.append(source.read("train", index).stem)
        except ImageError as error:
            told.append(str(error).removeprefix(f"{root}/"))
    assert told == [
        "images/train/A.png has the name of another image but for capital letters; "
        "rename one of them",
        "images/train/a.png has the name of another image but for capital letters; "
        "rename one of them",
        "train/good",
        "images/train/two.jpg and images/train/two.png have one file of boxes, "
        "labels/train/two.txt, as only their suffixes differ; rename all but one, or "
        "take them out",
        "labels/train/gone.txt is of no image; add that, or take it out",
    ]


def test_a_set_without_any_labels_is_no_set(tmp_path):
    root = write(tmp_path, {"images/train/a.png": png(0), "classes.txt": "zebra"})
    with pytest.raises(
        RunError, match=r"images/train/a\.png would be in labels/train/a"
    ):
        open_source(f"yolo:{root}")


def test_one_folder_for_two_splits_is_one_split(tmp_path):
    about = "train: images/train\nval: images/train\nnames: [a, b]\n"
    root = one(tmp_path, GOOD, about)
    source = open_source(f"yolo:{root}")
    assert dict(source.splits) == {"train": 1}
    told = list(source.remarks())
    assert told == ["val is of the same folder as train, images/train, and is left out"]
    assert dict(open_source(f"yolo:{root}", splits=["val"]).splits) == {"val": 1}
    with pytest.raises(RunError, match=r"--splits dev: SRC .* has train, val only"):
        open_source(f"yolo:{root}", splits=["dev"])


@pytest.mark.parametrize("kind", ["labels", "description"])
def test_whatever_a_file_holds_it_is_read_or_refused(tmp_path, kind):
    labels = "0 0.5 0.5 0.25 0.25\n1 0.1 0.2 0.1 0.2\n1 0.1 0.1 0.2 0.2 0.3 0.1\n"
    root = one(tmp_path, labels)
    path = root / ("labels/train/a.txt" if kind == "labels" else "data.yaml")
    good, said, read = path.read_bytes(), [], 0
    for number in range(4 * MUTANTS):
        dice = mutants.chance(f"yolo {kind}", number)
        path.write_bytes(mutants.mutate_bytes(good, dice, b"0: &a [*a]\n&b *b"))
        try:
            source = open_source(f"yolo:{root}")
            boxes = [example.values["objects"] for _, example in examples(source)]
        except (ImageError, RunError) as error:
            said.append(str(error))
            continue
        read += 1
        for some in boxes:
            assert np.isfinite(some.corners).all()
            assert (some.corners[:, :2] < some.corners[:, 2:]).all()
    assert read
    assert said
    assert not any("\n" in line for line in said)


def test_numbers_come_back_exactly_in_as_few_digits_as_do(tmp_path):
    rng = np.random.default_rng(0)
    ends = np.sort(rng.random((500, 2, 2), np.float32), axis=2)
    whole = np.sort(rng.integers(0, 641, (500, 2, 2)), axis=2) / 640
    ends = np.concatenate([ends, whole.astype(np.float32)])
    ends[0], ends[1], ends[2] = [[0, 1]] * 2, [[0, 1e-7]] * 2, [[-1e-4, 1.0005]] * 2
    corners = ends.transpose(0, 2, 1).reshape(-1, 4)
    corners = corners[(corners[:, :2] < corners[:, 2:]).all(axis=1)]
    boxes = Boxes(corners, np.arange(len(corners)))
    data = render(boxes)
    assert data.startswith(b"0 0.500000 0.500000 1.000000 1.000000\n")
    assert parse(data).alike(boxes)
    # As a plain parser has them.
    rows = np.loadtxt(data.decode().splitlines())
    there = [
        rows[:, place] + way * rows[:, place + 2] / 2
        for way in (-1, 1)
        for place in (2, 1)
    ]
    np.testing.assert_array_equal(np.stack(there, axis=1).astype(np.float32), corners)


def test_what_no_digits_bring_back_is_refused():
    tiny = np.array([[3e-10, 0, 4e-10, 1]], np.float32)
    with pytest.raises(ImageError, match="cannot be written as its middle"):
        render(Boxes(np.float32([[0.1, 3e-9, 0.2, np.nan]]), np.zeros(1, np.int64)))
    assert len(render(Boxes(tiny, np.zeros(1, np.int64)))) < 100


def test_descriptions_are_what_yaml_says(tmp_path):
    names = ["a", "no", "é: #", '"\\', "𝄞", "1", "~"]
    splits = ["train", "validation", "on:"]
    data = description.render(names, splits)
    about = yaml.safe_load(data)
    assert about.pop("names") == dict(enumerate(names))
    assert about.pop("nc") == len(names)
    assert about == {
        "train": "images/train",
        "validation": "images/validation",
        "on:": "images/on:",
        "val": "images/validation",
    }
    (tmp_path / "data.yaml").write_bytes(data)
    there = description.describe(tmp_path, None, released=True)
    assert there.names == tuple(names)
    assert there.folders == about


@pytest.mark.parametrize(
    ("objects", "fault"),
    [
        (Objects(), "whose classes have no names"),
        (
            Objects(("a",), (("a", "bool"), ("b", "int"))),
            "cannot hold objects/a, objects/b: .* --drop objects/a objects/b",
        ),
    ],
)
def test_what_the_format_cannot_hold_is_refused(tmp_path, objects, fault):
    with pytest.raises(RunError, match=f"--format yolo .*{fault}"):
        YoloSink(tmp_path, Schema("mixed", {"objects": objects}, None))

"""COCO data sets as people have them, and as attackers do."""

import json
import os
import shutil

import mutants
import numpy as np
import pytest
from PIL import Image
from small_coco import (
    HEIGHT,
    NAMES,
    WIDTH,
    annotations,
    picture,
    shares,
    write_coco,
    write_images,
    write_json,
)

from vmixjax.data import format_of, format_of_release, open_source
from vmixjax.data.formats.coco import annotations as parsing
from vmixjax.data.formats.coco.boxes import corners_of, pixels_of
from vmixjax.errors import ImageError, RunError

MUTANTS = int(os.environ.get("VMIXJAX_MUTANTS", "150"))


def check(source, split, said, *, seed=0, folder=""):
    """Everything that a split has, as it was written."""
    assert source.splits[split] == len(said["images"])
    for number, one in enumerate(said["images"]):
        example = source.read(split, number)
        name = f"{folder}{one['file_name']}".replace("./", "")
        assert example.name == name == source.name_of(split, number)
        assert list(source.candidates(name)) == [(split, number)]
        right = picture(seed + number, one["height"], one["width"])
        np.testing.assert_array_equal(example.image, right)
        boxes = example.values["objects"]
        np.testing.assert_array_equal(boxes.corners, shares(said, number))
        mine = [a for a in said["annotations"] if a["image_id"] == one["id"]]
        ids = {1: 0, 3: 1, 90: 2}
        assert boxes.labels.tolist() == [ids[a["category_id"]] for a in mine]
        areas = np.array([a["area"] for a in mine], np.float32)
        np.testing.assert_array_equal(boxes.others["area"], areas)
        crowds = [bool(a["iscrowd"]) for a in mine]
        assert boxes.others["is_crowd"].tolist() == crowds
        assert boxes.alike(source.values(split, number)["objects"])


def as_coco(root):
    write_coco(root, train2017=3, val2017=2)
    return root, {"train": (3, 0, "train2017/"), "val": (2, 1000, "val2017/")}


def as_roboflow(root):
    for seed, (split, count) in enumerate({"train": 3, "valid": 2}.items()):
        said = annotations(count)
        write_json(root / split / "_annotations.coco.json", said)
        write_images(root / split, said, 1000 * seed)
    return root, {"train": (3, 0, "train/"), "valid": (2, 1000, "valid/")}


def in_images(root):
    write_json(root / "annotations.json", annotations())
    write_images(root / "images", annotations())
    return f"coco:{root}", {"train": (3, 0, "images/")}


def in_images_of_splits(root):
    write_json(root / "annotations" / "val.json", annotations())
    write_images(root / "images" / "val", annotations())
    return f"coco:{root}", {"val": (3, 0, "images/val/")}


def beside_images(root):
    write_json(root / "some-test.json", annotations())
    write_images(root, annotations())
    return root / "some-test.json", {"test": (3, 0, "")}


def one_of_several(root):
    write_coco(root, train2017=3, val2017=2)
    return root / "annotations/instances_val2017.json", {"val": (2, 1000, "val2017/")}


LAYOUTS = [as_coco, as_roboflow, in_images, in_images_of_splits]
LAYOUTS += [beside_images, one_of_several]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(tmp_path, layout):
    name, splits = layout(tmp_path / "set")
    assert format_of(str(name)).name == "coco"
    source = open_source(str(name))
    assert set(source.splits) == set(splits)
    for split, (count, seed, folder) in splits.items():
        check(source, split, annotations(count), seed=seed, folder=folder)
    assert list(source.left_out()) == []
    field = source.fields["objects"]
    assert field.names == NAMES
    assert field.others == (("area", "float"), ("is_crowd", "bool"))
    assert list(source.fields) == ["objects"]


@pytest.mark.parametrize("within", ["./", "images/", "./deep/er/"])
def test_names_may_have_folders(tmp_path, within):
    said = annotations(within=within)
    write_json(tmp_path / "annotations.json", said)
    write_images(tmp_path, said)
    check(open_source(f"coco:{tmp_path}"), "train", said)


def test_notes_and_other_json_are_no_annotations(tmp_path):
    root, _ = as_coco(tmp_path / "set")
    (root / "annotations" / "captions_train2017.json").write_text("{}")
    (root / "annotations" / "._instances_train2017.json").write_text("\0\5\26\7")
    (root / "package.json").write_text("{}")
    assert open_source(str(root)).splits == {"train": 3, "val": 2}


def test_a_folder_of_images_is_none(tmp_path):
    write_images(tmp_path / "images", annotations())
    (tmp_path / "annotations.json").write_text("{}")
    assert format_of(str(tmp_path)).name == "folder"
    assert format_of_release(tmp_path).name == "folder"
    with pytest.raises(RunError, match=r"holds no annotations as COCO has them"):
        open_source(f"coco:{tmp_path / 'images'}")
    with pytest.raises(RunError, match=r"annotations as COCO.*missing required.*imag"):
        open_source(f"coco:{tmp_path}")


def test_splits(tmp_path):
    root, _ = as_coco(tmp_path / "set")
    assert open_source(str(root), splits=["val"]).splits == {"val": 2}
    assert open_source(str(root), splits=["val2017"]).splits == {"val2017": 2}
    assert open_source(str(root), splits=["train[:1]"]).splits == {"train": 1}
    with pytest.raises(RunError, match=r"--splits dev: SRC .* has train, val only"):
        open_source(str(root), splits=["dev"])
    one = root / "annotations" / "instances_train2017.json"
    shutil.copy(one, one.with_name("instances_train2014.json"))
    with pytest.raises(RunError, match=r"all of the split train: name one"):
        open_source(str(root))
    one.with_name("instances_train2014.json").rename(
        one.with_name("instances_more.json")
    )
    with pytest.raises(RunError, match=r"instances_more.json says no split"):
        open_source(str(root))


def test_two_data_sets_in_one_folder_are_asked_about(tmp_path):
    as_coco(tmp_path / "set")
    as_roboflow(tmp_path / "set")
    with pytest.raises(RunError, match=r"as two data sets: name one of them"):
        open_source(str(tmp_path / "set"))


def test_what_is_dropped(tmp_path):
    root, _ = as_coco(tmp_path / "set")
    assert open_source(str(root), drop=["objects"]).fields == {}
    assert open_source(str(root), drop=["objects"]).read("train", 2).values == {}
    source = open_source(str(root), drop=["objects/area"])
    assert source.fields["objects"].others == (("is_crowd", "bool"),)
    assert list(source.read("train", 2).values["objects"].others) == ["is_crowd"]
    with pytest.raises(RunError, match=r"--drop segmentation: annotations of COCO"):
        open_source(str(root), drop=["segmentation"])
    with pytest.raises(RunError, match=r"--image picture"):
        open_source(str(root), image="picture")


def write(root, said):
    write_json(root / "annotations" / "instances_train.json", said)
    return root


@pytest.fixture
def made(tmp_path):
    """A folder of images, and what is said of them."""
    said = annotations(4)
    (tmp_path / "set" / "train").mkdir(parents=True)
    write_images(tmp_path / "set" / "train", said)
    return tmp_path / "set", said


def test_areas_of_whole_numbers_are_such(made):
    root, said = made
    for one in said["annotations"]:
        one["area"] = 2**40 + one["id"]
    source = open_source(str(write(root, said)))
    assert source.fields["objects"].others[0] == ("area", "int")
    areas = source.read("train", 3).values["objects"].others["area"]
    assert areas.dtype == np.int64
    assert areas.tolist() == [2**40 + 7300 + one for one in range(3)]
    # Of those that are not given, the box has one.
    del said["annotations"][-1]["area"]
    source = open_source(str(write(root, said)))
    assert source.fields["objects"].others[0] == ("area", "float")
    area = source.read("train", 3).values["objects"].others["area"][-1]
    assert area == pytest.approx(20.11 * 13.07)


def test_images_without_objects_are_fine(made):
    root, said = made
    said["annotations"] = []
    source = open_source(str(write(root, said)))
    assert source.fields["objects"].names == NAMES
    assert len(source.read("train", 3).values["objects"]) == 0
    said["categories"] = []
    source = open_source(str(write(root, said)))
    assert source.fields == {}
    assert source.read("train", 3).values == {}
    write(root, {"images": []})
    assert open_source(str(root)).splits == {"train": 0}


def test_ids_may_be_texts_and_sides_fractions_of_nothing(made):
    root, said = made
    for one in said["images"]:
        one["id"], one["width"] = f"a{one['id']}", float(one["width"])
    for one in said["annotations"]:
        one["image_id"], one["iscrowd"] = f"a{one['image_id']}", bool(one["iscrowd"])
    check(open_source(str(write(root, said))), "train", said, folder="train/")


def outside(said):
    said["annotations"][-1]["bbox"][0] = 40


def before(said):
    said["annotations"][-1]["bbox"][1] = -3


def flat(said):
    said["annotations"][-1]["bbox"][2] = 0


def turned_around(said):
    said["annotations"][-1]["bbox"][3] = -2


def short(said):
    said["annotations"][-1]["bbox"].pop()


def huge(said):
    said["annotations"][-1]["bbox"] = [1e308] * 4


def unknown_class(said):
    said["annotations"][-1]["category_id"] = 2


def wrong_size(said):
    said["images"][3]["width"] += 1


def missing(said):
    said["images"][3]["file_name"] = "none.png"


def same_id(said):
    said["images"].append({**said["images"][3], "file_name": "other.png"})


def same_name(said):
    said["images"].append({**said["images"][3], "id": 5})


def out_of_it(said):
    said["images"][3]["file_name"] = "../../secret.png"


def nul(said):
    said["images"][3]["file_name"] = "a\0.png"


def empty(said):
    said["images"][3]["file_name"] = ""


def long(said):
    said["images"][3]["file_name"] = "x" * 10_000


def a_folder(said):
    said["images"][3]["file_name"] = "../annotations"


FAULTS = {
    outside: r"has the box \[40, 2.5, 20.11, 13.07\], which reaches out of it: correct",
    before: r"has the box \[3.23, -3, 20.11, 13.07\], which reaches out of it",
    flat: r"has the box \[3.23, 2.5, 0, 13.07\], which has no area: correct it in",
    turned_around: r"has the box .*, which has no area",
    short: r"has a box that is not four numbers: x, y, width, height: correct it in",
    huge: r"has the box .*, which reaches out of it",
    unknown_class: r"has an object of the category 2, which .*json does not know: add",
    wrong_size: r"is 32 x 48, but .*json says 32 x 49: correct its height and width",
    missing: r"none.png does not exist",
    same_id: r"train/000000000003.png is there several times, or others of its id",
    same_name: r"train/000000000003.png is there several times, or others of its id",
    out_of_it: r"names the image '../../secret.png', which leads out of its folder",
    nul: r"names the image 'a\\x00.png', which leads out of its folder",
    empty: r"names the image '.', which leads out of its folder",
    long: r"cannot be read \(File name too long\)",
    a_folder: r"names the image '../annotations', which leads out",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_one_image_is_told_when_it_is_read(made, fault):
    root, said = made
    Image.fromarray(picture(99)).save(root.parent / "secret.png")
    fault(said)
    source = open_source(str(write(root, said)))
    with pytest.raises(ImageError, match=FAULTS[fault]):
        source.read("train", 3)
    for number in range(3):
        assert source.read("train", number).name.endswith(f"{number}.png")
    assert len(list(source.traces())) == len(said["images"])


def test_rounded_boxes_may_reach_out_a_little(made):
    root, said = made
    said["annotations"][-1]["bbox"] = [-0.01, 0, WIDTH + 0.03, HEIGHT + 0.02]
    corners = open_source(str(write(root, said))).read("train", 3).values["objects"]
    np.testing.assert_array_equal(corners.corners, shares(said, 3))


BROKEN = {
    "no text": b"\xff\xfe",
    "a list": b"[]",
    "cut off": b'{"images": [{"id": 1',
    "no number": b'{"images": [], "annotations": [{"image_id": 1, "area": NaN}]}',
    "too large a number": b'{"images": [], "categories": [{"id": 1e400, "name": ""}]}',
    "too deep": b'{"images": [], "info": ' + b"[" * 10**5 + b"]" * 10**5 + b"}",
    "twice": b'{"images": [], "categories": [{"id": 1, "name": "a"},'
    b'{"id": 1, "name": "b"}]}',
    "no side": b'{"images": [{"id": 1, "file_name": "a", "width": 0, "height": 1}]}',
    "half": b'{"images": [{"id": 1, "file_name": "a", "width": 1.5, "height": 1}]}',
    "endless": b'{"images": [{"id": 1, "file_name": "a", "width": 1e99, "height": 1}]}',
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_file_that_is_none_is_one_line(tmp_path, kind):
    path = tmp_path / "annotations.json"
    path.write_bytes(BROKEN[kind])
    with pytest.raises(RunError, match=r"annotations.json (holds no|has)") as caught:
        open_source(str(path))
    assert "\n" not in str(caught.value)


def test_files_are_bounded_before_they_are_parsed(tmp_path, monkeypatch):
    path = write_json(tmp_path / "a.json", annotations(9))
    monkeypatch.setattr(parsing, "_MOST_OBJECTS", 40)
    with pytest.raises(RunError, match=r"holds more than 40 images, boxes and classes"):
        open_source(str(path))
    with path.open("wb") as file:
        file.truncate(parsing.MOST_BYTES + 1)
    with pytest.raises(RunError, match=r"has 2147483649 bytes, over the limit"):
        open_source(str(path))


def test_classes_are_the_same_in_all_files(tmp_path):
    root, _ = as_coco(tmp_path / "set")
    path = root / "annotations" / "instances_val2017.json"
    said = json.loads(path.read_text())
    said["categories"].append({"id": 7, "name": "bird"})
    write_json(path, said)
    source = open_source(str(root))
    assert source.fields["objects"].names == ("cat", "dog", "bird", "brush")
    assert source.read("train", 2).values["objects"].labels.tolist() == [0, 1]
    said["categories"][0] = {"id": 1, "name": "Cat"}
    write_json(path, said)
    with pytest.raises(RunError, match=r"category 1 is Cat in .*val2017.*and cat in"):
        open_source(str(root))


def test_an_image_is_in_one_split(tmp_path):
    """Or a network is tested on what it has learned from."""
    said = annotations()
    write_json(tmp_path / "train.json", said)
    write_json(tmp_path / "test.json", annotations(2))
    write_images(tmp_path / "images", said)
    source = open_source(f"coco:{tmp_path}")
    assert source.splits == {"test": 2, "train": 3}
    assert source.read("train", 2).name == "images/000000000002.png"
    for split in source.splits:
        with pytest.raises(ImageError, match=r"000001.png is there several times"):
            source.read(split, 1)


def test_images_that_are_not_there_at_all(made):
    root, said = made
    shutil.rmtree(root / "train")
    with pytest.raises(RunError, match=r"names images such as 000000000000.png, and"):
        open_source(str(write(root, said)))


def test_what_belongs_to_no_image_is_told_once(made):
    root, said = made
    said["images"].pop(1)
    said["annotations"][-1]["image_id"] = 555
    source = open_source(str(write(root, said)))
    strays, unnamed = source.left_out()
    assert "has objects in 2 images that it does not name, of the ids 101, 555;" in (
        strays
    )
    assert "1 images in" in unnamed
    assert "named by no annotations, train/000000000001.png;" in unnamed
    assert source.splits == {"train": 3}
    # Whoever names one file, or one split, does not ask for what others may name.
    one = open_source(str(root / "annotations" / "instances_train.json"))
    assert list(one.left_out()) == [strays]


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize(
    ("orientation", "as_shown", "fine"),
    [
        (1, True, True),
        (2, True, False),
        (3, True, False),
        (6, False, False),
        (6, True, True),
        (8, True, True),
    ],
)
def test_turned_images(tmp_path, suffix, orientation, as_shown, fine):
    said = annotations(2, suffix=suffix)
    root = tmp_path / "set"
    write_images(root / "train", said)
    exif = Image.Exif()
    exif[274] = orientation
    turned = orientation > 4
    shown = (WIDTH, HEIGHT) if turned else (HEIGHT, WIDTH)
    if turned and as_shown:
        for one in said["images"]:
            one["height"], one["width"] = shown
    for number, one in enumerate(said["images"]):
        image = Image.fromarray(picture(number))
        image.save(root / "train" / one["file_name"], exif=exif)
    source = open_source(str(write(root, said)))
    if not fine:
        with pytest.raises(ImageError, match=r"EXIF data say"):
            source.read("train", 1)
        return
    example = source.read("train", 1)
    assert example.image.shape[:2] == shown
    np.testing.assert_array_equal(example.values["objects"].corners, shares(said, 1))


def test_nothing_is_open_where_a_turned_image_has_no_objects(made):
    root, said = made
    exif = Image.Exif()
    exif[274] = 3
    path = root / "train" / said["images"][0]["file_name"]
    Image.fromarray(picture(0)).save(path, exif=exif)
    image = open_source(str(write(root, said))).read("train", 0).image
    np.testing.assert_array_equal(image, picture(0)[::-1, ::-1])


def test_links_are_followed_into_what_is_named(made):
    root, said = made
    elsewhere = (root / "train").rename(root.parent / "elsewhere")
    (root / "train").symlink_to(elsewhere)
    write(root, said)
    with pytest.raises(RunError, match=r"if it is a link.*--follow-links"):
        open_source(str(root))
    source = open_source(str(root), follow_links=[elsewhere])
    check(source, "train", said, folder="train/")
    (root / "train").unlink()
    elsewhere.rename(root / "train")
    outside = (root / "train" / "000000000003.png").rename(root.parent / "3.png")
    (root / "train" / "000000000003.png").symlink_to(outside)
    with pytest.raises(ImageError, match=r"is, or lies behind, a link out of"):
        open_source(str(root)).read("train", 3)


def test_files_of_annotations_are_no_links_out(made):
    root, said = made
    path = write_json(root.parent / "elsewhere" / "instances_train.json", said)
    (root / "annotations").symlink_to(path.parent)
    with pytest.raises(RunError, match=r"is, or lies behind, a link out of"):
        open_source(str(root))
    check(
        open_source(str(root), follow_links=[path.parent]),
        "train",
        said,
        folder="train/",
    )


@pytest.mark.parametrize("released", [True, False])
def test_names_of_files_lead_nowhere(made, released):
    root, said = made
    secret = root.parent / "000000000000.png"
    Image.fromarray(picture(99)).save(secret)
    # Behind its prefix it is called as the folder above.
    write_json(root / "annotations" / "instances_...json", said)
    shutil.rmtree(root / "train")
    with pytest.raises((RunError, ImageError), match=r"out of|and there are none in"):
        open_source(f"coco:{root}", released=released).read("..", 0)


def test_boxes_come_back_to_the_last_bit():
    rng = np.random.default_rng(0)
    for side in (1, 7, 480, 640, 1333, 4000, 65_535, 2**24):
        low = rng.random((200, 2)) * rng.choice([1, 1e-3, 1e-7], (200, 1))
        high = low + (1 - low) * rng.random((200, 2))
        corners = np.concatenate([low, high], axis=1).astype(np.float32)
        corners = corners[(corners[:, :2] < corners[:, 2:]).all(axis=1)]
        pixels = pixels_of(corners, side, 640)
        # Through JSON, as Python and everybody else writes it.
        pixels = np.array(json.loads(json.dumps(pixels.tolist())))
        np.testing.assert_array_equal(corners_of(pixels, side, 640), corners)


def test_boxes_are_written_as_short_as_they_were():
    boxes = np.array([[473.07, 395.93, 38.65, 28.67], [0, 0, 640, 480], [1, 2, 3.5, 4]])
    corners = corners_of(boxes, 480, 640)
    np.testing.assert_array_equal(pixels_of(corners, 480, 640), boxes)


def test_mutants(made):
    """Whatever a file says, nothing is read elsewhere, and all that goes wrong said."""
    root, said = made
    secret = root.parent / "secret.png"
    Image.fromarray(picture(99)).save(secret)
    lures = [str(secret), "../secret.png", "../../secret.png"]
    good = json.dumps(said).encode()
    outcomes = {"refused": 0, "read": 0, "left out": 0}
    for number in range(MUTANTS):
        dice = mutants.chance("coco", number)
        bad = mutants.mutate_json(good, dice, lures, ("id", "bbox", "file_name"))
        path = root / "annotations" / "instances_train.json"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bad)
        try:
            source = open_source(str(root))
            list(source.left_out())
            list(source.traces())
            list(source.loose())
        except RunError:
            outcomes["refused"] += 1
            continue
        for index in range(source.splits["train"]):
            try:
                example = source.read("train", index)
            except ImageError:
                outcomes["left out"] += 1
                continue
            outcomes["read"] += 1
            assert not np.array_equal(example.image, picture(99))
            boxes = example.values["objects"] if example.values else ()
            if len(boxes):
                assert np.isfinite(boxes.corners).all()
                assert (boxes.labels < len(source.fields["objects"].names)).all()
    assert min(outcomes.values()) > 0

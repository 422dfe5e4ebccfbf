"""What was mixed with status 0 comes back, and what does not is named."""

import io
import shutil

import numpy as np
import pytest
import strangers
import tensorflow_datasets as tfds
from strangers import encoded, noise, write_tar, write_tree

from vmixjax.cli import main
from vmixjax.data.formats.folder import FolderSink
from vmixjax.data.writing import WORK

MIXING = ["--tile-size", "4", "--ladder", "2:1"]
"""Few programs are compiled for it."""

OPTIONS = [*MIXING, "--allow-overlaps", "--keep-order"]
READ = {
    "folder": strangers.read_folder,
    "tfds": strangers.read_tfds,
    "webdataset": strangers.read_tars,
}


@pytest.fixture
def there_and_back(tmp_path, capsys):
    """Mixes a source, verifies that, and restores it: status of mixing, what it said.

    And what came back, as strangers read it.
    """

    def run(source, kind, *more):
        mixed, vault, back = (tmp_path / name for name in ("mixed", "vault", "back"))
        kept = ["--vault", str(vault)]
        arguments = [str(source), str(mixed), "--format", kind, *OPTIONS, *more]
        capsys.readouterr()
        status = main(["mix", *arguments, *kept])
        said = capsys.readouterr().err
        if status == 2:
            assert not (mixed / "release.json").exists()
            return status, said, []
        assert main(["verify", str(mixed), *kept]) == 0
        assert main(["unmix", str(mixed), str(back), *kept]) == 0
        return status, said, list(READ[kind](back))

    return run


@pytest.mark.parametrize("first", ["grey", "coloured"])
def test_greys_among_coloured_images_come_back_grey(tmp_path, there_and_back, first):
    channels = (1, 1, 3, 1) if first == "grey" else (3, 1, 1, 3)
    images = [noise(i, channels=count) for i, count in enumerate(channels)]
    files = {f"{i}.png": encoded(image) for i, image in enumerate(images)}
    source = write_tree(tmp_path / "photos", files)
    status, _, back = there_and_back(source, "tfds")
    assert status == 0
    assert [image.shape[2] for _, image, _ in back] == list(channels)
    for (_, image, _), original in zip(back, images, strict=True):
        np.testing.assert_array_equal(image, original)
    # Everybody reads them in one form.
    builder = tfds.builder_from_directory(tmp_path / "mixed")
    assert {e["image"].shape for e in builder.as_data_source("train")} == {(8, 8, 3)}


def test_images_of_another_form_are_named(tmp_path, there_and_back):
    images = [noise(0), noise(1, channels=4)]
    files = {f"{i}.png": encoded(image) for i, image in enumerate(images)}
    source = write_tree(tmp_path / "photos", files)
    status, said, back = there_and_back(source, "tfds")
    assert (status, len(back)) == (1, 1)
    assert "1.png has 4 channels of uint8, and all images of its data set 3" in said
    # The mend.
    shutil.rmtree(tmp_path / "mixed")
    shutil.rmtree(tmp_path / "back")
    write_tree(source, {"1.png": encoded(images[1][:, :, :3])})
    status, said, back = there_and_back(source, "tfds")
    assert (status, len(back)) == (0, 2)


@pytest.mark.parametrize("kind", ["tfds", "webdataset"])
def test_what_is_no_image_makes_no_class(tmp_path, there_and_back, kind):
    files = {
        f"{name}/0.png": encoded(noise(i)) for i, name in enumerate(("cat", "dog"))
    }
    files |= {"README.md": b"# Pets", "bills/may.pdf": b"%PDF-1.7"}
    source = write_tree(tmp_path / "photos", files)
    status, said, back = there_and_back(source, kind)
    assert status == 1
    assert "README.md is not a" in said
    assert "may.pdf is a document" in said
    labels = [label for _, _, label in back]
    if kind == "tfds":
        assert labels == ["cat", "dog"]
    else:
        assert labels == [{"cls": b"0"}, {"cls": b"1"}]


@pytest.mark.parametrize("names", [["photo.png"], ["a\nb/0.png"], [" cat/0.png"]])
def test_classes_that_tfds_would_read_as_others_are_refused(
    tmp_path, there_and_back, names
):
    files = {name: encoded(noise(i)) for i, name in enumerate(["cat/0.png", *names])}
    source = write_tree(tmp_path / "photos", files)
    status, said, _ = there_and_back(source, "tfds")
    assert status == 2
    assert "--format tfds cannot hold" in said
    # The mend.
    (source / "other").mkdir()
    (source / names[0]).rename(source / "other" / "0.png")
    for folder in source.iterdir():
        if not any(folder.iterdir()):
            folder.rmdir()
    status, _, back = there_and_back(source, "tfds")
    assert (status, [label for _, _, label in back]) == (0, ["cat", "other"])


def test_dots_in_names_come_back_from_tars(tmp_path, there_and_back):
    stems = ["shots/Screenshot 10.30.15", "shots/Screenshot 10.31.20", "shots/b", "%2E"]
    files = {f"{stem}.png": encoded(noise(i)) for i, stem in enumerate(stems)}
    source = write_tree(tmp_path / "photos", files)
    status, _, back = there_and_back(source, "webdataset", "--keep-names")
    assert status == 0
    expected = sorted(stems)
    keys = [key for key, _, _ in back]
    assert keys == [s.replace("%", "%25").replace(".", "%2E") for s in expected]
    for (_, image, _), stem in zip(back, expected, strict=True):
        np.testing.assert_array_equal(image, noise(stems.index(stem)))
    # What is called so in tars is called as before in folders.
    again = tmp_path / "again"
    tars = [str(tmp_path / "back"), str(again), "--drop", "cls", *OPTIONS]
    assert main(["mix", *tars, "--format", "folder", "--keep-names"]) == 0
    assert [name for name, _, _ in strangers.read_folder(again)] == [
        f"{stem}.png" for stem in expected
    ]


def test_fields_with_slashes_and_capitals_come_back_from_tars(tmp_path, there_and_back):
    features = {
        "image": tfds.features.Image(shape=(None, None, 3)),
        "image/filename": tfds.features.Text(),
        "pictureName": tfds.features.Text(),
        "breed": tfds.features.ClassLabel(num_classes=9),
    }
    examples = [
        {
            "image": io.BytesIO(encoded(noise(i))),
            "image/filename": f"anna-{i}.jpg",
            "pictureName": f"Anna {i}",
            "breed": i,
        }
        for i in range(2)
    ]
    folder = strangers.write_tfds(tmp_path / "pets", features, examples)
    keep = ["--keep", "pictureName"]
    status, _, back = there_and_back(f"tfds:{folder}", "webdataset", *keep)
    assert status == 0
    for i, (_, image, members) in enumerate(back):
        np.testing.assert_array_equal(image, noise(i))
        assert members == {
            "image%2ffilename": f"anna-{i}.jpg".encode(),
            "picturename": f"Anna {i}".encode(),
            "breed": str(i).encode(),
        }


@pytest.mark.parametrize(
    ("kind", "names", "why"),
    [
        ("webdataset", ["png"], "whose name is that of images"),
        ("webdataset", ["CLS"], "numbers of classes"),
        ("webdataset", ["Mood", "mood"], "called like that of mood"),
    ],
)
def test_fields_that_would_be_read_as_others_are_refused(
    tmp_path, there_and_back, kind, names, why
):
    features = {"image": tfds.features.Image(shape=(None, None, 3))}
    features |= {name: tfds.features.Text() for name in names}
    example = {"image": io.BytesIO(encoded(noise(0))), **dict.fromkeys(names, "x")}
    folder = strangers.write_tfds(tmp_path / "pets", features, [example])
    status, said, _ = there_and_back(f"tfds:{folder}", kind)
    assert status == 2
    assert f"cannot hold the field {names[0]}" in said
    assert why in said
    # The mend.
    status, _, back = there_and_back(f"tfds:{folder}", kind, "--drop", names[0])
    assert (status, len(back)) == (0, 1)


@pytest.mark.parametrize("names", [["label", "cls"], ["image"]])
def test_members_that_tfds_would_hold_as_one_are_refused(
    tmp_path, there_and_back, names
):
    members = [("a.png", encoded(noise(0))), *((f"a.{name}", b"1") for name in names)]
    tar = write_tar(tmp_path / "a.tar", members)
    keep = [name for name in names if name != "cls"]
    status, said, _ = there_and_back(tar, "tfds", "--keep", *keep)
    assert status == 2
    assert "as it has another" in said
    status, _, back = there_and_back(tar, "tfds", "--drop", *keep)
    assert (status, len(back)) == (0, 1)


@pytest.mark.parametrize("name", ["x" * 255, "x" * 252 + ".jp"])
def test_names_too_long_to_be_restored_are_named(tmp_path, there_and_back, name):
    files = {name: encoded(noise(0)), "a.png": encoded(noise(1))}
    source = write_tree(tmp_path / "photos", files)
    status, said, back = there_and_back(source, "folder")
    assert (status, [path for path, _, _ in back]) == (1, ["a.png"])
    over = len(name.partition(".")[0]) + len(".png") - 255
    assert f"shorter by {over}" in said
    # The mend.
    (source / name).rename(source / name[over:])
    shutil.rmtree(tmp_path / "mixed")
    shutil.rmtree(tmp_path / "back")
    status, _, back = there_and_back(source, "folder")
    assert (status, len(back)) == (0, 2)


def test_a_name_that_the_disk_refuses_leaves_no_original_behind(
    tmp_path, monkeypatch, capsys
):
    files = {f"{name}.png": encoded(noise(i)) for i, name in enumerate("ab")}
    source = write_tree(tmp_path / "photos", files)
    arguments = ["--vault", str(tmp_path / "vault")]
    mixed, back = str(tmp_path / "mixed"), tmp_path / "back"
    assert main(["mix", str(source), mixed, *OPTIONS, *arguments]) == 0
    # A file system that takes fewer bytes than others.
    output = FolderSink.output

    def longer(self, example, shard, index, names):
        name = output(self, example, shard, index, names)
        return name.replace("b", "b" * 300)

    monkeypatch.setattr(FolderSink, "output", longer)
    capsys.readouterr()
    assert main(["unmix", mixed, str(back), *arguments]) == 2
    assert "File name too long" in capsys.readouterr().err
    assert {path.name for path in back.rglob("*") if path.is_file()} <= {"a.png"}


def test_each_image_that_a_release_lacks_is_named(tmp_path, capsys):
    files = {f"{i}.png": encoded(noise(i)) for i in range(4)}
    source = write_tree(tmp_path / "photos", files)
    kept = ["--vault", str(tmp_path / "vault")]
    mixed, back = tmp_path / "mixed", tmp_path / "back"
    assert main(["mix", str(source), str(mixed), *OPTIONS, *kept]) == 0
    lost = mixed / "00001.png"
    lost.rename(tmp_path / "lost.png")
    # As many images as before: another stands in its place.
    (mixed / "00009.png").write_bytes(encoded(noise(9)))
    capsys.readouterr()
    assert main(["unmix", str(mixed), str(back), *kept]) == 1
    printed = capsys.readouterr()
    assert printed.out == "3 restored\n"
    assert f"{lost}, a file of the release, is missing" in printed.err
    # The mend.
    (mixed / "00009.png").unlink()
    (tmp_path / "lost.png").rename(lost)
    assert main(["unmix", str(mixed), str(back), "--overwrite", *kept]) == 0


def test_a_member_that_comes_twice_is_named(tmp_path, there_and_back):
    png = [encoded(noise(i)) for i in range(3)]
    members = [("a.png", png[0]), ("a.PNG", png[1]), ("b.png", png[2])]
    tar = write_tar(tmp_path / "a.tar", members)
    status, said, back = there_and_back(tar, "webdataset")
    assert (status, len(back)) == (1, 1)
    assert f"skipped: {tar}: a has two members .png" in said
    # The mend.
    shutil.rmtree(tmp_path / "mixed")
    shutil.rmtree(tmp_path / "back")
    write_tar(tar, [members[0], ("c.png", png[1]), members[2]])
    status, _, back = there_and_back(tar, "webdataset")
    assert (status, len(back)) == (0, 3)


def test_a_link_in_a_tar_is_named(tmp_path, there_and_back):
    png = [encoded(noise(i)) for i in range(2)]
    members = [("a.png", png[0]), ("b.png", "a.png"), ("c.png", png[1])]
    tar = write_tar(tmp_path / "a.tar", members)
    status, said, back = there_and_back(tar, "webdataset")
    assert (status, [key for key, _, _ in back]) == (1, ["a", "c"])
    assert f"skipped: {tar}: b.png is a link, or no file" in said


@pytest.mark.parametrize("name", [WORK, "release.json"])
def test_a_class_with_a_name_of_ours_is_named(tmp_path, there_and_back, name):
    files = {f"{name}/a.png": encoded(noise(0)), "cat/c.png": encoded(noise(1))}
    source = write_tree(tmp_path / "photos", files)
    status, said, back = there_and_back(source, "folder")
    assert (status, len(back)) == (1, 1)
    assert f"skipped: {name}/a.png: {name} has a meaning; rename it" in said
    # The mend.
    (source / name).rename(source / "unfinished")
    shutil.rmtree(tmp_path / "mixed")
    shutil.rmtree(tmp_path / "back")
    status, _, back = there_and_back(source, "folder")
    assert (status, len(back)) == (0, 2)


def test_notes_of_a_release_are_none_of_its_images(tmp_path, capsys):
    source = write_tree(tmp_path / "photos", {"a.png": encoded(noise(0))})
    mixed = tmp_path / "mixed"
    assert main(["mix", str(source), str(mixed), *OPTIONS]) == 0
    (mixed / WORK).mkdir()
    for name in ("begun.json", "0.part", "train-000000.json", "lock"):
        (mixed / WORK / name).write_bytes(encoded(noise(1)))
    # Mixed once more.
    assert main(["mix", str(mixed), str(tmp_path / "again"), *OPTIONS]) == 0
    assert "1 mixed" in capsys.readouterr().out


def test_two_images_of_one_name_are_not_written_as_one(tmp_path, capsys):
    members = [("3/a.png", encoded(noise(0))), ("3/a.cls", b"3")]
    members += [("a.png", encoded(noise(1))), ("a.cls", b"3")]
    tar = write_tar(tmp_path / "a.tar", members)
    mixed = tmp_path / "mixed"
    arguments = [str(tar), str(mixed), "--format", "folder", "--keep-names", *OPTIONS]
    assert main(["mix", *arguments]) == 1
    assert "would be called 3/a.png, as another image is" in capsys.readouterr().err


def test_verify_says_which_names_could_not_be_given(tmp_path, monkeypatch, capsys):
    source = write_tree(tmp_path / "photos", {"a.png": encoded(noise(0))})
    kept = ["--vault", str(tmp_path / "vault")]
    mixed = tmp_path / "mixed"
    assert main(["mix", str(source), str(mixed), *OPTIONS, *kept]) == 0
    assert main(["verify", str(mixed), *kept]) == 0
    # A system that takes shorter names than the one where it was mixed.
    monkeypatch.setattr("vmixjax.data.formats.image_files._MOST_NAME", 4)
    capsys.readouterr()
    assert main(["verify", str(mixed), *kept]) == 1
    assert "would have a name of 5 bytes" in capsys.readouterr().out
    assert main(["unmix", str(mixed), str(tmp_path / "back"), *kept]) == 1


@pytest.mark.parametrize("kind", ["folder", "tfds", "webdataset"])
@pytest.mark.parametrize("what", ["pixels", "values"])
def test_a_record_that_reads_back_as_another_is_not_written(
    tmp_path, monkeypatch, capsys, kind, what
):
    files = {
        f"{name}/0.png": encoded(noise(i)) for i, name in enumerate(("cat", "dog"))
    }
    source = write_tree(tmp_path / "photos", files)
    sink = (
        f"vmixjax.data.formats.{kind}.writer"
        if kind != "folder"
        else "vmixjax.data.formats.folder"
    )
    if what == "pixels":
        monkeypatch.setattr(
            f"{sink}.encode_png", lambda image: encoded(image[:, :, :1])
        )
    elif kind == "tfds":
        monkeypatch.setattr("vmixjax.data.formats.tfds.records.value_of", lambda *_: 7)
    elif kind == "webdataset":
        monkeypatch.setattr(f"{sink}.values_of", lambda *_: {"cls": 7})
    else:
        pytest.skip("a folder has no values")
    mixed = tmp_path / "mixed"
    assert main(["mix", str(source), str(mixed), "--format", kind, *OPTIONS]) == 2
    said = capsys.readouterr().err
    assert said.count("skipped: ") == 2
    assert not (mixed / "release.json").exists()

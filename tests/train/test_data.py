import dataclasses
import io
import re
import sys

import grain
import numpy as np
import pytest
from PIL import Image

from train import data
from train.config import Config, Data, Mixing
from train.tasks.classify import Classify
from vmixjax.cli import main
from vmixjax.data.codecs.png import write_png
from vmixjax.errors import RunError


def picture(seed, shape=(8, 12, 3)):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def load(source, split):
    return data.load(Config(data=source), split)


@pytest.fixture
def tree(tmp_path):
    """Two classes of twelve and eleven pictures."""
    for name, count in (("cats", 12), ("dogs", 11)):
        (tmp_path / name).mkdir()
        for i in range(count):
            write_png(tmp_path / name / f"{i:02}.png", picture(i))
    return tmp_path


def test_digits_are_there():
    train, test = (load(Data(), split) for split in ("train", "test"))
    assert (len(train), len(test)) == (1297, 500)
    assert train.shape == test.shape == (32, 32, 1)
    assert train.classes == tuple("0123456789")
    assert train[3]["id"] == 3


def test_a_folder_of_classes_is_split(tree):
    source = Data(f"folder:{tree}")
    train, test = (load(source, split) for split in ("train", "test"))
    assert (len(train), len(test)) == (19, 4)
    assert train.classes == ("cats", "dogs")
    np.testing.assert_array_equal(test[0]["image"], picture(0))
    np.testing.assert_array_equal(test[3]["image"], picture(10))
    assert [int(test[i]["label"]) for i in range(4)] == [0, 0, 1, 1]


@pytest.mark.parametrize("kind", ["folder", "tfds"])
def test_a_release_is_data(tmp_path, kind):
    for split, count in (("train", 3), ("test", 2)):
        for name in ("cats", "dogs"):
            folder = tmp_path / "plain" / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                write_png(folder / f"{i}.png", picture(i))
    mixed = tmp_path / "mixed"
    arguments = [str(tmp_path / "plain"), str(mixed), "--format", kind, "--keep-order"]
    assert main(["mix", *arguments, "--tile-size", "4"]) == 0
    for split, count in (("train", 3), ("test", 2)):
        found = load(Data(f"{kind}:{mixed}"), split)
        assert (len(found), found.shape) == (2 * count, (8, 12, 3))
        assert found.classes == ("cats", "dogs")
        labels = [int(found[i]["label"]) for i in range(len(found))]
        assert labels == [0] * count + [1] * count
        for i in range(count):
            image = found[i]["image"]
            assert (image != picture(i)).mean() > 0.3
            # A shuffle keeps the values.
            assert np.array_equal(np.sort(image, None), np.sort(picture(i), None))


def test_what_is_mixed_is_filled_up_and_never_scaled(tree):
    write_png(tree / "cats" / "99.png", picture(99, (12, 8, 3)))

    def released(**options):
        source = Data(f"folder:{tree}", **options)
        mixing = Mixing("done", 4, ((4, 1),))
        return data.load(Config(data=source, mixing=mixing), "train")

    with pytest.raises(RunError, match=r"--data\.image-shape 12 12, which fills up"):
        released()
    found = released(image_shape=(12, 16))
    for number, original in ((0, picture(1)), (10, picture(99, (12, 8, 3)))):
        image = found[number]["image"]
        there = np.zeros(image.shape, bool)
        there[: original.shape[0], : original.shape[1]] = True
        np.testing.assert_array_equal(image[there], original.ravel())
        assert (image[~there] == 128).all()
    smaller = r"cannot be made smaller: use --data\.image-shape 8 12"
    with pytest.raises(RunError, match=smaller):
        released(image_shape=(8, 8))
    blended = r"--data\.image-size None --data\.image-shape 8 12"
    with pytest.raises(RunError, match=blended):
        released(image_size=8)
    for path in tree.rglob("*.png"):
        write_png(path, picture(0, (8, 8, 3)))
    assert released(image_size=8).shape == (8, 8, 3)


def test_a_folder_of_splits_is_as_it_is(tree, tmp_path):
    for name in ("cats", "dogs"):
        (tmp_path / "train").mkdir(exist_ok=True)
        (tree / name).rename(tmp_path / "train" / name)
    (tmp_path / "val" / "dogs").mkdir(parents=True)
    (tmp_path / "val" / "cats").mkdir()
    for name in ("cats", "dogs"):
        write_png(tmp_path / "val" / name / "x.png", picture(99))
    source = Data(f"folder:{tmp_path}")
    assert len(load(source, "train")) == 23
    assert len(load(source, "test")) == 2


def test_grey_and_resized(tree):
    one = load(Data(f"folder:{tree}", image_size=4), "train")
    assert one.shape == (4, 4, 3)
    for path in tree.rglob("*.png"):
        write_png(path, picture(1, (8, 12, 1)))
    grey = load(Data(f"folder:{tree}", image_size=4, cache_mib=0), "train")
    assert grey.shape == (4, 4, 1)
    assert grey[0]["image"].dtype == np.uint8


def test_resizing_keeps_the_middle():
    image = np.zeros((20, 40, 2), np.uint8)
    image[:, 10:30] = 200
    np.testing.assert_array_equal(data.resize(image, 20), image[:, 10:30])
    half = data.resize(image, 10)
    assert (half[:, 1:9] == 200).all()
    assert (half[:, [0, 9]] > 100).all()
    assert data.resize(image, 33).shape == (33, 33, 2)


def test_the_first_so_many(tree):
    source = Data(f"folder:{tree}", train_images=5)
    assert len(load(source, "train")) == 5
    assert len(load(source, "test")) == 4


def ids(batches, count):
    return np.concatenate([next(batches)["id"] for _ in range(count)])


def test_every_epoch_has_each_image_once_in_another_order():
    train = load(Data(train_images=96), "train")
    seen = ids(data.training_batches(train, 32, 0), 6).reshape(2, 96)
    for epoch in seen:
        np.testing.assert_array_equal(np.sort(epoch), np.arange(96))
    assert (seen[0] != seen[1]).any()
    assert (ids(data.training_batches(train, 32, 1), 3) != seen[0]).any()


def test_an_iterator_goes_on_where_it_was():
    train = load(Data(), "train")
    batches = data.training_batches(train, 32, 0)
    ids(batches, 5)
    state = batches.get_state()
    expected = ids(batches, 3)
    again = data.training_batches(train, 32, 0)
    again.set_state(state)
    np.testing.assert_array_equal(ids(again, 3), expected)


def test_batches_do_not_depend_on_the_number_of_processes(monkeypatch):
    train = load(Data(), "train")
    test = dataclasses.replace(
        train, examples=grain.MapDataset.source(train.examples)[:70]
    )

    def seen(process, processes):
        monkeypatch.setattr("jax.process_index", lambda: process)
        monkeypatch.setattr("jax.process_count", lambda: processes)
        batches = data.training_batches(train, 32, 0)
        return (
            [set(next(batches)["id"].tolist()) for _ in range(3)],
            [batch["label"] for batch in data.test_batches(test, 32)],
        )

    whole, tested = seen(0, 1)
    parts = [seen(i, 2) for i in range(2)]
    for i in range(3):
        assert parts[0][0][i] | parts[1][0][i] == whole[i]
        assert sorted([*parts[0][1][i], *parts[1][1][i]]) == sorted(tested[i])
    assert [(labels >= 0).sum() for labels in tested] == [32, 32, 6]


def refused(source, split="train"):
    with pytest.raises(RunError) as error:
        load(source, split)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_what_is_wrong_with_a_folder_is_said(tree, tmp_path):
    assert "no such folder" in refused(Data(f"folder:{tmp_path / 'none'}"))
    (tree / "empty").mkdir()
    assert "empty, a class, has no images" in refused(Data(f"folder:{tree}"))
    (tree / "empty").rmdir()
    write_png(tree / "dogs" / "99.png", picture(0, (9, 12, 3)))
    assert re.search(
        "another shape .* --data.image-size 8", refused(Data(f"folder:{tree}"))
    )
    (tree / "dogs" / "99.png").write_text("no picture")
    assert "99.png" in refused(Data(f"folder:{tree}"))
    for name in ("cats", "dogs"):
        for path in (tree / name).iterdir():
            path.unlink()
        (tree / name).rmdir()
    assert "has no subfolders" in refused(Data(f"folder:{tree}"))


def test_labels_out_of_range_are_refused():
    train = load(Data(), "train")
    fewer = dataclasses.replace(train, task=Classify(Config(), train.shape, 2))
    with pytest.raises(RunError, match="labels must be 0 to 1"):
        [fewer[i] for i in range(50)]


def test_unknown_names_bring_the_nearest():
    assert "did you mean digits" in refused(Data("digit"))
    assert "tfds:cifar10" in refused(Data("tfds:cifar11"))


def test_what_tfds_has_not_prepared_comes_with_the_command(tmp_path):
    line = refused(Data("tfds:cifar10", data_dir=str(tmp_path)))
    assert (
        f"tfds build cifar10 --file_format=array_record --data_dir={tmp_path}" in line
    )


def tfds_folder(root, splits=("train", "test"), label="label", count=6):
    """A data set as TFDS prepares it, with pictures of one colour each."""
    import tensorflow_datasets as tfds
    from array_record.python.array_record_module import ArrayRecordWriter

    folder = root / "tiny" / "1.0.0"
    folder.mkdir(parents=True)
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(8, 8, 3)),
            label: tfds.features.ClassLabel(names=["a", "b"]),
        }
    )
    infos = []
    for split in splits:
        path = folder / f"tiny-{split}.array_record-00000-of-00001"
        writer = ArrayRecordWriter(str(path), "group_size:1")
        for i in range(count):
            file = io.BytesIO()
            Image.fromarray(np.full((8, 8, 3), i, np.uint8)).save(file, "PNG")
            file.seek(0)
            example = features.encode_example({"image": file, label: i % 2})
            writer.write(features.serialize_example(example))
        writer.close()
        template = tfds.core.ShardedFileTemplate(
            data_dir=folder,
            dataset_name="tiny",
            split=split,
            filetype_suffix="array_record",
        )
        infos.append(
            tfds.core.SplitInfo(
                name=split,
                shard_lengths=[count],
                num_bytes=0,
                filename_template=template,
            )
        )
    tfds.folder_dataset.write_metadata(
        data_dir=folder, features=features, split_infos=infos, check_data=False
    )
    return folder


def test_tfds_folders_are_read_without_tensorflow(tmp_path):
    folder = tfds_folder(tmp_path, splits=("train", "validation"))
    for source in (Data(f"tfds:{folder}"), Data("tfds:tiny", data_dir=str(tmp_path))):
        train, test = (load(source, split) for split in ("train", "test"))
        assert train.classes == ("a", "b")
        assert len(train) == len(test) == 6
        assert (train[3]["image"] == 3).all()
        assert train[3]["label"] == 1
    assert "tensorflow" not in sys.modules


def test_tfds_folders_that_lack_something_are_refused(tmp_path):
    assert "but no train" in refused(
        Data(f"tfds:{tfds_folder(tmp_path / '1', splits=('test',))}"), "test"
    )
    assert "image and label are needed" in refused(
        Data(f"tfds:{tfds_folder(tmp_path / '2', label='kind')}")
    )

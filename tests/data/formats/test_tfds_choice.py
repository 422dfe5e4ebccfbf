"""Folders of TFDS as people have them: without a prefix, with images of any name."""

import io
import json
import re

import numpy as np
import oracle
import pytest
import tensorflow_datasets as tfds
from array_record.python import array_record_module

from vmixjax.cli import main
from vmixjax.data import format_of, open_source
from vmixjax.data.codecs.png import encode_png, write_png
from vmixjax.errors import RunError

F = tfds.features


def picture(number):
    """One shape for all tests: every other one takes seconds to compile."""
    return np.roll(oracle.smooth_image(16, 16), number, (0, 1)) ^ np.uint8(number)


def png(number):
    return io.BytesIO(encode_png(picture(number)))


def image():
    return F.Image(shape=(None, None, 3))


def write(folder, features, **splits):
    folder.mkdir(parents=True)
    features, infos = F.FeaturesDict(features), []
    for split, examples in splits.items():
        name = folder / f"pets-{split}.array_record-00000-of-00001"
        writer = array_record_module.ArrayRecordWriter(str(name), "group_size:1")
        for example in examples:
            writer.write(features.serialize_example(features.encode_example(example)))
        writer.close()
        lengths = [len(examples)] if examples else []
        infos.append(tfds.core.SplitInfo(split, lengths, num_bytes=0))
    tfds.folder_dataset.write_metadata(
        data_dir=folder, features=features, split_infos=infos, check_data=False
    )
    return f"tfds:{folder}"


def refused(name, **options):
    with pytest.raises(RunError) as caught:
        open_source(name, **options)
    line = str(caught.value)
    assert "\n" not in line
    return line


@pytest.fixture
def mix(tmp_path, capfd):
    def run(src, *more):
        capfd.readouterr()
        options = ["--tile-size", "8", *map(str, more)]
        status = main(["mix", str(src), str(tmp_path / "mixed"), *options])
        return status, capfd.readouterr().err

    return run


def test_a_folder_of_tfds_needs_no_prefix(tmp_path):
    folder = tmp_path / "pets" / "1.0.0"
    write(folder, {"image": image()}, train=[{"image": png(0)}])
    assert format_of(str(folder)).name == "tfds"
    assert (open_source(str(folder)).read("train", 0).image == picture(0)).all()
    # One version is not the data set, but it is no folder of images either.
    assert format_of(str(folder.parent)).name == "tfds"
    write_png(tmp_path / "1.0.0.png", picture(0))
    (tmp_path / "dataset_info.json").write_text("{}")
    assert format_of(str(tmp_path)).name == "folder"


def test_an_image_may_be_called_otherwise(tmp_path, mix):
    features = {"img": image(), "label": F.ClassLabel(names=["a", "b"])}
    examples = [{"img": png(n), "label": n} for n in range(2)]
    name = write(tmp_path / "pets", features, train=examples)
    source = open_source(name)
    for number in range(2):
        example = source.read("train", number)
        assert (example.image == picture(number)).all()
        assert example.values == {"label": number}
    vault = ["--vault", str(tmp_path / "vault")]
    assert mix(name, *vault)[0] == 0
    mixed, back = str(tmp_path / "mixed"), str(tmp_path / "back")
    # A release has it under the usual name.
    assert main(["verify", mixed, *vault, "--source", name]) == 0
    assert main(["unmix", mixed, back, *vault, "--id", "train/1"]) == 0
    restored = open_source(f"tfds:{back}")
    assert (restored.read("train", 0).image == picture(1)).all()


def test_an_image_may_lie_in_another_feature(tmp_path):
    within = {"rgb": image(), "mode": F.Text(), "depth": F.Image(shape=(16, 16, 3))}
    features = {
        "step": {"view": within, "number": F.Scalar(np.int64)},
        "label": F.ClassLabel(num_classes=2),
    }
    view = {"rgb": png(3), "mode": "x", "depth": png(4)}
    example = {"step": {"view": view, "number": 5}, "label": 1}
    name = write(tmp_path / "pets", features, train=[example])
    said = refused(name)
    assert "several images, step/view/depth, step/view/rgb: choose one" in said
    said = refused(name, image="step/view/rgb")
    assert "step/view/depth may show" in said
    dropped = re.search(r"--drop (\S+),", said)[1]
    source = open_source(name, image="step/view/rgb", drop=[dropped])
    example = source.read("train", 0)
    assert (example.image == picture(3)).all()
    assert set(source.fields) == {"step/view/mode", "step/number", "label"}
    assert example.values["step/view/mode"] == "x"
    assert example.values["label"] == 1


def test_an_image_is_chosen_among_several(tmp_path):
    features = {"left": image(), "right": image(), "image": F.Text()}
    example = {"left": png(0), "right": png(1), "image": "name.png"}
    name = write(tmp_path / "pets", features, train=[example])
    said = refused(name)
    assert "choose one" in said
    chosen, dropped = re.search(r"--image (\S+) --drop (\S+)", said).groups()
    said = refused(name, image=chosen, drop=[dropped])
    also = re.search(r"--drop (\S+)", said)[1]
    assert also == "image"
    source = open_source(name, image=chosen, drop=[dropped, also])
    assert (source.read("train", 0).image == picture(0)).all()
    assert "no image of whole numbers" in refused(name, image="image")
    assert "images are left, right" in refused(name, image="up")


def test_an_empty_split_is_no_trouble(tmp_path, mix):
    features, examples = {"image": image()}, [{"image": png(0)}]
    name = write(tmp_path / "pets", features, train=examples, test=[])
    vault = ["--vault", str(tmp_path / "vault")]
    status, said = mix(name, *vault)
    assert (status, said) == (0, "")
    info = json.loads((tmp_path / "mixed" / "dataset_info.json").read_text())
    assert {split["name"] for split in info["splits"]} == {"test", "train"}
    mixed, back = str(tmp_path / "mixed"), str(tmp_path / "back")
    assert main(["verify", mixed, *vault, "--source", name]) == 0
    assert main(["unmix", mixed, back, *vault]) == 0
    restored = open_source(f"tfds:{back}")
    assert (restored.read("train", 0).image == picture(0)).all()


def test_no_images_at_all_are_said_to_be_none(tmp_path, mix):
    name = write(tmp_path / "pets", {"image": image()}, test=[])
    status, said = mix(name)
    assert status == 2
    assert f"SRC {name} has no images in test" in said
    assert len(said.splitlines()) == 1
    name = write(
        tmp_path / "more", {"image": image()}, train=[{"image": png(0)}], test=[]
    )
    assert "has no images in test" in mix(name, "--splits", "test")[1]
    assert mix(name, "--splits", "train")[0] == 0

"""Where a data set lies, and that TFDS is handed nothing but what was checked."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from train.__main__ import main as train
from vmixjax.cli import main
from vmixjax.data.formats.tfds.builder import open_prepared
from vmixjax.errors import RunError


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A data set of four images, as this package writes them."""
    root = tmp_path_factory.mktemp("prepared")
    for number in range(4):
        folder = root / "photos" / f"class-{number % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        image = np.full((8, 8, 3), 50 * number, np.uint8)
        Image.fromarray(image).save(folder / f"{number}.png")
    options = ["--tile-size", "8", "--format", "tfds"]
    assert main(["mix", str(root / "photos"), str(root / "mixed"), *options]) == 0
    return root / "mixed"


def put(prepared, folder, version):
    """The data set, where TFDS would keep it."""
    shutil.copytree(prepared, folder / version)
    info = json.loads((folder / version / "dataset_info.json").read_text())
    info["version"] = version
    (folder / version / "dataset_info.json").write_text(json.dumps(info))


def test_the_newest_version_is_taken_or_the_one_that_is_named(prepared, tmp_path):
    for version in ("1.0.0", "1.10.0", "1.2.0"):
        put(prepared, tmp_path / "pets", version)
    for name, version in (
        ("pets", "1.10.0"),
        ("pets:1.2.0", "1.2.0"),
        ("pets:1.*.*", "1.10.0"),
    ):
        found = open_prepared(name, str(tmp_path))
        assert Path(found.data_dir) == tmp_path / "pets" / version
        assert found.info.splits["train"].shard_lengths == [4]
    with pytest.raises(RunError, match=r"TFDS has no data set 'pets:2\.0\.0'"):
        open_prepared("pets:2.0.0", str(tmp_path))


def test_a_config_is_found_where_there_is_one_or_it_is_named(prepared, tmp_path):
    put(prepared, tmp_path / "pets" / "small", "1.0.0")
    for name in ("pets", "pets/small", "pets/small:1.0.0"):
        found = open_prepared(name, str(tmp_path))
        assert Path(found.data_dir) == tmp_path / "pets" / "small" / "1.0.0"
    put(prepared, tmp_path / "pets" / "large", "1.0.0")
    with pytest.raises(RunError, match="name one of them: pets/large, pets/small"):
        open_prepared("pets", str(tmp_path))


@pytest.mark.parametrize(
    "name", ["../pets", "pets/..", "hf:pets", "pets/small/x", "pets/a=1", "", "a b"]
)
def test_names_that_name_no_data_set_are_said_to(tmp_path, name):
    with pytest.raises(RunError, match="TFDS has no data set"):
        open_prepared(name, str(tmp_path))


def test_what_is_not_prepared_comes_with_the_command(tmp_path):
    with pytest.raises(RunError, match=r"run `tfds build cifar10 .*--data_dir="):
        open_prepared("cifar10", str(tmp_path))


def test_a_folder_of_versions_or_configs_names_those_in_it(prepared, tmp_path, capsys):
    pets = tmp_path / "data" / "pets"
    for config in ("large", "small"):
        put(prepared, pets / config, "1.0.0")
    put(prepared, pets / "large", "1.1.0")
    large = [f"tfds:{pets}/large/{version}" for version in ("1.0.0", "1.1.0")]
    small = f"tfds:{pets}/small/1.0.0"
    for folder, named in (
        (pets / "small", small),
        (pets / "large", " or ".join(large)),
        (pets, " or ".join([*large, small])),
        (pets.parent, " or ".join([*large, small])),
    ):
        message = f"{folder} is no data set, but holds what TFDS has prepared: name "
        with pytest.raises(RunError) as caught:
            open_prepared(str(folder), None)
        assert str(caught.value) == message + named
    source = ["--data.source", f"tfds:{pets / 'small'}"]
    assert train(["fit", *source, "--workdir", str(tmp_path / "w")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(f"name {small}")
    assert open_prepared(small.removeprefix("tfds:"), None).info.splits

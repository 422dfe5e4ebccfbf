"""From an owner's clean images to somebody who has nothing but the release."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from train import data
from train.checkpoints import read_run
from train.config import Config, Data, Mixing, Model, Optimizer
from train.examples import Arrays
from train.fit import fit
from train.label import label, probabilities
from train.metrics import read
from train.releases import as_released, mix_once
from train.tasks.classify import Classify
from vmixjax.cli import main as vmixjax
from vmixjax.errors import RunError

SHORT = Config(batch_size=8, steps=6, every=6)


@pytest.fixture(scope="module")
def owner(tmp_path_factory, digits):
    """The owner's folder: images, a teacher, its soft labels, and a release of them."""
    root = tmp_path_factory.mktemp("owner")
    images = root / "images"
    shutil.copytree(digits / "private", images)
    clean = dataclasses.replace(
        SHORT,
        data=Data(f"folder:{images}"),
        mixing=Mixing("off", tile_size=8, ladder=((8, 1),)),
    )
    fit(clean, root / "teacher")
    assert label(root / "teacher", root / "soft.npz", source=str(images)) == 30
    given = ["--tile-size", "8", "--ladder", "8:1", "--soft-labels"]
    options = ["--format", "tfds", *given, str(root / "soft.npz")]
    assert vmixjax(["mix", str(images), str(root / "release"), *options]) == 0
    return root


@pytest.fixture(scope="module")
def release(owner, tmp_path_factory):
    """The release, where nothing else of the owner's is."""
    place = tmp_path_factory.mktemp("elsewhere") / "release"
    shutil.copytree(owner / "release", place)
    return place


def test_a_teacher_tells_of_each_image_by_its_name(owner):
    told = np.load(owner / "soft.npz")
    assert sorted(told["names"]) == sorted(
        str(path.relative_to(owner / "images"))
        for path in (owner / "images").rglob("*.png")
    )
    assert told["probabilities"].shape == (30, len(told["classes"]))
    np.testing.assert_allclose(told["probabilities"].sum(1), 1, atol=1e-5)
    # The same as of the images that the run learned from, which are nine tenths.
    learned = data.load(read_run(owner / "teacher").config, "train")
    own = probabilities(owner / "teacher", learned)
    assert own.shape == (len(learned), len(told["classes"]))
    for row in own:
        assert np.isclose(told["probabilities"], row, atol=1e-5).all(1).any()


def test_a_release_needs_nothing_but_itself(owner, release, tmp_path):
    gone = owner.with_name("hidden")
    owner.rename(gone)
    try:
        options = ["--batch-size", "8", "--steps", "4", "--every", "4"]
        command = [sys.executable, "-m", "train", "fit", "--workdir", str(tmp_path)]
        command += ["--data.source", f"tfds:{release}", *options]
        done = subprocess.run(
            [*command, "--optimizer.distill", "0.5"],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "HOME": str(tmp_path / "nobody")},
        )
        assert done.returncode == 0, done.stderr
    finally:
        gone.rename(owner)
    mixing = read_run(tmp_path).config.mixing
    assert (mixing.where, mixing.tile_size, mixing.ladder) == ("done", 8, ((8, 1),))


def test_a_run_on_a_release_is_mixed_as_its_owner_did(release, owner):
    config = Config(data=Data(f"tfds:{release}", shift="pixels"))
    assert as_released(config).mixing.where == "done"
    assert as_released(config).data.shift == "regions"
    assert as_released(config).mixing.config.ladder == ((8, 1),)
    clean = Config(data=Data(f"folder:{owner / 'images'}"))
    assert as_released(clean) is clean
    (release / "broken").mkdir(exist_ok=True)
    (release / "broken" / "release.json").write_text("{}")
    with pytest.raises(RunError, match=r"release\.json"):
        as_released(Config(data=Data(f"tfds:{release / 'broken'}")))


def to_learn(release):
    """What a run that distills learns from."""
    config = Config(data=Data(f"tfds:{release}"), optimizer=Optimizer(distill=0.5))
    return data.load(config, "train")


def test_each_image_has_its_own_soft_label(owner, release):
    learned = to_learn(release)
    told = np.load(owner / "soft.npz")
    assert learned.soft_labels.shape == (len(learned), len(told["classes"]))
    for index in (0, len(learned) - 1):
        row = learned[index]["soft_label"]
        (places,) = np.nonzero((told["probabilities"] == row).all(1))
        folders = {told["names"][place].split("/")[0] for place in places}
        assert learned.classes[learned[index]["label"]] in folders


def test_a_release_that_was_begun_and_not_ended_is_taught_all_the_same(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1), dtype=np.uint8)
    examples = Arrays(images, [0, 1, 0, 1])
    shape = (8, 8, 1)
    one = data.Dataset(examples, shape, ("a", "b"), Classify(SHORT, shape, 2))
    splits = {"train": one, "test": one}
    out = tmp_path / "release"
    out.mkdir()
    told = np.full((4, 2), 0.5, np.float32)
    mixing = Mixing("done", 8, ((8, 1),))
    asked = []
    for _ in range(2):
        mix_once(mixing, splits, out, lambda part: (asked.append(part), told)[1])
    assert len(asked) == 2
    assert to_learn(out).soft_labels.tolist() == told.tolist()


def test_without_soft_labels_there_is_no_teacher(tmp_path):
    config = dataclasses.replace(SHORT, optimizer=Optimizer(distill=0.5))
    with pytest.raises(RunError, match="digits has no soft_label; its owner"):
        fit(config, tmp_path)


def test_a_run_can_start_from_another(owner, tmp_path):
    run = read_run(owner / "teacher")
    start = str(owner / "teacher")
    config = dataclasses.replace(run.config, start_from=start, steps=1, every=1, seed=9)
    config = dataclasses.replace(
        config, optimizer=dataclasses.replace(config.optimizer, learning_rate=1e-9)
    )
    outcome = fit(config, tmp_path / "run")
    taught = [
        line["test_loss"] for line in read(owner / "teacher") if "test_loss" in line
    ]
    # But for the statistics of its norms, which one step moves.
    assert outcome.values["loss"] == pytest.approx(taught[-1], rel=0.2)
    other = dataclasses.replace(
        config, model=Model("resnet8", width=8), data=Data("digits")
    )
    with pytest.raises(RunError, match=r"--start-from .* is a run of another model"):
        fit(other, tmp_path / "other")


def test_a_teacher_is_told_of_images_as_it_learned_them(owner, tmp_path):
    images, release = str(owner / "images"), f"tfds:{owner / 'release'}"
    with pytest.raises(RunError, match=r"--source \S+ is a release, and --workdir"):
        label(owner / "teacher", tmp_path / "soft.npz", source=release)
    config = dataclasses.replace(SHORT, data=Data(release), mixing=Mixing(form="plain"))
    fit(config, tmp_path / "run")
    run = read_run(tmp_path / "run")
    assert run.config.mixing.where == "done"
    label(tmp_path / "run", tmp_path / "mixed.npz", source=release)
    label(tmp_path / "run", tmp_path / "clean.npz", source=images)
    clean = np.load(tmp_path / "clean.npz")
    # What it would say of them as they are.
    unmixed = data.load(read_run(owner / "teacher").config, "train")
    for row in probabilities(tmp_path / "run", unmixed):
        assert not np.isclose(clean["probabilities"], row, atol=1e-5).all(1).any()
    learned = data.load(run.config, "train")
    mixed = np.load(tmp_path / "mixed.npz")["probabilities"]
    for row in probabilities(tmp_path / "run", learned):
        assert np.isclose(mixed, row, atol=1e-5).all(1).any()


def test_what_a_teacher_learned_from_is_told_of_as_it_was(owner, tmp_path):
    # Mixed already, as the run was told, though it is no release.
    source = f"folder:{owner / 'images'}"
    mixing = Mixing("done", tile_size=8, ladder=((8, 1),), form="plain")
    fit(dataclasses.replace(SHORT, data=Data(source), mixing=mixing), tmp_path / "run")
    label(tmp_path / "run", tmp_path / "soft.npz")
    told = np.load(tmp_path / "soft.npz")["probabilities"]
    learned = data.load(read_run(tmp_path / "run").config, "train")
    for row in probabilities(tmp_path / "run", learned):
        assert np.isclose(told, row, atol=1e-5).all(1).any()


def test_what_is_labelled_has_the_size_that_the_teacher_knows(owner, tmp_path):
    from PIL import Image

    (tmp_path / "0").mkdir()
    Image.new("L", (24, 24)).save(tmp_path / "0" / "large.png")
    with pytest.raises(RunError, match=r"large\.png is 24 x 24, and the teacher"):
        label(owner / "teacher", tmp_path / "soft.npz", source=str(tmp_path))
    assert not (tmp_path / "soft.npz").exists()
    assert json.loads((owner / "teacher" / "run.json").read_text())

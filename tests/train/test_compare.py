"""What mixing costs: arms, their runs, and what is told of them."""

import dataclasses
import json
import re

import pytest

from train.__main__ import main
from train.axes import Axes
from train.checkpoints import read_run
from train.compare import Arm, _described, _End, _side_by_side, arms_of, draw, table
from train.presets import PRESETS
from train.recipes import RECIPES, named
from vmixjax.errors import RunError

SMALL = PRESETS["cifar10_small"]


@pytest.mark.long
def test_it_writes_a_table_and_goes_on(tmp_path, capsys):
    options = ["--preset", "digits", "--out", str(tmp_path), "--across", "4"]
    options += ["--steps", "20", "--every", "20", "--forms", "regions"]
    options += ["--recipes", "distill", "--protocols", "step", "release"]
    assert main(["compare", *options]) == 2
    assert "--recipes: distill is for releases" in capsys.readouterr().err
    options.remove("step")
    assert main(["compare", *options]) == 0
    out = capsys.readouterr().out
    assert re.search(r"release, regions, distill +4 +[\d.]+ %", out)
    result = json.loads((tmp_path / "compare.json").read_text())
    told = [(a["protocol"], a["across"], a["recipe"]) for a in result["arms"]]
    assert told == [
        ("clean", 0, "base"),
        ("release", 4, "distill"),
    ]
    assert all(len(arm["scores"]) == 1 for arm in result["arms"])
    assert all(0 <= arm["train_accuracy"] <= 1 for arm in result["arms"])
    assert (tmp_path / "compare.png").read_bytes().startswith(b"\x89PNG")
    run = read_run(tmp_path / "release-regions-distill-4-0").config
    assert run.data.source.endswith("releases/independent-4-clean-0")
    assert (run.mixing.where, run.mixing.tile_size) == ("done", 8)
    # Of a release nothing tells what it has cost.
    release = ["--data.source", run.data.source, "--out", str(tmp_path / "other")]
    assert main(["compare", *options, *release]) == 2
    assert "is mixed already, and only clean images" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()
    # Nothing is trained again.
    before = (tmp_path / "clean-0" / "metrics.jsonl").read_text()
    assert main(["compare", *options]) == 0
    assert (tmp_path / "clean-0" / "metrics.jsonl").read_text() == before


def test_arms_are_all_combinations_that_there_can_be():
    axes = Axes(
        forms=("plain", "regions", "tuples"),
        channels=("independent", "shared"),
        across=(16, 8),
        optimizers=("adam", "st_adam"),
    )
    arms = arms_of(axes, SMALL, 32)
    assert arms[0] == Arm("clean", "plain", "independent", 0, "base", "adam")
    # Two protocols, finenesses and optimisers; tuples are of shared channels only.
    assert len(arms) == 1 + 8 * 5
    assert len({arm.folder for arm in arms}) == len(arms)
    names = {arm.line for arm in arms}
    assert "release, tuples, shared, st_adam" in names
    assert len(names) == 1 + (len(arms) - 1) // 2


def test_without_a_choice_there_are_as_many_regions_as_the_config_has():
    assert {arm.across for arm in arms_of(Axes(), SMALL, 32)} == {0, 8}


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        (Axes(across=(5,)), "--across 5 does not divide images of 32"),
        (Axes(across=(0,)), "--across 0 does not divide"),
        (Axes(recipes=("flip",)), "--recipes.*flip.*did you mean flips"),
    ],
)
def test_what_cannot_be_compared_is_refused(axes, words):
    with pytest.raises(RunError, match=words):
        arms_of(axes, SMALL, 32)


def test_an_arm_has_a_config_of_its_own():
    mixed = Arm("release", "regions", "shared", 16, "jitter", "sgd")
    config = mixed.of(SMALL, 32, seed=7)
    assert config.mixing.config.ladder == ((2, 1),)
    assert (config.mixing.where, config.mixing.channels) == ("done", "shared")
    assert (config.optimizer.name, config.seed) == ("sgd", 7)
    assert config.data.jitter > SMALL.data.jitter
    clean = Arm("clean", "plain", "independent", 0, "base", "adam").of(SMALL, 32, 0)
    assert clean.mixing.where == "off"


@pytest.mark.parametrize("name", RECIPES)
def test_each_recipe_changes_something_and_says_what(name):
    recipe = RECIPES[name]
    for where in ("off", "step", "done"):
        mixing = dataclasses.replace(SMALL.mixing, where=where)
        config = dataclasses.replace(SMALL, mixing=mixing)
        changed = recipe.change(config)
        assert changed.mixing.where == where
        assert changed.steps == config.steps
    assert recipe.about
    assert recipe.about[0] != "T"


def test_recipes_are_taken_together():
    both = named("shifts+distill")
    assert both.taught
    config = both.change(SMALL)
    assert config.data == RECIPES["shifts"].change(SMALL).data
    assert config.optimizer == RECIPES["distill"].change(SMALL).optimizer
    # The last one has the last word.
    assert named("shifts+flips").change(SMALL).data.augment == "flip"
    with pytest.raises(RunError, match=r"--recipes.*nothing"):
        named("shifts+nothing")


def test_an_arm_begins_anew_beside_one_that_does_not():
    started = dataclasses.replace(SMALL, start_from="runs/public")
    assert named("scratch").change(started) == SMALL


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("folder:/home/anna/photos", "folder:photos"),
        ("tfds:~/sets/photos", "tfds:photos"),
        ("tfds:cifar10/3.0.2", "tfds:cifar10/3.0.2"),
        ("digits", "digits"),
    ],
)
def test_where_data_are_kept_is_not_told(source, told):
    config = dataclasses.replace(
        SMALL,
        data=dataclasses.replace(SMALL.data, source=source, data_dir="/home/anna"),
        start_from="/home/anna/runs/public",
    )
    described = _described(config)["config"]
    assert described["data"]["source"] == told
    assert described["start_from"] == "public"
    assert "anna" not in json.dumps(described)


ARM = {
    "protocol": "release",
    "across": 8,
    "train_accuracy": 0.5,
    "scores": [0.5],
    "curves": [[(1, 0.5)]],
}


def test_the_table_has_points_lost_and_the_spread_over_seeds(tmp_path):
    arms = [
        {**ARM, "name": name, "across": across, "mean": mean, "deviation": deviation}
        for name, across, mean, deviation in (
            ("clean, flips", 0, 0.89, 0.01),
            ("clean", 0, 0.9, 0.01),
            ("release", 8, 0.87, 0.002),
            ("release", 16, 0.88, None),
        )
    ]
    result = {"title": "accuracy", "arms": arms}
    rows = [re.split("  +", line.strip()) for line in table(result).split("\n")]
    assert rows[1:] == [
        ["clean, flips", "89.00 % ± 1.00", "1.00", "50.0 %"],
        ["clean", "90.00 % ± 1.00", "0.00", "50.0 %"],
        ["release", "8", "87.00 % ± 0.20", "3.00", "50.0 %"],
        ["release", "16", "88.00 %", "2.00", "50.0 %"],
    ]
    # Where not all have as many seeds, each says how many.
    arms[3]["scores"] = [0.87, 0.88, 0.89]
    told = [line.split()[-1] for line in table(result).split("\n")]
    assert told == ["seeds", *(str(len(arm["scores"])) for arm in arms)]
    draw(result, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_ends_of_curves_share_a_label_where_no_other_lies_between():
    eights, fours = (60.0, 72.0, 71.0, 61.5, 70.5), (71.5, 50.0)
    ends = [_End(score, 9.0, "8") for score in eights]
    ends += [_End(score, 9.0, "4") for score in fours]
    found = _side_by_side(ends, 2.0)
    assert [(near[0].told, [end.score for end in near]) for near in found] == [
        ("4", [50.0]),
        ("8", [60.0, 61.5]),
        ("8", [70.5, 71.0]),
        ("4", [71.5]),
        ("8", [72.0]),
    ]
    assert _side_by_side([], 2.0) == []

"""The commands from end to end, as a user calls them."""

import json
import re

import pytest
from PIL import Image

from train import data
from train.__main__ import main
from train.config import Config
from train.presets import PRESETS


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A workdir with a short run on digits."""
    workdir = tmp_path_factory.mktemp("run") / "digits"
    options = ["--preset", "digits", "--workdir", str(workdir)]
    assert main(["fit", *options, "--steps", "60", "--every", "30"]) == 0
    return workdir


@pytest.fixture
def digits(tmp_path):
    """Test images as files, named by what they show."""
    test = data.load(Config(), "test")
    paths = []
    for i in range(3):
        path = tmp_path / f"{i}-shows-{int(test[i]['label'])}.png"
        Image.fromarray(test[i]["image"][..., 0]).save(path)
        paths.append(str(path))
    return paths


def test_evaluate_tells_the_accuracy_on_mixed_images(trained, capsys):
    assert main(["evaluate", "--workdir", str(trained)]) == 0
    out = capsys.readouterr().out
    assert float(re.search(r"test accuracy ([\d.]+)%", out)[1]) > 60
    assert main(["evaluate", "--workdir", str(trained), "--mixes", "2"]) == 0


def test_predict_names_classes_and_probabilities(trained, digits, capsys):
    assert main(["predict", *digits, "--workdir", str(trained), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["path"] for one in told] == digits
    right = 0
    for one, path in zip(told, digits, strict=True):
        assert sorted(one["classes"]) == list("0123456789")
        assert one["probabilities"] == sorted(one["probabilities"], reverse=True)
        assert sum(one["probabilities"]) == pytest.approx(1, abs=1e-4)
        right += path.endswith(f"shows-{one['classes'][0]}.png")
    assert right >= 2
    assert main(["predict", digits[0], "--workdir", str(trained), "--top", "2"]) == 0
    assert re.fullmatch(
        r".*0-shows-\d.png: \d [\d.]+%, \d [\d.]+%\n", capsys.readouterr().out
    )


def test_predict_takes_images_that_are_mixed_already(trained, digits, tmp_path, capsys):
    from vmixjax.cli import main as vmixjax

    options = ["--tile-size", "8", "--ladder", "8:1"]
    assert vmixjax(["mix", digits[0], str(tmp_path / "mixed"), *options]) == 0
    mixed = str(next((tmp_path / "mixed").iterdir()))
    capsys.readouterr()
    assert main(["predict", mixed, "--workdir", str(trained), "--mixed"]) == 0
    capsys.readouterr()
    Image.open(mixed).crop((0, 0, 24, 24)).save(tmp_path / "small.png")
    small = str(tmp_path / "small.png")
    assert main(["predict", small, "--workdir", str(trained), "--mixed"]) == 2
    assert "resize before mixing" in capsys.readouterr().err
    assert main(["predict", small, "--workdir", str(trained)]) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fit", "--preset", "digit"], "--preset 'digit' is none of digits"),
        (["fit", "--model.name", "resent18"], "did you mean resnet18"),
        (["evaluate"], "holds no run"),
        (["predict", "x.png"], "holds no run"),
    ],
)
def test_complaints_are_one_line(tmp_path, capsys, arguments, words):
    workdir = ["--workdir", str(tmp_path / "none")]
    assert main([*arguments, *workdir]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert words in err
    assert err.count("\n") == 1
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("command", ["fit", "evaluate", "predict", "label", "compare"])
def test_help_ends_with_an_example(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(f"Example: python -m train {command} ")


def test_help_shows_what_a_preset_sets(capsys):
    with pytest.raises(SystemExit):
        main(["fit", "--preset", "cifar10", "--help"])
    out = capsys.readouterr().out
    assert PRESETS["cifar10"].data.source in out

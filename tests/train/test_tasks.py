"""Boxes and masks are learned from end to end, clean and mixed, wherever it runs."""

import json
import os
import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from small_scenes import COLOURS, COUNTS, OBJECTS, SIDE, scene, write_scenes

from train import data, predict
from train.__main__ import main
from train.checkpoints import Run
from train.config import Config, Data, Mixing
from train.metrics import points, read
from train.releases import as_released, mix_once
from train.tasks.segment import IGNORED
from vmixjax.data.codecs.png import write_png
from vmixjax.errors import RunError

TASKS = {"detect": "ap50", "segment": "mean_iou"}
STEPS, EVERY = 60, 20
FITS = """
import json
import sys
from pathlib import Path
import jax
from train.checkpoints import read_run
from train.config import from_values
from train.fit import fit

jobs, *together = sys.argv[1:]
if together:
    jax.distributed.initialize(together[0], 2, int(together[1]))
for values, workdir, resume in json.loads(jobs):
    fit(from_values(values), Path(workdir), resume=resume)
"""
"""Several runs one after the other, which is quicker than one process for each."""


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return write_scenes(tmp_path_factory.mktemp("scenes") / "scenes")


def values_of(task, where, source):
    """The options of a run, as JSON has them."""
    return {
        "task": task,
        "data": {"source": source, "augment": "flip", "boxes": 4},
        "mixing": {"where": where, "tile_size": 4, "ladder": [[4, 1]]},
        "model": {"name": "resnet8", "width": 8, "decoder": 16},
        "optimizer": {"learning_rate": 1e-2 if task == "detect" else 2e-2},
        "batch_size": 8,
        "steps": STEPS,
        "every": EVERY,
    }


def started(jobs, *together, devices=1):
    """Starts runs; what others have compiled before is not compiled again."""
    flags = f"--xla_force_host_platform_device_count={devices}"
    return subprocess.Popen(
        [sys.executable, "-c", FITS, json.dumps(jobs), *together],
        env={**os.environ, "XLA_FLAGS": flags},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    try:
        _, err = process.communicate(timeout=900)
    finally:
        process.kill()
    assert process.returncode == 0, err


def run_each(root, where, scenes):
    """Runs each task, into a folder of its name and `where`."""
    jobs = [
        (values_of(task, where, scenes), str(root / f"{task}-{where}"), False)
        for task in TASKS
    ]
    finish(started(jobs))


@pytest.fixture(scope="module")
def runs(scenes, tmp_path_factory):
    """Folder of a run of each task on images that are mixed in the step."""
    root = tmp_path_factory.mktemp("runs")
    run_each(root, "step", scenes)
    return root


def notes(workdir):
    return [
        {name: value for name, value in line.items() if name != "images_per_second"}
        for line in read(workdir)
    ]


@pytest.mark.parametrize("task", TASKS)
def test_a_short_run_learns(runs, task):
    check_it_learned(task, runs / f"{task}-step")


@pytest.mark.long
def test_a_short_run_learns_from_clean_images(scenes, tmp_path):
    run_each(tmp_path, "off", scenes)
    for task in TASKS:
        check_it_learned(task, tmp_path / f"{task}-off")


def check_it_learned(task, workdir):
    lines = read(workdir)
    losses = [loss for _, loss in points(lines, "loss")]
    assert losses[-1] < 0.6 * losses[0]
    scores = [score for _, score in points(lines, f"test_{TASKS[task]}")]
    assert len(scores) == STEPS // EVERY
    assert scores[-1] > 0.5
    if task == "segment":
        accuracy = points(lines, "test_pixel_accuracy")[-1][1]
        assert accuracy > 0.9
        (_, first), *_, (_, last) = points(lines, "test_loss")
        assert last < first


@pytest.mark.long
def test_a_run_that_was_killed_ends_in_the_same_bits(runs, tmp_path):
    jobs = []
    for task in TASKS:
        whole, workdir = runs / f"{task}-step", tmp_path / task
        shutil.copytree(whole, workdir)
        shutil.rmtree(workdir / "checkpoints" / str(STEPS))
        jobs.append(
            (json.loads((whole / "run.json").read_text())["config"], str(workdir), True)
        )
    finish(started(jobs))
    for task in TASKS:
        whole, workdir = runs / f"{task}-step", tmp_path / task
        ends = [
            json.loads((one / f"checkpoints/{STEPS}/fingerprint/metadata").read_text())
            for one in (whole, workdir)
        ]
        assert ends[0] == ends[1]
        assert notes(workdir) == notes(whole)


@pytest.mark.long
@pytest.mark.parametrize(("task", "processes"), [("segment", 1), ("detect", 2)])
def test_eight_devices_and_two_processes_learn_the_same(
    runs, scenes, tmp_path, task, processes
):
    jobs = [(values_of(task, "step", scenes), str(tmp_path / "run"), False)]
    if processes == 1:
        finish(started(jobs, devices=8))
    else:
        with socket.socket() as free:
            free.bind(("localhost", 0))
            at = f"localhost:{free.getsockname()[1]}"
        both = [started(jobs, at, str(i)) for i in range(2)]
        for process in both:
            finish(process)
    one, other = notes(runs / f"{task}-step"), notes(tmp_path / "run")
    assert len(one) == len(other)
    for mine, theirs in zip(one, other, strict=True):
        losses = {name for name in mine if name in ("loss", "test_loss")}
        for name in losses:
            assert mine[name] == pytest.approx(theirs[name], rel=2e-2), name
    # Each image has its own answers.
    scores = [points(each, f"test_{TASKS[task]}")[-1][1] for each in (one, other)]
    assert scores[0] == pytest.approx(scores[1], abs=0.05)


@pytest.mark.parametrize("task", TASKS)
def test_what_is_found_is_told_and_drawn_on_both_pictures(runs, tmp_path, task):
    # More than are in a batch, and one.
    seeds = [1, 2] + [1] * 7
    paths = [tmp_path / f"{number}.png" for number in range(len(seeds))]
    for seed, path in zip(seeds, paths, strict=True):
        write_png(path, scene(seed)[0])
    write_png(tmp_path / "clean.png", scene(3)[0])
    told = predict.predict(
        runs / f"{task}-step",
        paths,
        mixed=True,
        draw=tmp_path / "drawn",
        originals=[tmp_path / "clean.png"] * len(paths),
    )
    assert [answer.path for answer in told] == [str(path) for path in paths]
    drawn = sorted((tmp_path / "drawn").iterdir())
    assert [path.name for path in drawn] == [f"{i:05}-{i}.png" for i in range(9)]
    # The same image has the same answer, in whatever batch.
    assert vars(told[0]) | {"path": ""} == vars(told[8]) | {"path": ""}
    assert vars(told[0]) | {"path": ""} != vars(told[1]) | {"path": ""}
    large = SIDE * (240 // SIDE)
    for path in drawn:
        with Image.open(path) as picture:
            assert picture.size == (2 * large + 8, large)


def test_clean_pictures_are_mixed_for_what_learned_from_a_release(runs, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(runs / "segment-step", workdir)
    run = json.loads((workdir / "run.json").read_text())
    run["config"]["mixing"]["where"] = "done"
    (workdir / "run.json").write_text(json.dumps(run))
    write_png(tmp_path / "clean.png", scene(3)[0])
    predict.predict(workdir, [tmp_path / "clean.png"], draw=tmp_path / "drawn")
    (drawn,) = (tmp_path / "drawn").iterdir()
    with Image.open(drawn) as picture:
        # What the model was given, and beside it what that was.
        assert picture.width == 2 * picture.height + 8


def loaded(task, source, **options):
    return data.load(Config(task=task, data=Data(source, boxes=4, **options)), "train")


def test_boxes_and_masks_are_read_with_their_images(scenes):
    boxes, masks = loaded("detect", scenes), loaded("segment", scenes)
    assert boxes.classes == OBJECTS
    assert masks.classes == ("nothing", "red", "blue")
    assert len(boxes) == len(masks) == COUNTS["train"]
    for seed in range(4):
        image, objects, mask = scene(seed)
        one, other = boxes[seed], masks[seed]
        np.testing.assert_array_equal(one["image"], image)
        np.testing.assert_array_equal(other["image"], image)
        numbers = [OBJECTS.index(name) for name, _ in objects]
        count = len(numbers)
        assert one["box_labels"].tolist() == numbers + [-1] * (4 - count)
        np.testing.assert_allclose(
            one["boxes"][:count], [box for _, box in objects], atol=1e-4
        )
        learned = np.array([0, 1, IGNORED, 2], np.uint8)[mask]
        np.testing.assert_array_equal(other["mask"], learned)


@pytest.mark.parametrize(
    ("shape", "inside"),
    [((64, 64), (64, 64)), ((64, 96), (64, 64)), ((80, 64), (64, 64))],
)
def test_letterboxes_keep_boxes_and_masks_where_they_belong(scenes, shape, inside):
    boxes = loaded("detect", scenes, image_shape=shape)
    masks = loaded("segment", scenes, image_shape=shape)
    assert boxes.shape == masks.shape == (*shape, 3)
    for seed in range(6):
        _, objects, mask = scene(seed)
        one, other = boxes[seed], masks[seed]
        beyond = np.ones(shape, bool)
        beyond[: inside[0], : inside[1]] = False
        assert (one["image"][beyond] == 128).all()
        assert (other["mask"][beyond] == IGNORED).all()
        for i, (name, box) in enumerate(objects):
            np.testing.assert_allclose(one["boxes"][i], 2 * np.array(box), atol=1e-3)
            top, left, bottom, right = np.round(one["boxes"][i]).astype(int)
            # Edges are blurred.
            middle = slice(top + 2, bottom - 2), slice(left + 2, right - 2)
            assert (one["image"][middle] == COLOURS[name]).all()
            rest = slice(top, min(bottom, 62)), slice(left, right)
            label = masks.classes.index(name)
            assert (other["mask"][rest] == label).all()
        doubled = mask.repeat(2, 0).repeat(2, 1)
        learned = np.array([0, 1, IGNORED, 2], np.uint8)[doubled]
        np.testing.assert_array_equal(other["mask"][: inside[0], : inside[1]], learned)


def test_what_is_mixed_keeps_its_size_and_its_boxes_and_masks(scenes, tmp_path):
    def released(task):
        part = Data(scenes, boxes=4, image_shape=(40, 64))
        return Config(task=task, data=part, mixing=Mixing("done", 4, ((4, 1),)))

    boxes, masks = (data.load(released(task), "train") for task in TASKS)
    for seed in range(4):
        image, objects, mask = scene(seed)
        np.testing.assert_array_equal(boxes[seed]["image"][:SIDE, :SIDE], image)
        np.testing.assert_allclose(
            boxes[seed]["boxes"][: len(objects)],
            [box for _, box in objects],
            atol=1e-4,
        )
        learned = np.array([0, 1, IGNORED, 2], np.uint8)[mask]
        np.testing.assert_array_equal(masks[seed]["mask"][:SIDE, :SIDE], learned)
        assert (masks[seed]["mask"][SIDE:] == IGNORED).all()
    # Predictions are of images as they are in training.
    write_png(tmp_path / "mixed.png", scene(0)[0])
    run = Run(released("detect"), (40, 64, 3), OBJECTS)
    seen, box = predict._query(tmp_path / "mixed.png", run, mixed=True)
    np.testing.assert_array_equal(seen, boxes[0]["image"])
    assert box.inside == (SIDE, SIDE)
    write_png(tmp_path / "large.png", scene(0, 48)[0])
    words = r"large\.png: .* cannot be made smaller: use --data\.image-shape 48 64"
    with pytest.raises(RunError, match=words):
        predict._query(tmp_path / "large.png", run, mixed=True)


def test_images_that_are_too_large_become_smaller_with_what_is_in_them(tmp_path):
    source = write_scenes(tmp_path / "wide", 32, 64)
    boxes = loaded("detect", source, image_shape=(32, 32))
    masks = loaded("segment", source, image_shape=(32, 32))
    for seed in range(4):
        _, objects, mask = scene(seed, 32, 64)
        count = len(objects)
        np.testing.assert_allclose(
            boxes[seed]["boxes"][:count],
            np.array([box for _, box in objects]) / 2,
            atol=1e-3,
        )
        found = masks[seed]["mask"]
        assert (found[16:] == IGNORED).all()
        learned = np.array([0, 1, IGNORED, 2], np.uint8)[mask]
        # The nearest pixel is one of the four that become one.
        four = learned.reshape(16, 2, 32, 2).transpose(0, 2, 1, 3).reshape(16, 32, 4)
        assert (found[:16, :, None] == four).any(-1).all()


@pytest.mark.parametrize("task", TASKS)
def test_a_release_has_the_same_boxes_and_masks(scenes, tmp_path, task):
    config = Config(task=task, data=Data(scenes, boxes=4))
    splits = {split: data.load(config, split) for split in data.SPLITS}
    mixing = Mixing("done", 4, ((4, 1),))
    mix_once(mixing, splits, tmp_path / "release")
    released = Config(task=task, data=Data(f"tfds:{tmp_path / 'release'}", boxes=4))
    assert as_released(released).mixing.where == "done"
    for split, whole in splits.items():
        mixed = data.load(as_released(released), split)
        assert (mixed.classes, mixed.shape) == (whole.classes, whole.shape)
        assert len(mixed) == len(whole)
        for i in range(len(whole)):
            one, other = whole[i], mixed[i]
            assert (one["image"] != other["image"]).any()
            assert one.keys() == other.keys()
            for name in one.keys() - {"image"}:
                np.testing.assert_array_equal(one[name], other[name])


@pytest.mark.parametrize(
    ("task", "options", "words"),
    [
        ("detect", ["--optimizer.mixup", "0.2"], "--optimizer.mixup 0.2 is for --task"),
        ("detect", ["--data.image-size", "32"], "use --data.image-shape 32 32"),
        ("segment", ["--optimizer.cutmix", "1"], "--optimizer.cutmix 1.0 is for"),
        ("segment", ["--optimizer.label-smoothing", ".1"], "--optimizer.label-smooth"),
        ("segment", ["--optimizer.distill", "0.5"], "--optimizer.distill 0.5 is for"),
        ("detect", ["--optimizer.dice", "1"], "--optimizer.dice 1.0 is for --task seg"),
        ("segment", ["--data.zoom", "2", "1"], "--data.zoom must be two factors, the"),
        ("segment", ["--model.name", "cnn"], "--model.name cnn classifies whole"),
        ("segment", ["--data.image-shape", "30", "30"], "--data.image-shape 32 32"),
        ("detect", ["--data.source", "digits"], "digits has classes of images"),
        ("classify", [], "label"),
    ],
)
def test_what_is_for_other_tasks_is_refused(
    scenes, tmp_path, capsys, task, options, words
):
    run = ["fit", "--workdir", str(tmp_path / "run"), "--task", task]
    run += ["--data.source", scenes, "--batch-size", "8", *options]
    assert main(run) == 2
    out, err = capsys.readouterr()
    # Beside bars that tell how much has been read.
    (line,) = (line for line in err.splitlines() if "%|" not in line and line)
    assert words in line
    assert not out
    assert not (tmp_path / "run").exists()

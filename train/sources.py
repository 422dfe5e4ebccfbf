"""Labelled images out of data sets of any format, and the digits.

Every data set is read through `vmixjax.data`. What is decided here is which of its
images are learned from, which are for tests, and which classes there are.
"""

import difflib
import functools
import itertools
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import grain
import numpy as np

from train.config import Config, Data
from train.examples import (
    Arrays,
    Labelled,
    Part,
    Read,
    Split,
    alike,
    labels_of,
    rows_of,
    values_of,
)
from train.tasks import TASKS
from train.tasks.task import Task
from vmixjax.data import (
    FORMATS,
    Label,
    Probabilities,
    Source,
    find_files,
    open_source,
)
from vmixjax.data.digits import enlarged_digits
from vmixjax.data.probabilities import SOFT_LABEL
from vmixjax.data.splits import find_splits
from vmixjax.errors import RunError

_TESTS = ("test", "valid", "validation", "val", "dev", "eval")
"""Names of splits that are for tests: the first that there is, and not learned from."""


def open_examples(config: Config, split: Split) -> Labelled:
    """Opens a split of the data set that a config names.

    Where a data set has no splits, every tenth image of a class is for tests.

    Returns:
      Its images, with what the config's task is to learn of them.

    Raises:
      RunError: The data set is unknown or not there, or lacks the split, classes, or
        what is to be learned.
    """
    data, task = config.data, TASKS[config.task]
    if data.source == "digits":
        if task.kind is not Label:
            raise RunError(
                f"--data.source digits has classes of images, and --task {config.task} "
                f"learns from {task.needs}: name another"
            )
        both = enlarged_digits()
        counts = {"train": len(both[0].labels), "test": len(both[1].labels)}
        chosen = both[split == "test"]
        digits = Arrays(chosen.images, chosen.labels.tolist())
        return Labelled(digits, tuple("0123456789"), split, counts)
    format, _, name = data.source.partition(":")
    if format not in FORMATS or not name:
        known = ", ".join(["digits", *(f"{known}:NAME" for known in FORMATS)])
        raise RunError(
            f"--data.source {data.source!r} is none of {known}{_nearest(data.source)}"
        )
    if task.kind is Label:
        return _LAYOUTS.get(format, _by_labels)(data, name, split)
    return _by_annotations(data, name, split, task)


def _share(split: str, chosen: Split) -> str:
    """What people call the part of a split that was chosen."""
    return f"{'every tenth image' if chosen == 'test' else 'nine tenths'} of {split}"


def _by_labels(data: Data, name: str, split: Split) -> Labelled:
    """A data set whose images have labels, perhaps in splits."""
    source, field = _open_labelled(data, name, TASKS["classify"])
    training, parts, held_out, origin = _parts(data, source, field, name, split)
    label = source.fields[field]
    names = label.names if isinstance(label, Label) else None
    if source.pixels is not None and names is not None and held_out is None:
        read = Read(parts, rows_of(parts))
        return Labelled(read, names, origin, source.splits, _soft_labels(read, source))
    classes, labels = np.unique(labels_of(training), return_inverse=True)
    if parts is not training:
        found = labels_of(parts)
        if len(unknown := np.setdiff1d(found, classes)):
            raise RunError(
                f"the split {origin} of {name} has the class {unknown[0]}, which "
                f"{data.train_split} lacks"
            )
        labels = np.searchsorted(classes, found)
    told = tuple(names[number] if names else str(number) for number in classes)
    read = alike(parts, labels, held_out, training)
    soft_labels = _soft_labels(read, source)
    return Labelled(read, told, origin, source.splits, soft_labels)


def _soft_labels(read: Read, source: Source) -> Callable[[], np.ndarray] | None:
    given = isinstance(source.fields.get(SOFT_LABEL), Probabilities)
    return read.soft_labels if given else None


def _by_annotations(data: Data, name: str, split: Split, task: type[Task]) -> Labelled:
    """A data set whose images have boxes or masks, perhaps in splits."""
    source, field = _open_labelled(data, name, task)
    training, parts, held_out, origin = _parts(data, source, field, name, split)
    kind = source.fields[field]
    classes = task.classes_of(kind)
    if not classes:
        # As with numbers of classes of images, those that there are.
        found = values_of(training, rows_of(training), field, "classes")
        classes = tuple(map(str, range(1 + max(map(task.greatest, found), default=0))))
    read = alike(parts, None, held_out, training)
    examples = grain.MapDataset.source(read).map(
        lambda example: (example[0], task.learned(example[1], kind))
    )
    return Labelled(examples, classes, origin, source.splits)


def _parts(
    data: Data, source: Source, field: str, name: str, split: Split
) -> tuple[Sequence[Part], Sequence[Part], Split | None, str]:
    """What is learned from, what a split is, its share if it is one, its name."""
    learned, tests = _named_splits(data, source.splits, name)
    training = [Part(source, one, name, field) for one in learned]
    if tests is None:
        return training, training, split, _share(data.train_split, split)
    if split == "train":
        return training, training, None, data.train_split
    return training, [Part(source, tests, name, field)], None, tests


def _named_splits(
    data: Data, there: Collection[str], name: str
) -> tuple[Sequence[str], str | None]:
    """Names of what is learned from, and of what is for tests, unless it is a share.

    Raises:
      RunError: There is none of a name, or one is for both.
    """
    learned, tests = data.train_split.split("+"), data.test_split
    asked = {
        "--data.train-split": learned,
        "--data.test-split": [tests] if tests else [],
    }
    for option, names in asked.items():
        if missing := [one for one in names if one not in there]:
            raise RunError(
                f"{name} has the splits {', '.join(there)}, but no {missing[0]}: name "
                f"others with {option}"
            )
    if len({*learned, tests}) <= len(learned):
        raise RunError(
            f"--data.train-split {data.train_split}, --data.test-split {tests}: name "
            f"each split once"
        )
    left = [one for one in _TESTS if one in there and one not in learned]
    return learned, tests or next(iter(left), None)


def _open_labelled(data: Data, name: str, task: type[Task]) -> tuple[Source, str]:
    """Opens a source with no fields but what is learned and soft labels; names it."""
    place, image = data.data_dir, data.image
    opened = functools.partial(open_source, data.source, data_dir=place, image=image)
    try:
        source = opened(keep=None)
        there = [one for one in task.fields if one in source.fields]
        field = next(iter(there), "")
        if not isinstance(source.fields.get(field), task.kind):
            raise RunError(
                f"{name} has the features {', '.join(['image', *source.fields])}; "
                f"image and {task.fields[0]} are needed, {task.needs}"
            )
        # Others may be anything, and need not be read.
        others = sorted(source.fields.keys() - {field, SOFT_LABEL})
        if others:
            source = opened(drop=others)
        return source, field
    except RunError as error:
        options = "--data.source, --data.data-dir, --data.image"
        raise RunError(f"{options}: {error}") from error


def _by_folders(data: Data, name: str, split: Split) -> Labelled:
    """Folders of classes, perhaps in folders of splits."""
    root = Path(name)
    if not root.is_dir():
        raise RunError(f"--data.source folder:{root}: there is no such folder")
    names = _subfolders(root)
    below = {Path(top, one) for top in names for one in _subfolders(root / top)}
    folders = {*map(Path, names), *below}
    # Whoever names all of them knows which folders are splits.
    named = (*data.train_split.split("+"), data.test_split) if data.test_split else ()
    there = find_splits(
        f"--data.source folder:{root}", folders, None, named, option=None
    )
    learned, tests = _named_splits(data, there, name) if there else ([""], None)
    first = root / learned[0]
    classes = _subfolders(first)
    if not classes:
        raise RunError(f"{first} has no subfolders: make one for each class of images")
    tops = [root / one for one in learned]
    training, labels = _class_parts(tops, classes)
    parts, origin = training, data.train_split
    if tests is None:
        origin = _share(data.train_split if there else "it", split)
    elif split == "test":
        tops, origin = [root / tests], tests
        parts, labels = _class_parts(tops, classes)
    for top in tops:
        if unknown := set(_subfolders(top)) - set(classes):
            raise RunError(f"{top} has the class {min(unknown)}, which {first} lacks")
    read = alike(parts, labels, split if tests is None else None, training)
    counts = {one: sum(1 for _ in find_files(root / one)) for one in there}
    return Labelled(read, classes, origin, counts)


def _class_parts(
    tops: Sequence[Path], classes: Sequence[str]
) -> tuple[Sequence[Part], np.ndarray]:
    """What lies in folders of classes, and the number of the class of each image."""
    parts: list[Part] = []
    labels: list[int] = []
    for top, (label, name) in itertools.product(tops, enumerate(classes)):
        folder = top / name
        if not folder.is_dir() or next(find_files(folder), None) is None:
            raise RunError(f"{folder}, a class, has no images: fill or remove it")
        source = open_source(f"folder:{folder}")
        parts += [Part(source, there, str(folder)) for there in source.splits]
        labels += [label] * sum(source.splits.values())
    return parts, np.asarray(labels)


def _subfolders(root: Path) -> tuple[str, ...]:
    names = [path.name for path in root.iterdir() if path.is_dir()]
    return tuple(sorted(name for name in names if not name.startswith(".")))


def _nearest(name: str) -> str:
    """What somebody may have meant by the name of a data set."""
    import tensorflow_datasets as tfds

    known = ["digits", *tfds.list_builders(with_community_datasets=False)]
    near = difflib.get_close_matches(name.removeprefix("tfds:"), known)
    meant = [one if one == "digits" else f"tfds:{one}" for one in near]
    return f"; did you mean {' or '.join(meant)}?" if meant else ""


_LAYOUTS: dict[str, Callable[[Data, str, Split], Labelled]] = {"folder": _by_folders}
"""How classes and splits lie in formats whose images have no labels of their own."""

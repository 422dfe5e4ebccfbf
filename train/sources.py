"""Labelled images out of data sets of any format, and the digits.

Every data set is read through `vmixjax.data`. What is decided here is which of its
images are learned from, which are for tests, and which classes there are.
"""

import difflib
import functools
from collections.abc import Callable, Sequence
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
"""Names of splits that are for tests, the first that there is."""


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
    training, part, tests, origin = _parts(source, field, name, split)
    label = source.fields[field]
    names = label.names if isinstance(label, Label) else None
    if source.pixels is not None and names is not None and tests:
        read = Read([part], rows_of([part]))
        return Labelled(read, names, origin, source.splits, _soft_labels(read, source))
    classes, labels = np.unique(labels_of(training), return_inverse=True)
    if part is not training:
        found = labels_of(part)
        if len(unknown := np.setdiff1d(found, classes)):
            raise RunError(
                f"the split {part.split} of {name} has the class {unknown[0]}, which "
                f"train lacks"
            )
        labels = np.searchsorted(classes, found)
    told = tuple(names[number] if names else str(number) for number in classes)
    read = alike([part], labels, None if tests else split, [training])
    soft_labels = _soft_labels(read, source)
    return Labelled(read, told, origin, source.splits, soft_labels)


def _soft_labels(read: Read, source: Source) -> Callable[[], np.ndarray] | None:
    given = isinstance(source.fields.get(SOFT_LABEL), Probabilities)
    return read.soft_labels if given else None


def _by_annotations(data: Data, name: str, split: Split, task: type[Task]) -> Labelled:
    """A data set whose images have boxes or masks, perhaps in splits."""
    source, field = _open_labelled(data, name, task)
    training, part, tests, origin = _parts(source, field, name, split)
    kind = source.fields[field]
    classes = task.classes_of(kind)
    if not classes:
        # As with numbers of classes of images, those that there are.
        found = values_of([training], rows_of([training]), field, "classes")
        classes = tuple(map(str, range(1 + max(map(task.greatest, found), default=0))))
    read = alike([part], None, None if tests else split, [training])
    examples = grain.MapDataset.source(read).map(
        lambda example: (example[0], task.learned(example[1], kind))
    )
    return Labelled(examples, classes, origin, source.splits)


def _parts(
    source: Source, field: str, name: str, split: Split
) -> tuple[Part, Part, Sequence[str], str]:
    """What is learned from, what a split is, those for tests, what it is called."""
    tests = [test for test in _TESTS if test in source.splits]
    if "train" not in source.splits:
        raise RunError(
            f"{name} has the splits {', '.join(source.splits)}, but no train"
        )
    training = Part(source, "train", name, field)
    part = training._replace(split=tests[0]) if tests and split == "test" else training
    origin = part.split if tests else _share("train", split)
    return training, part, tests, origin


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
    tops = _subfolders(root)
    below = {Path(top, one) for top in tops for one in _subfolders(root / top)}
    folders = {*map(Path, tops), *below}
    there = find_splits(f"--data.source folder:{root}", folders, option=None)
    tests = [test for test in _TESTS if test in there]
    if there and "train" not in there:
        raise RunError(f"{root} has the splits {', '.join(there)}, but no train")
    named = root / "train" if there else root
    top = root / tests[0] if tests and split == "test" else named
    classes = _subfolders(named)
    if not classes:
        raise RunError(f"{named} has no subfolders: make one for each class of images")
    training, labels = _class_parts(named, classes)
    parts = training
    if top != named:
        parts, labels = _class_parts(top, classes)
    unknown = set(_subfolders(top)) - set(classes)
    if unknown:
        raise RunError(f"{top} has the class {min(unknown)}, which {named} lacks")
    read = alike(parts, labels, None if tests else split, training)
    counts = {one: sum(1 for _ in find_files(root / one)) for one in there}
    origin = top.name if tests else _share("train" if there else "it", split)
    return Labelled(read, classes, origin, counts)


def _class_parts(
    top: Path, classes: Sequence[str]
) -> tuple[Sequence[Part], np.ndarray]:
    """What lies in folders of classes, and the number of the class of each image."""
    parts: list[Part] = []
    labels: list[int] = []
    for label, folder in enumerate(top / name for name in classes):
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

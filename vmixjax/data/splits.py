"""Which folders are splits of a data set, and which are classes.

Taking one for the other is not noticed: a network learns to tell training images from
validation images, or learns from its tests. So where names leave doubt, it is asked.
"""

from collections.abc import Collection, Sequence
from pathlib import PurePath

from vmixjax._printable import listed
from vmixjax.data.words import words
from vmixjax.errors import RunError

SPLIT_NAMES = ("train", "valid", "validation", "val", "dev", "eval", "test")
"""Folders of these names are splits, whatever stands beside them."""

_LIKE = {
    **{name: name for name in SPLIT_NAMES},
    "training": "train",
    "validating": "valid",
    "development": "dev",
    "evaluation": "eval",
    "testing": "test",
}
"""Words that say which split is meant."""

_BESIDE = frozenset(
    (
        *("data", "dataset", "fold", "folder", "image", "images", "img", "imgs"),
        *("part", "set", "sets", "split"),
    )
)
"""Words that say nothing beside them."""


def meant_split(name: str) -> str | None:
    """Tells which split a name looks like; None where it looks like something else.

    >>> meant_split("Training"), meant_split("test_images_2"), meant_split("testudo")
    ('train', 'test', None)
    """
    # As in `trainset`.
    known = [word.removesuffix("set").removesuffix("data") for word in words(name)]
    splits = [_LIKE[word] for word in known if word in _LIKE]
    rest = [word for word in known if word and word not in _LIKE]
    return splits[0] if splits and _BESIDE.issuperset(rest) else None


def find_splits(
    source: str,
    folders: Collection[PurePath],
    loose: str | None = None,
    wanted: Sequence[str] = (),
    *,
    option: str | None = "--splits",
) -> list[str]:
    """Finds the splits among the top folders of a data set.

    Args:
      source: What complaints call it.
      folders: Paths of all folders that hold images.
      loose: Name of a file that lies beside the top folders, if there is one.
      wanted: Splits that the user named: folders that are called so are splits.
      option: Option that they can be named with, if there is one.

    Returns:
      Their names; none where all top folders are classes.

    Raises:
      RunError: Names leave it open which are splits, and which are classes.
    """
    tops = sorted({folder.parts[0] for folder in folders if folder.parts})
    named = [top for top in tops if top in wanted]
    splits = [top for top in tops if top in SPLIT_NAMES or top in wanted]
    beside = [top for top in tops if top not in splits] + ([loose] if loose else [])
    if splits and beside and not named:
        leave = f"leave the rest out with {option} {' '.join(splits)}, or "
        raise RunError(
            f"{source} has {listed(beside)} beside {listed(splits)}, as splits are "
            f"called: {leave if option else ''}move the rest elsewhere; a class that "
            f"is called so needs another name"
        )
    taken = named or splits
    if taken:
        _check_inside_splits(source, folders, taken)
    else:
        _check_classes(source, tops, option)
        _check_inside_classes(source, folders, tops)
    return taken


def split_of_file(name: str) -> str | None:
    """Tells the split that a file's name says it is of; None where it says none.

    >>> split_of_file("cc3m-train-0001"), split_of_file("photos")
    ('train', None)
    """
    named = {word for word in words(name) if word in SPLIT_NAMES}
    return named.pop() if len(named) == 1 else None


def _check_classes(source: str, tops: Sequence[str], option: str | None) -> None:
    like = {top: split for top in tops if (split := meant_split(top)) is not None}
    named = f"name splits with {option} {' '.join(like)}, or " if option else ""
    for top, split in like.items():
        raise RunError(
            f"{source} has the folder {top}, which looks like a split: {named}rename "
            f"it, to {split} or to what its class is"
        )


def _check_inside_classes(
    source: str, folders: Collection[PurePath], tops: Sequence[str]
) -> None:
    """Refuses `cat/train`, `dog/train`; but some folder deep down may be called so."""
    below: dict[str, set[str]] = {}
    for folder in folders:
        for name in set(folder.parts[1:]) & set(SPLIT_NAMES):
            below.setdefault(name, set()).add(folder.parts[0])
    for name, within in below.items():
        if within == set(tops):
            raise RunError(
                f"{source} has folders {name} inside of {listed(tops)}, where they "
                f"would be classes: move them above, as in {name}/{tops[0]}, or give "
                f"them other names"
            )


def _check_inside_splits(
    source: str, folders: Collection[PurePath], splits: Sequence[str]
) -> None:
    """Refuses `train/train`, but not where it is one class of several."""
    parts = sorted(folder.parts for folder in folders)
    within = [some for some in parts if len(some) > 1 and some[0] in splits]
    if within and all(meant_split(some[1]) for some in within):
        raise RunError(
            f"{source} has the class {within[0][1]} in the split "
            f"{within[0][0]}, which looks like a split as well: move what is in "
            f"it up, or rename it"
        )

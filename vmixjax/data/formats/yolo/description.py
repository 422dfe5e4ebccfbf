"""`data.yaml`: the names of classes, and the folder of images of each split."""

import json
import os
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import yaml

from vmixjax.data.bounded import read_bounded
from vmixjax.data.formats.sidecars.numbers import short
from vmixjax.data.inside import inside
from vmixjax.data.splits import SPLIT_NAMES
from vmixjax.errors import RunError

NAMES = ("data.yaml", "data.yml", "dataset.yaml")
"""What the file is called in the folder of a data set."""

NO_SPLITS = frozenset({"path", "names", "nc"})
"""Entries that are none of a split, whatever a release calls its splits."""

_CLASSES = ("classes.txt", "labels/classes.txt")
"""Other files that have a name of a class in each line."""

_MOST_BYTES = 2**18
_MOST_CLASSES = 2**14
_NOTHING = ("", "~", "null")
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_ALIKE = ("valid", "validation", "dev", "eval")
"""Splits that are given as `val`, too, by which trainers ask for it."""


class Description(NamedTuple):
    """What is said of a data set.

    Attributes:
      names: Names of the classes.
      folders: For each split the path of the folder of its images; none where the
        folders themselves have to tell.
    """

    names: tuple[str, ...]
    folders: Mapping[str, str]


def describe(root: Path, file: str | None, *, released: bool) -> Description:
    """Reads what is said of a data set.

    Args:
      root: Folder of the data set.
      file: Name of the YAML file in it, where the user named it.
      released: Whether it is a release, whose splits may be called anything.

    Raises:
      RunError: Nothing is said, or something that cannot be.
    """
    there = [name for name in NAMES if (root / name).is_file()]
    if file is not None or there:
        path = root / (file or there[0])
        content = _load(path)
        return Description(
            _names(path, content), _folders(root, path, content, released=released)
        )
    for name in _CLASSES:
        if (root / name).is_file():
            lines = _text(root / name).split("\n")
            names = [line.strip() for line in lines if line.strip()]
            return Description(_checked(root / name, names), {})
    raise RunError(
        f"SRC {root} has neither {NAMES[0]} nor {_CLASSES[0]}, which name its classes; "
        f"add one"
    )


def render(names: Sequence[str], splits: Collection[str]) -> bytes:
    """Gives the `data.yaml` of a release, whose images lie in `images/SPLIT`."""
    folders = [(split, f"images/{split}") for split in splits]
    alike = [split for split in splits if split in _ALIKE]
    if "val" not in splits and len(alike) == 1:
        folders.append(("val", f"images/{alike[0]}"))
    lines = [f"{_key(split)}: {_quoted(folder)}" for split, folder in folders]
    lines += [f"nc: {len(names)}", "names:"]
    lines += [f"  {number}: {_quoted(name)}" for number, name in enumerate(names)]
    return "".join(f"{line}\n" for line in lines).encode()


def _key(split: str) -> str:
    return split if _PLAIN.fullmatch(split) else _quoted(split)


def _quoted(text: str) -> str:
    # Strings of JSON are such of YAML; but escapes of YAML do not come in pairs.
    return json.dumps(text, ensure_ascii=False)


def _text(path: Path) -> str:
    try:
        return read_bounded(path, _MOST_BYTES, follow=True).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RunError(f"{path} is no text in UTF-8; save it as such") from error
    except OSError as error:
        raise RunError(f"{path} cannot be read; check its permissions") from error


def _load(path: Path) -> Mapping[str, Any]:
    """All entries; scalars are texts, as they are written."""
    text = _text(path)
    try:
        content = yaml.load(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        raise RunError(f"{path} is no YAML{where}; mend it") from error
    except (RecursionError, ValueError) as error:
        raise RunError(f"{path} is no YAML of a data set; mend it") from error
    if not isinstance(content, dict):
        raise RunError(f"{path} has no entries, such as names; mend it")
    if "kpt_shape" in content:
        raise RunError(
            f"{path} is of key points (kpt_shape), which are no boxes; name a data set "
            f"of boxes"
        )
    return content


def _names(path: Path, content: Mapping[str, Any]) -> tuple[str, ...]:
    names, count = content.get("names", ""), content.get("nc", "")
    number = _count(path, count) if count not in _NOTHING else None
    if isinstance(names, dict):
        keys = [str(key) for key in range(len(names))]
        if set(keys) != set(names):
            raise RunError(
                f"{path} has names whose numbers are not 0 to {len(names) - 1}; give "
                f"each number a name"
            )
        names = [names[key] for key in keys]
    if isinstance(names, str) and names in _NOTHING and number is not None:
        # As Ultralytics calls them.
        names = [f"class_{one}" for one in range(number)]
    if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
        raise RunError(
            f"{path} has no names, a list of texts or texts by their numbers; add them"
        )
    if number is not None and number != len(names):
        raise RunError(f"{path} says nc: {number}, but has {len(names)} names; mend it")
    return _checked(path, names)


def _count(path: Path, count: Any) -> int:
    known = isinstance(count, str) and re.fullmatch(r"\d{1,6}", count, re.ASCII)
    if not known or int(count) > _MOST_CLASSES:
        raise RunError(
            f"{path} says nc: {short(str(count)[:100])}, which is no number of classes "
            f"up to {_MOST_CLASSES}; mend it"
        )
    return int(count)


def _checked(path: Path, names: Sequence[str]) -> tuple[str, ...]:
    if not names or len(names) > _MOST_CLASSES:
        raise RunError(
            f"{path} names {len(names)} classes; a data set has 1 to {_MOST_CLASSES}"
        )
    if len(set(names)) < len(names):
        raise RunError(f"{path} gives two classes one name; rename one of them")
    return tuple(names)


def _folders(
    root: Path, path: Path, content: Mapping[str, Any], *, released: bool
) -> Mapping[str, str]:
    known = set(content) - NO_SPLITS if released else SPLIT_NAMES
    base = content.get("path", "")
    return {
        key: _folder(root, path, key, base, value)
        for key, value in content.items()
        if key in known and value not in _NOTHING
    }


def _folder(root: Path, path: Path, key: str, base: Any, value: Any) -> str:
    """Where the images of a split lie, below the folder of the data set."""
    if not isinstance(value, str) or not isinstance(base, str):
        raise RunError(
            f"{path} has {key} or path that is no text; name one folder for each split"
        )
    if value.endswith(".txt"):
        raise RunError(
            f"{path} has {key}: {short(value)}, a list of images; name their folder"
        )
    below = _below(root, path, key, value)
    # Often it is of the machine that the data set was made on.
    if base and not Path(base).is_absolute() and ".." not in PurePosixPath(base).parts:
        first = (PurePosixPath(base) / below).as_posix()
        if (root / first).is_dir():
            return first
    return below


def _below(root: Path, path: Path, key: str, value: str) -> str:
    if Path(value).is_absolute():
        value = os.path.relpath(value, root.resolve())
        leads_out = value == ".." or value.startswith(f"..{os.sep}")
    else:
        # Roboflow writes `../train/images` and means `train/images`.
        while value.startswith("../"):
            value = value.removeprefix("../")
        leads_out = False
    name = PurePosixPath(value).as_posix()
    try:
        if leads_out:
            raise ValueError(f"{value!r} leads out of its folder")
        return name if name == "." else inside(name).as_posix()
    except ValueError as error:
        raise RunError(
            f"{path} has {key}: {error}; name a folder beside {path.name}"
        ) from error

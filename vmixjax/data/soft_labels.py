"""Soft labels that a teacher gave: their file, and a source that has them beside it.

A teacher is a network that the owner of images trained on them as they are, and keeps.
"""

import contextlib
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vmixjax._printable import listed
from vmixjax.data.arrays import read_npz
from vmixjax.data.example import (
    Example,
    Field,
    Label,
    Probabilities,
    Source,
    class_field,
)
from vmixjax.data.probabilities import SOFT_LABEL, find_unfit
from vmixjax.data.room import Claim, at_once
from vmixjax.data.wrapping import Wrapping
from vmixjax.errors import ImageError, RunError

_KEYS = ("names", "probabilities", "classes")
_MOST_BYTES = 2**33
"""Of a file: a million images and a thousand classes take half of it."""


@dataclasses.dataclass(frozen=True)
class SoftLabels:
    """What a file of soft labels holds.

    Attributes:
      rows: For the name of each example its row.
      probabilities: float32 (N, C): of each class, as the teacher gives them.
      classes: Names of the classes.
      origin: SHA-256 of the file.
    """

    rows: Mapping[str, int]
    probabilities: np.ndarray
    classes: tuple[str, ...]
    origin: str


def read_soft_labels(path: Path) -> SoftLabels:
    """Reads a file of soft labels, and checks all of it.

    Args:
      path: Path of a `.npz` file without pickles: `names` (N,), ids of examples as
        `Example.name` has them; `probabilities` (N, C) float32, each row at least 0 and
        together 1; `classes` (C,), names of classes in order.

    Raises:
      RunError: It is not there, or something else; the line names `--soft-labels`.
      OSError: It cannot be read.
    """
    file = f"--soft-labels {path}"
    try:
        arrays, origin = read_npz(path, _MOST_BYTES)
        if sorted(arrays) != sorted(_KEYS):
            raise ValueError(f"holds {', '.join(arrays)}, not {', '.join(_KEYS)}")
        names, classes = (_texts(arrays[key], key) for key in ("names", "classes"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RunError(f"{file} does not exist; name a file of soft labels") from error
    except RunError as error:
        raise RunError(f"--soft-labels: {error}") from error
    except ValueError as error:
        raise RunError(
            f"{file} {error}; write it with numpy.savez(FILE, names=..., "
            f"probabilities=..., classes=...)"
        ) from error
    probabilities = arrays["probabilities"]
    wanted = (len(names), len(classes))
    if probabilities.dtype != np.float32 or probabilities.shape != wanted:
        raise RunError(
            f"{file} has probabilities {probabilities.dtype} {probabilities.shape}, "
            f"not float32 {wanted} as it has names and classes; write it anew so"
        )
    unfit = find_unfit(probabilities)
    if unfit is not None:
        raise RunError(
            f"{file} has a row for {names[unfit]} that is no probabilities, at least 0 "
            f"each and 1 together; write softmax of what the network gives"
        )
    rows = {name: row for row, name in enumerate(names)}
    return SoftLabels(rows, probabilities, tuple(classes), origin)


def with_soft_labels(source: Source, path: Path) -> Source:
    """Gives a source whose examples have the soft labels of a file beside them.

    Args:
      source: The source.
      path: Path of the file; see `read_soft_labels`.

    Raises:
      RunError: As `read_soft_labels`; or the file is of other classes, or lacks an
        image of the source; or this has soft labels already.
      OSError: As `read_soft_labels`.
    """
    if SOFT_LABEL in source.fields:
        raise RunError(
            f"--soft-labels {path}: SRC has a field {SOFT_LABEL} already; leave that "
            f"behind with --drop {SOFT_LABEL}"
        )
    labels = read_soft_labels(path)
    field = source.fields.get(class_field(source.fields) or "")
    if isinstance(field, Label) and field.names not in (None, labels.classes):
        raise RunError(
            f"--soft-labels {path} has the classes {listed(labels.classes)}, and SRC "
            f"{listed(field.names or ())}; take a teacher of the same classes, in the "
            f"same order"
        )
    _check_names(source, labels, path)
    return _SoftlyLabelled(source, labels, path)


def origin_of(source: Source) -> str | None:
    """Gives the SHA-256 of the file that a source has soft labels from, if it has."""
    fields = source.fields.values()
    origins = (field.origin for field in fields if isinstance(field, Probabilities))
    return next(origins, None)


class _SoftlyLabelled(Wrapping):
    """A source with soft labels, which are found by the names of examples."""

    def __init__(self, source: Source, labels: SoftLabels, path: Path) -> None:
        super().__init__(source)
        self._labels, self._path = labels, path
        count = len(labels.classes)
        field = Probabilities(count, labels.classes, labels.origin)
        self.fields: Mapping[str, Field] = {**source.fields, SOFT_LABEL: field}

    def read(self, split: str, index: int, claim: Claim = at_once) -> Example:
        example = super().read(split, index, claim)
        values = self._added(example.values, example.name)
        return dataclasses.replace(example, values=values)

    def values(self, split: str, index: int) -> Mapping[str, Any]:
        values = super().values(split, index)
        return self._added(values, self.name_of(split, index))

    def _added(self, values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
        row = self._labels.rows.get(name)
        if row is None:
            raise RunError(
                f"--soft-labels {self._path} has no row for {name}, which could not be "
                f"read before; run again"
            )
        return {**values, SOFT_LABEL: self._labels.probabilities[row]}


def _texts(array: np.ndarray, key: str) -> list[str]:
    """The texts in an array (N,), no two alike.

    Raises:
      ValueError: It holds something else.
    """
    if array.dtype.kind != "U" or array.ndim != 1:
        raise ValueError(f"has {key} {array.dtype} {array.shape}, not one row of texts")
    texts: list[str] = array.tolist()
    seen: set[str] = set()
    for text in texts:
        if text in seen:
            raise ValueError(f"has {text} twice in its {key}")
        seen.add(text)
    return texts


def _check_names(source: Source, labels: SoftLabels, path: Path) -> None:
    """Refuses soft labels that lack an image which can be mixed."""
    lacking, first = 0, ""
    for split, count in source.splits.items():
        for index in range(count):
            with contextlib.suppress(ImageError):
                name = source.name_of(split, index)
                if name in labels.rows:
                    continue
                lacking += 1
                # What cannot be read is left out, and needs none.
                first = first or source.read(split, index).name
    if not first:
        return
    count = sum(source.splits.values())
    if lacking == count:
        known = next(iter(labels.rows))
        raise RunError(
            f"--soft-labels {path} has names such as {known}, and none of the {count} "
            f"images of SRC, such as {first}; name the file of this data set"
        )
    raise RunError(
        f"--soft-labels {path} has no row for {lacking} of the {count} images of SRC, "
        f"the first of them {first}; let the teacher label all that is mixed, or mix "
        f"less of it, by --splits"
    )

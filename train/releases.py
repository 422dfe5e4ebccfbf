"""Releases to learn from: mixed once, by whoever has the images."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from train.config import Config, Mixing
from train.data import Dataset
from vmixjax.data import (
    Example,
    Field,
    Pixels,
    Probabilities,
    Source,
    Trace,
)
from vmixjax.data.probabilities import SOFT_LABEL
from vmixjax.data.room import Claim, at_once
from vmixjax.data.writing import MANIFEST
from vmixjax.errors import RunError
from vmixjax.release.config import Recipe, ReleaseConfig
from vmixjax.release.manifest import read_manifest
from vmixjax.release.mix import mix_release, run_local
from vmixjax.release.progress import Progress
from vmixjax.release.schema import About


def as_released(config: Config) -> Config:
    """Gives the config of a run on a release: mixed already, and how its owner did.

    It is shifted by whole regions, since other shifts would cut through them. A release
    is told by its manifest, which lies in the folder that `data.source` names; any
    other config is given back as it is.

    Raises:
      RunError: The manifest cannot be read.
    """
    folder = Path(config.data.source.partition(":")[2])
    if config.mixing.where == "off" or not (folder / MANIFEST).is_file():
        return config
    manifest, _ = read_manifest(folder)
    about = manifest.about.config
    mixing = dataclasses.replace(
        config.mixing,
        where="done",
        tile_size=about.tile_size,
        ladder=about.ladder,
        channels=about.channels,
    )
    data = dataclasses.replace(config.data, shift="regions")
    return dataclasses.replace(config, mixing=mixing, data=data)


def mix_once(
    mixing: Mixing,
    splits: Mapping[str, Dataset],
    out: Path,
    soft_labels: Callable[[Dataset], np.ndarray] | None = None,
) -> None:
    """Mixes a data set, as a run sees it, into a TFDS release, unless it is there.

    Nobody knows its secret afterwards. Images keep their order.

    Args:
      mixing: How.
      splits: Its splits.
      out: Folder of the release.
      soft_labels: Gives a teacher's probabilities for all images of a split, (N,
        classes), where there is a teacher; asked only if there is something to mix.

    Raises:
      RunError: It cannot be done, or another release is there.
    """
    config = ReleaseConfig(
        src="the data set",
        dst=out,
        recipe=Recipe(mixing.config, strength=mixing.strength),
        format="tfds",
        keep_order=True,
        # They are the same for all who are compared.
        allow_overlaps=True,
    )
    if (out / MANIFEST).exists():
        there, source = read_manifest(out)[0], _Splits(splits, {})
        about = msgspec.convert(config.about(source), About)
        if (there.about, there.splits) != (about, source.splits):
            raise RunError(
                f"{out} is a release of other images, or mixed otherwise: name another "
                f"--out"
            )
        return
    told = {}
    if soft_labels is not None:
        told = {name: soft_labels(part) for name, part in splits.items()}
    source = _Splits(splits, told)
    mix_release(config, run_local, Progress("mixing"), source=source)


class _Splits(Source):
    """The splits of a data set as runs see them, to be mixed."""

    name = "images"
    places: Sequence[Path] = ()

    def __init__(
        self, parts: Mapping[str, Dataset], soft_labels: Mapping[str, np.ndarray]
    ) -> None:
        self._parts, self._soft_labels = parts, soft_labels
        first = parts["train"]
        self.splits: Mapping[str, int] = {n: len(part) for n, part in parts.items()}
        self._task = first.task
        self._field = first.task.fields[0]
        fields: dict[str, Field] = {self._field: first.task.field_of(first.classes)}
        if soft_labels:
            count = len(first.classes)
            fields[SOFT_LABEL] = Probabilities(count, first.classes)
        self.fields: Mapping[str, Field] = fields
        self.pixels: Pixels | None = Pixels(first.shape, np.dtype(np.uint8))

    def read(self, split: str, index: int, claim: Claim = at_once) -> Example:
        """See `Source.read`."""
        image, value = self._parts[split].examples[index]
        claim(image.nbytes)
        values = self._values(split, index, value)
        name = f"{split}/{index}"
        return Example(name, split, name, image, values)

    def values(self, split: str, index: int) -> Mapping[str, Any]:
        """See `Source.values`."""
        return self._values(split, index, self._parts[split].examples[index][1])

    def _values(self, split: str, index: int, value: Any) -> Mapping[str, Any]:
        values: dict[str, Any] = {self._field: self._task.stored(value)}
        if self._soft_labels:
            values[SOFT_LABEL] = self._soft_labels[split][index]
        return values

    def extras(self, split: str, index: int) -> Iterator[str]:
        """See `Source.extras`: it is no release."""
        del split, index
        return iter(())

    def traces(self) -> Iterator[Trace]:
        """See `Source.traces`: it has no files."""
        return iter(())

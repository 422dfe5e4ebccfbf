"""What is done to each image of a run: that it is mixed."""

import copy
import dataclasses
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import PurePosixPath
from typing import Any, NamedTuple, Protocol

import numpy as np

from vmixjax.data.example import Example, Field, Pixels, Text, class_field
from vmixjax.data.forms import to_form
from vmixjax.data.objects import Objects
from vmixjax.data.pixels import cut_off, pixels_digest
from vmixjax.data.writing import Shard, Sink
from vmixjax.errors import ImageError
from vmixjax.release.batches import (
    Mixed,
    Planned,
    mix_images,
    plan_images,
)
from vmixjax.release.config import Recipe
from vmixjax.release.keys import derive_key, image_id
from vmixjax.release.placed import Placed, lost, place
from vmixjax.release.schema import Range, Tally
from vmixjax.release.unchanged import (
    MOST_TOLD,
    HardlyChanged,
    Unchanged,
    unchanged_of,
)
from vmixjax.release.vault import Entry, RowsFile, Vault


@dataclasses.dataclass(frozen=True)
class Task:
    """One example that is ready to be transformed.

    Attributes:
      index: Its number in its split.
      example: The example as it was read.
      output: What the result is called.
      prepared: What the transform has made ready of it.
    """

    index: int
    example: Example
    output: str
    prepared: Any


@dataclasses.dataclass(frozen=True)
class Result:
    """What a transform made of an example.

    Attributes:
      example: The example with its new image.
      output: What it is called.
      tally: Tally of it.
      mixed_as: What a restored image was called in its release.
    """

    example: Example
    output: str
    tally: Tally
    mixed_as: str = ""


class Transform(Protocol):
    """Turns examples into others, some at once."""

    def prepare(self, example: Example, shard: Shard, index: int) -> Task:
        """Does what each image needs alone; called from many threads.

        Raises:
          ImageError: It is not fit.
        """
        ...

    def apply(
        self, tasks: Sequence[Task], threads: Executor
    ) -> list[Result | ImageError]:
        """Transforms many at once; gives results, or why not, in the order of tasks."""
        ...


class _Fitted(NamedTuple):
    """An image as whole tiles, where it is private, and its digest.

    And the channels that it had before it got those of all; what belongs to it; and
    what the vault is to keep of that.
    """

    image: np.ndarray
    mask: np.ndarray | None
    digest: bytes
    channels: int
    placed: Placed
    kept: Mapping[str, bytes]


class Mix(Transform):
    """Mixes images, each with its own key.

    Args:
      recipe: How images are mixed.
      secret: Secret that keys are derived from.
      sink: Sink that names them.
      fields: What belongs to each image of the source.
      released: What the release holds of it; see `released_fields`.
      names: Whether images keep their names.
      pixels: What all images are to have in common; None for nothing.
      vault: Keeps what undoes the mixing; None where nobody shall.

    Attributes:
      hardly_changed: The first images that mixing hardly changed.
    """

    def __init__(
        self,
        recipe: Recipe,
        secret: bytes,
        sink: Sink,
        fields: Mapping[str, Field],
        released: Mapping[str, Field],
        *,
        names: bool,
        pixels: Pixels | None = None,
        vault: Vault | RowsFile | None = None,
    ) -> None:
        self._mixed_from = ""
        self._secret, self._sink, self._vault = secret, sink, vault
        self._recipe, self._names = recipe.prune_ladder(), names
        self.hardly_changed: list[HardlyChanged] = []
        self._class = class_field(fields)
        self._fields, self._released = fields, released
        self._pixels = pixels
        self._naming = [
            name
            for name, field in fields.items()
            if isinstance(field, Text) and field.naming and not names
        ]

    def of(self, source: str | None) -> "Mix":
        """Gives one that notes in the vault which source it mixes, by its digest."""
        other = copy.copy(self)
        other._mixed_from = source or ""
        return other

    def prepare(self, example: Example, shard: Shard, index: int) -> Task:
        output = self._sink.output(example, shard, index, self._names)
        if self._vault is not None:
            # What could not be called as it is, could not be restored.
            self._sink.output(example, shard, index, True)
        channels = example.image.shape[2]
        formed = to_form(example.image, self._pixels, example.name)
        example = dataclasses.replace(example, image=formed)
        image, mask = self._recipe.prepare(example)
        size = image.shape[0], image.shape[1]
        placed = place(self._fields, self._released, example, size)
        kept: Mapping[str, bytes] = {}
        if self._vault is not None:
            sink = self._sink
            kept = lost(self._fields, self._released, example, placed.values, sink)
        digest = pixels_digest(image)
        fitted = _Fitted(image, mask, digest, channels, placed, kept)
        if image.size > example.image.size:
            # A padded image holds the original, which need not be kept twice.
            height, width = example.image.shape[:2]
            example = dataclasses.replace(example, image=image[:height, :width])
        return Task(index, example, output, fitted)

    def apply(
        self, tasks: Sequence[Task], threads: Executor
    ) -> list[Result | ImageError]:
        config = self._recipe.config
        fitted: list[_Fitted] = [task.prepared for task in tasks]
        images = [one.image for one in fitted]
        plans = plan_images(images, [one.mask for one in fitted], self._recipe, threads)
        levels = [planned.levels for planned in plans]
        identities = [
            image_id(task.output, one.digest, planned.levels, config)
            for task, one, planned in zip(tasks, fitted, plans, strict=True)
        ]
        keys = [derive_key(self._secret, identity) for identity in identities]
        mixed = mix_images(images, keys, levels, config, threads)
        unchanged = unchanged_of(images, mixed, config.tile_size)
        results = list(map(self._result, tasks, plans, mixed, unchanged))
        if self._vault is not None:
            entries = map(self._entry, tasks, identities, levels, results)
            pixels = [one.image for one in mixed]
            self._vault.store(list(threads.map(self._vault.seal, pixels, entries)))
        return list(results)

    def has_mixed(self, task: Task, entry: Entry) -> bool:
        """Tells whether an entry is of mixing this very example, so as it would be."""
        task = dataclasses.replace(task, output=entry.output)
        image = task.prepared.image
        identity = image_id(
            entry.output, task.prepared.digest, entry.levels, entry.config
        )
        result = Result(self._named(task, image), entry.output, Tally())
        again = self.of(entry.mixed_from)._entry(task, identity, entry.levels, result)
        return again.encode() == entry.encode()

    def _named(self, task: Task, image: np.ndarray) -> Example:
        # What names an image becomes what the release calls it.
        number = PurePosixPath(task.output).stem
        placed: Placed = task.prepared.placed
        values = {**placed.values, **dict.fromkeys(self._naming, number)}
        return dataclasses.replace(task.example, image=image, values=values)

    def _result(
        self, task: Task, planned: Planned, mixed: Mixed, unchanged: Unchanged | None
    ) -> Result:
        example = self._named(task, mixed.image)
        clear = bool((planned.levels == 0).any())
        # What a mask leaves as it is, is meant to be so.
        unchanged = None if clear else unchanged
        if unchanged and len(self.hardly_changed) < MOST_TOLD:
            told = task.example.name, mixed.before, mixed.after, unchanged.moved
            self.hardly_changed.append(HardlyChanged(*told))
        boxes = Counter(
            label
            for name, field in self._released.items()
            if isinstance(field, Objects)
            for label in example.values[name].labels.tolist()
        )
        tally = Tally(
            images=1,
            classes={str(example.values[self._class]): 1} if self._class else {},
            out_of_reach=int(not planned.reachable),
            clear=int(clear),
            hardly_changed={str(unchanged.tile_size): 1} if unchanged else {},
            before=Range.of(mixed.before),
            after=Range.of(mixed.after),
            boxes={str(label): count for label, count in sorted(boxes.items())},
            with_boxes=int(bool(boxes)),
            boxes_cut_off=task.prepared.placed.cut_off,
        )
        return Result(example, task.output, tally)

    def _entry(
        self, task: Task, identity: bytes, levels: np.ndarray, result: Result
    ) -> Entry:
        original = task.example
        height, width = original.image.shape[:2]
        return Entry(
            identity=identity,
            output=task.output,
            source=original.name,
            restored=original.stem,
            config=self._recipe.config,
            levels=levels,
            height=height,
            width=width,
            channels=task.prepared.channels,
            rest=cut_off(original.image, task.prepared.image),
            texts={
                self._sink.called(name): original.values[name] for name in self._naming
            },
            folder=original.folder,
            belongings=belongings_of(self._sink, result.example),
            mixed_from=self._mixed_from,
            kept=dict(task.prepared.kept),
        )


def belongings_of(sink: Sink, example: Example) -> str:
    """Gives the SHA-256 of what a sink stores of an example beside the image."""
    return hashlib.sha256(sink.belongings(example)).hexdigest()

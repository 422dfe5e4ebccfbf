"""What is done to each image of a run: it is mixed, or restored."""

import dataclasses
import hashlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import PurePosixPath
from typing import Any, Protocol

import numpy as np

from vmixjax.data.example import Example, Field, Text
from vmixjax.data.fitting import cut_off, unfit
from vmixjax.data.writing import Shard, Sink
from vmixjax.errors import ImageError, VaultError
from vmixjax.release.batches import batch_size, mix_batch, plan_batch, unmix_batch
from vmixjax.release.keys import derive_key, image_id, pixels_digest
from vmixjax.release.manifest import Spread, Tally
from vmixjax.release.recipe import Recipe
from vmixjax.release.vault import Entry, Row, Vault


@dataclasses.dataclass(frozen=True)
class Task:
    """One example that is ready to be worked on.

    Attributes:
      index: in its split.
      example: as it was read.
      output: what the result is called.
      ready: what the work needs of it.
    """

    index: int
    example: Example
    output: str
    ready: Any


@dataclasses.dataclass(frozen=True)
class Done:
    """A result.

    Attributes:
      example: with its new image.
      output: what it is called.
      tally: of it.
      mixed_as: what a restored image was called in its release.
    """

    example: Example
    output: str
    tally: Tally
    mixed_as: str = ""


class Work(Protocol):
    """Turns examples into others, some at once."""

    def prepare(self, example: Example, shard: Shard, index: int) -> Task:
        """What each image needs alone; called from many threads.

        Raises:
          ImageError: it is not fit.
        """
        ...

    def do(self, tasks: Sequence[Task], threads: Executor) -> list[Done | ImageError]:
        """What is done to many at once: results, or why not, in the order of tasks."""
        ...


class Mixing:
    """Images are mixed, each with its own key.

    Args:
      recipe: how.
      secret: that keys are derived from.
      keep: stores what undoes them, for good, before it returns; None for nobody.
      vault: that seals what is stored.
      sink: that names them.
      fields: what belongs to each.
      names: whether they keep their names.
    """

    def __init__(
        self,
        recipe: Recipe,
        secret: bytes,
        sink: Sink,
        fields: Mapping[str, Field],
        *,
        names: bool,
        vault: Vault | None = None,
        keep: Callable[[Sequence[Row]], None] | None = None,
    ) -> None:
        self.secret = secret
        self._recipe, self._sink = recipe.prune_ladder(), sink
        self._names, self._vault, self._keep = names, vault, keep
        self._naming = [
            name
            for name, field in fields.items()
            if isinstance(field, Text) and field.naming and not names
        ]

    def prepare(self, example: Example, shard: Shard, index: int) -> Task:
        """See `Work.prepare`."""
        output = self._sink.output(example, shard, index, self._names)
        fitted, mask = self._recipe.prepare(example)
        return Task(index, example, output, (fitted, mask, pixels_digest(fitted)))

    def do(self, tasks: Sequence[Task], threads: Executor) -> list[Done | ImageError]:
        """See `Work.do`."""
        config = self._recipe.config
        found: dict[int, Done | ImageError] = {}
        rows: list[Row] = []
        for batch in _batches(tasks):
            images = [task.ready[0] for task in batch]
            masks = [task.ready[1] for task in batch]
            planned = plan_batch(
                images, None if masks[0] is None else masks, self._recipe
            )
            levels = [one.levels for one in planned]
            identities = [
                image_id(task.output, task.ready[2], k, config)
                for task, k in zip(batch, levels, strict=True)
            ]
            keys = [derive_key(self.secret, one) for one in identities]
            mixed, after = mix_batch(keys, images, levels, config)
            for i, task in enumerate(batch):
                height, width = task.example.image.shape[:2]
                values = dict(task.example.values)
                for name in self._naming:
                    values[name] = PurePosixPath(task.output).stem
                example = dataclasses.replace(
                    task.example, image=mixed[i], values=values
                )
                if self._vault is not None:
                    entry = Entry(
                        identity=identities[i],
                        output=task.output,
                        source=task.example.name,
                        restored=task.example.stem,
                        config=config,
                        levels=levels[i],
                        height=height,
                        width=width,
                        rest=cut_off(task.example.image, images[i]),
                        texts={
                            name: task.example.values[name] for name in self._naming
                        },
                        folder=task.example.folder,
                        belongings=_digest(self._sink.belongings(example)),
                    )
                    rows.append(self._vault.seal(mixed[i], entry))
                tally = Tally(
                    images=1,
                    out_of_reach=int(not planned[i].reachable),
                    clear=int((levels[i] == 0).any()),
                    before=Spread.of(planned[i].vfe),
                    after=Spread.of(float(after[i])),
                )
                found[task.index] = Done(example, task.output, tally)
        if self._keep is not None:
            self._keep(rows)
        return [found[task.index] for task in tasks]


class Restoring:
    """Mixed images are brought back.

    Args:
      vault: of their mixing.
      sink: that names them.
    """

    def __init__(self, vault: Vault, sink: Sink) -> None:
        self._vault, self._sink = vault, sink
        self._given: set[int] = set()

    def prepare(self, example: Example, shard: Shard, index: int) -> Task:
        """See `Work.prepare`. One thread looks up later what the vault has."""
        output = self._sink.output(example, shard, index, True)
        return Task(index, example, output, shard)

    def do(self, tasks: Sequence[Task], threads: Executor) -> list[Done | ImageError]:
        """See `Work.do`."""
        results: list[Done | ImageError] = []
        restored = restore(self._vault, tasks, threads, self._sink)
        for task, done in zip(tasks, restored, strict=True):
            results.append(self._named(done, task) if isinstance(done, Done) else done)
        return results

    def _named(self, done: Done, task: Task) -> Done | ImageError:
        try:
            output = self._sink.output(done.example, task.ready, task.index, True)
        except ImageError as error:
            return error
        if hash(output) in self._given:
            return ImageError(
                f"{task.example.name} is an image that was restored already, as "
                f"{output}; remove one of the two"
            )
        self._given.add(hash(output))
        return dataclasses.replace(done, output=output)


def restore(
    vault: Vault, tasks: Sequence[Task], threads: Executor, sink: Sink
) -> list[Done | ImageError]:
    """What mixed images were, or why they cannot be brought back.

    A result is called as its original was, without a suffix.

    Args:
      vault: of the mixing.
      tasks: the mixed images.
      threads: that check them.
      sink: of the format that they are in.
    """
    found: dict[int, Done | ImageError] = {}
    known = []
    for task in tasks:
        try:
            entry = vault.find(task.example.image, task.output)
        except VaultError as error:
            found[task.index] = ImageError(f"{task.example.name}: {error}")
            continue
        if entry is None:
            continue
        if entry.belongings != _digest(sink.belongings(task.example)):
            found[task.index] = ImageError(
                f"{task.example.name} has another label, or other things beside its "
                f"image, than when it was mixed; use the file as it was written"
            )
            continue
        ready = task.example.image, None, entry
        known.append(dataclasses.replace(task, ready=ready))
    for batch in _batches(known, lambda task: task.ready[2].config):
        entries: list[Entry] = [task.ready[2] for task in batch]
        images = unmix_batch(
            [derive_key(vault.secret, entry.identity) for entry in entries],
            [task.ready[0] for task in batch],
            [entry.levels for entry in entries],
            entries[0].config,
        )
        right = threads.map(_is_original, entries, images)
        for task, entry, image, back in zip(batch, entries, images, right, strict=True):
            if back:
                example = dataclasses.replace(
                    task.example,
                    name=entry.source,
                    folder=entry.folder,
                    stem=entry.restored,
                    image=unfit(image, entry.height, entry.width, entry.rest),
                    values={**task.example.values, **entry.texts},
                )
                tally = Tally(images=1)
                found[task.index] = Done(example, entry.restored, tally, entry.output)
    return [
        found.get(task.index)
        or ImageError(
            f"{task.example.name} was not mixed with this vault, or was changed "
            f"since; use the vault of its mixing and the file as it was written"
        )
        for task in tasks
    ]


def _digest(belongings: bytes) -> str:
    return hashlib.sha256(belongings).hexdigest()


def _is_original(entry: Entry, image: np.ndarray) -> bool:
    """The id is a digest of the original's pixels, among others."""
    pixels = pixels_digest(image)
    again = image_id(entry.output, pixels, entry.levels, entry.config)
    return again == entry.identity


def _batches(
    tasks: Sequence[Task], more: Callable[[Task], Hashable] = lambda task: None
) -> Iterator[Sequence[Task]]:
    """Tasks whose images are alike, as many at once as make a batch."""
    alike: dict[Hashable, list[Task]] = defaultdict(list)
    for task in tasks:
        image, mask, *_ = task.ready
        alike[image.shape, image.dtype.str, mask is None, more(task)].append(task)
    for group in alike.values():
        size = batch_size(group[0].ready[0].shape)
        for start in range(0, len(group), size):
            yield group[start : start + size]

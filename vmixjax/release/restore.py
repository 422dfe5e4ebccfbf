"""What is done to each image of a release that is restored."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import PurePath

import numpy as np

from vmixjax.data.example import Example, Field
from vmixjax.data.formats.format import Format
from vmixjax.data.forms import from_form, is_formed
from vmixjax.data.pixels import pixels_digest, unfit
from vmixjax.data.writing import Shard, Sink
from vmixjax.errors import ImageError, VaultError
from vmixjax.release.batches import unmix_images
from vmixjax.release.keys import derive_key, image_id
from vmixjax.release.placed import restore
from vmixjax.release.schema import Tally
from vmixjax.release.transforms import Result, Task, Transform, belongings_of
from vmixjax.release.vault import Entry, Vault


class Restore(Transform):
    """Brings mixed images back.

    Args:
      vault: Vault of their mixing.
      format: Format that they are in.
      sink: Sink of it.
      fields: What belongs to each image of the release.
    """

    def __init__(
        self, vault: Vault, format: Format, sink: Sink, fields: Mapping[str, Field]
    ) -> None:
        self._vault, self._sink, self._fields = vault, sink, fields
        self._in_splits = format.in_splits
        self._given: set[int] = set()

    def prepare(self, example: Example, shard: Shard, index: int) -> Task:
        """One thread looks up later what the vault has."""
        output = self._sink.output(example, shard, index, True)
        return Task(index, example, output, shard)

    def apply(
        self, tasks: Sequence[Task], threads: Executor
    ) -> list[Result | ImageError]:
        """Gives the originals, called as they were."""
        return [
            self._named(result, task) if isinstance(result, Result) else result
            for task, result in zip(tasks, self.originals(tasks, threads), strict=True)
        ]

    def originals(
        self, tasks: Sequence[Task], threads: Executor
    ) -> list[Result | ImageError]:
        """Gives what mixed images were, or why they cannot be brought back.

        A result is called as its original was, without a suffix.
        """
        results: dict[int, Result | ImageError] = {}
        known: list[tuple[Task, Entry]] = []
        for task in tasks:
            entry = self._look_up(task)
            if isinstance(entry, Entry):
                known.append((task, entry))
            else:
                results[task.index] = entry
        for (task, _), result in zip(known, self._unmixed(known, threads), strict=True):
            results[task.index] = result
        return [results[task.index] for task in tasks]

    def _look_up(self, task: Task) -> Entry | ImageError:
        name = task.example.name
        try:
            entry = self._vault.find(task.example.image, task.output)
        except VaultError as error:
            return ImageError(f"{name}: {error}")
        if entry is None:
            return _unknown(task)
        if self._in_splits and not _in_one_folder(entry.output, task.output):
            return ImageError(
                f"{name} lies where another split has its images; it was mixed as "
                f"{entry.output}: bring it, or what says of which split it is, back"
            )
        if entry.belongings != belongings_of(self._sink, task.example):
            return ImageError(
                f"{name} has another label, or other things beside its image, than "
                f"when it was mixed; use the file as it was written"
            )
        return entry

    def _unmixed(
        self, known: Sequence[tuple[Task, Entry]], threads: Executor
    ) -> Iterator[Result | ImageError]:
        entries = [entry for _, entry in known]
        images = unmix_images(
            [task.example.image for task, _ in known],
            [derive_key(self._vault.secret, entry.identity) for entry in entries],
            [entry.levels for entry in entries],
            [entry.config for entry in entries],
            threads,
        )
        right = threads.map(_is_original, entries, images)
        for (task, entry), image, is_right in zip(known, images, right, strict=True):
            if not is_right:
                yield _unknown(task)
                continue
            values = task.example.values
            size = entry.height, entry.width
            try:
                values = restore(self._fields, values, size, entry.kept)
            except (ImageError, ValueError):
                yield ImageError(
                    f"{task.example.name} has an entry in the vault that is damaged; "
                    f"use a copy of the vault"
                )
                continue
            example = dataclasses.replace(
                task.example,
                name=entry.source,
                folder=entry.folder,
                stem=entry.restored,
                image=from_form(
                    unfit(image, entry.height, entry.width, entry.rest), entry.channels
                ),
                values={**values, **entry.texts},
            )
            yield Result(example, entry.restored, Tally(images=1), entry.output)

    def _named(self, result: Result, task: Task) -> Result | ImageError:
        try:
            output = self._sink.output(result.example, task.prepared, task.index, True)
        except ImageError as error:
            return error
        given = hash((task.prepared.split, output))
        if given in self._given:
            return ImageError(
                f"{task.example.name} is an image that was restored already, as "
                f"{output}; remove one of the two"
            )
        self._given.add(given)
        return dataclasses.replace(result, output=output)


def _in_one_folder(one: str, other: str) -> bool:
    return PurePath(one).parent == PurePath(other).parent


def _unknown(task: Task) -> ImageError:
    return ImageError(
        f"{task.example.name} was not mixed with this vault, or was changed since; use "
        f"the vault of its mixing and the file as it was written"
    )


def _is_original(entry: Entry, image: np.ndarray) -> bool:
    """The id is a digest of the original's pixels, among others."""
    pixels = pixels_digest(image)
    again = image_id(entry.output, pixels, entry.levels, entry.config)
    return again == entry.identity and is_formed(image, entry.channels)

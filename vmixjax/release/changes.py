"""What has become of a source since a release of it was finished.

Sizes and times of files are compared first, and images by their digests only where
those differ: a file that was copied or touched is not another image.
"""

import dataclasses
import hashlib
import itertools
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

from vmixjax._printable import listed
from vmixjax.data.example import Source, Trace
from vmixjax.data.writing import Shard
from vmixjax.errors import ImageError, RunError
from vmixjax.release.job import ReleaseJob
from vmixjax.release.keys import digest
from vmixjax.release.vault import Entry, Vault

_Kind = Literal["same", "new", "changed"]

_TOGETHER = 2**10
"""Images that are looked at before others are asked for."""


class Fingerprint:
    """What tells a source from others, and from itself once changed, and from when."""

    def __init__(self) -> None:
        self._sizes, self._times = hashlib.sha256(), hashlib.sha256()

    @classmethod
    def of(cls, source: Source) -> "Fingerprint":
        """Takes that of a source, as its files are now."""
        fingerprint = cls()
        for _ in fingerprint.over(source.traces()):
            pass
        return fingerprint

    def over(self, traces: Iterator[Trace]) -> Iterator[Trace]:
        """Passes traces on, and takes their fingerprint."""
        for one in traces:
            name = f"{one.split}\0{one.name}".encode("utf-8", "surrogateescape")
            numbers = f"\0{one.size}\0{one.stop - one.start}\0".encode()
            self._sizes.update(name + numbers)
            self._times.update(one.time.to_bytes(16, "little", signed=True))
            yield one

    def sizes(self, secret: bytes) -> str:
        """Gives a digest of names and sizes, which says nothing without the secret."""
        return digest(secret, b"vmixjax source", [self._sizes.hexdigest()])

    def times(self, secret: bytes) -> str:
        """Gives a digest of times as well."""
        both = [self._sizes.hexdigest(), self._times.hexdigest()]
        return digest(secret, b"vmixjax times", both)


def changed_meanwhile(job: ReleaseJob) -> RunError:
    """Complains of a source that is no longer what was looked at before it is mixed."""
    return RunError(
        f"SRC {job.config.src} was changed while it was looked at; run again, once "
        f"nothing changes it any more"
    )


@dataclasses.dataclass
class Changes:
    """What became of images.

    Attributes:
      new: Names of those that were not there.
      changed: Names of those that were others.
      gone: Names of files that are no longer there.
      missing: How many images are no longer there.
    """

    new: list[str] = dataclasses.field(default_factory=list)
    changed: list[str] = dataclasses.field(default_factory=list)
    gone: list[str] = dataclasses.field(default_factory=list)
    missing: int = 0

    def add(self, kind: _Kind, name: str) -> None:
        """Counts an image."""
        if kind != "same":
            (self.new if kind == "new" else self.changed).append(name)

    def __bool__(self) -> bool:
        return bool(self.new or self.changed or self.gone or self.missing)

    def __str__(self) -> str:
        told = (
            ("new", len(self.new), self.new),
            ("changed", len(self.changed), self.changed),
            ("gone", self.missing, self.gone),
        )
        return ", ".join(
            f"{count} {what}{_listed(names)}" for what, count, names in told
        )


def _listed(names: Sequence[str]) -> str:
    return f" ({listed(names)})" if names else ""


def find_changes(
    job: ReleaseJob, source: Source, mixed: Sequence[str], vault: Vault
) -> Changes:
    """Compares a source with what was mixed of it.

    Args:
      job: The job of mixing it once more.
      source: The source, in its own order.
      mixed: Digests of what was mixed, of the newest source first.
      vault: Vault of that mixing.

    Raises:
      RunError: The source cannot be read.
      VaultError: What the vault holds was changed.
    """
    remembered = vault.remembered(mixed[0])
    before = {(one.split, one.name): one for one in remembered if one.name}
    left = sum(one.stop - one.start for one in before.values())
    gone = set(before)
    doubtful: list[Trace] = []
    for one in source.traces():
        if one.split not in source.splits:
            continue
        then = before.get((one.split, one.name))
        gone.discard((one.split, one.name))
        if then is not None and _alike(then, one):
            left -= one.stop - one.start
        else:
            doubtful.append(one)
    changes = Changes(gone=sorted(name for _, name in gone))
    look = _Look(job, source, vault, mixed, before)
    places = ((one, index) for one in doubtful for index in range(one.start, one.stop))
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        while some := list(itertools.islice(places, _TOGETHER)):
            for kind, name in threads.map(look, some):
                left -= kind != "new"
                changes.add(kind, name)
    changes.missing = max(left, 0)
    return changes


def _alike(one: Trace, other: Trace) -> bool:
    counts = one.stop - one.start, other.stop - other.start
    return counts[0] == counts[1] and one[4:] == other[4:]


@dataclasses.dataclass
class _Look:
    """Looks at one image; called from many threads."""

    job: ReleaseJob
    source: Source
    vault: Vault
    mixed: Sequence[str]
    before: Mapping[tuple[str, str], Trace]

    def __post_init__(self) -> None:
        # One thread at a time uses the vault.
        self._lock = threading.Lock()

    def _entries(self, name: str) -> list[Entry]:
        """What undoes the newest mixing of an image."""
        with self._lock:
            found = (list(self.vault.entries_of(name, one)) for one in self.mixed)
            return next(filter(None, found), [])

    def __call__(self, place: tuple[Trace, int]) -> tuple[_Kind, str]:
        """Tells what became of an image, and its name: of the file, if it has one."""
        file, index = place
        alone = file.stop - file.start == 1
        name = file.name if alone else f"{file.name}, {index - file.start}"
        was_there = alone and (file.split, file.name) in self.before
        count = self.source.splits[file.split]
        shard = Shard(file.split, 0, 1, index, index + 1, count)
        try:
            example = self.source.read(file.split, index)
            task = self.job.transform.prepare(example, shard, index)
        except ImageError:
            return ("changed" if was_there else "new"), name
        name = file.name if alone else example.name
        if alone and not was_there:
            return "new", name
        entries = self._entries(example.name)
        if any(self.job.transform.has_mixed(task, entry) for entry in entries):
            return "same", name
        return ("changed" if was_there or entries else "new"), name

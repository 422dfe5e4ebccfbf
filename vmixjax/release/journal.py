"""How far an unfinished release has come: notes below it, gone when it is done.

The notes hold the sizes and checksums of what was written, and nothing of secrets,
names or places. Each is signed with a key of the owner's secret: what others put there
counts for nothing.
"""

import dataclasses
import hashlib
import hmac
import json
import shutil
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, Literal

import msgspec

from vmixjax.atomic import atomic_path
from vmixjax.data.bounded import read_json
from vmixjax.data.inside import (
    check_folder,
    holds,
    inside,
    own_folder,
    unlink_inside,
)
from vmixjax.data.writing import MANIFEST, WORK, Files, Shard, Sink, sweep
from vmixjax.errors import RunError
from vmixjax.release.manifest import (
    About,
    Count,
    Sha256,
    Signature,
    Tally,
    read_manifest,
)
from vmixjax.release.shards import discard, settle

BEGUN = "begun.json"
"""In the folder for files under way: what release was begun."""

_MOST_BYTES = 2**25
"""Of a file here: 2,048 for each file of the largest shard."""

Begun = Literal["new", "goes on", "over"]


@dataclasses.dataclass(frozen=True)
class Note:
    """A finished shard.

    Attributes:
      files: paths in the release and their SHA-256.
      size: bytes of all of them.
      tally: of its images.
    """

    files: dict[str, Sha256]
    size: Count
    tally: Tally


@dataclasses.dataclass(frozen=True)
class _Signed:
    note: Note
    signature: Signature


@dataclasses.dataclass(frozen=True)
class _Start:
    about: About
    marks: dict[str, str | None]


class Journal:
    """The notes on one release.

    Args:
      root: of the release.
      secret: that its notes are signed with.
      identity: of the release: notes on another count for nothing.
    """

    def __init__(self, root: Path, secret: bytes = b"", identity: str = "") -> None:
        self.root = root
        self._folder = root / WORK
        self._secret, self._identity = secret, identity

    def look(self, about: Mapping[str, Any]) -> None:
        """Whether the folder is free for a release, or holds this one.

        Raises:
          RunError: it holds something else, or notes that are no notes.
        """
        if (self.root / MANIFEST).exists():
            self._compare(about, read_manifest(self.root).about)
            return
        start = self._start()
        if start is not None:
            self._compare(about, start.about)
        elif self.root.is_dir() and set(self.root.iterdir()) - {self._folder}:
            raise RunError(
                f"DST {self.root} holds other files; name a new or an empty folder"
            )

    def begin(self, about: Mapping[str, Any], marks: Mapping[str, str | None]) -> Begun:
        """Starts a release, or goes on with one.

        Args:
          about: how it is mixed.
          marks: digests of the source and the secret; None for a secret that will be
            forgotten.

        Returns:
          Whether it is new, goes on, or starts over since its secret is forgotten.

        Raises:
          RunError: it goes on with another source or secret.
        """
        if (self.root / MANIFEST).exists():
            return "goes on"
        start, over = self._start(), False
        if start is not None:
            if start.marks.get("secret") is not None:
                for name, mark in marks.items():
                    if mark != start.marks.get(name):
                        raise RunError(
                            f"DST {self.root} was begun with another {name}; go on "
                            f"with that one, or name another folder"
                        )
                self._sweep()
                return "goes on"
            self._start_over()
            over = True
        own_folder(self.root, WORK)
        self._sweep()
        with atomic_path(self._folder / BEGUN) as file:
            file.write(json.dumps({"about": about, "marks": marks}).encode())
        return "over" if over else "new"

    def commit(self, shard: Shard, files: Files, tally: Tally, sink: Sink) -> None:
        """Notes a finished shard and gives its files their names, in this order.

        Killed in between, the note promises files that are not there, and the shard is
        written again.
        """
        note = Note(
            files={name: digest for name, (_, digest) in files.parts.items()},
            size=sum(path.stat().st_size for path, _ in files.parts.values()),
            tally=tally,
        )
        try:
            signed = _Signed(note, self._signature(shard, note))
            with atomic_path(self._note(shard)) as file:
                file.write(json.dumps(dataclasses.asdict(signed)).encode())
            settle(files, sink)
        finally:
            discard(files)

    def read(self, shard: Shard) -> Note:
        """The note on a finished shard.

        Raises:
          FileNotFoundError: there is none.
          ValueError: it is no note, or not from who holds the secret.
        """
        signed = read_json(self._note(shard), _Signed, _MOST_BYTES)
        expected = self._signature(shard, signed.note)
        if not hmac.compare_digest(signed.signature.encode(), expected.encode()):
            raise ValueError(f"the note on {shard.name} was changed")
        return signed.note

    def has(self, shard: Shard) -> bool:
        """Whether there is a note on a shard."""
        return self._note(shard).exists()

    def forget(self, shard: Shard) -> None:
        """Removes the note on a shard that is to be written again."""
        self._note(shard).unlink(missing_ok=True)

    def pending(self, shards: Iterable[Shard], threads: Executor) -> list[Shard]:
        """Shards that are not there as their notes say; all files are read for it."""
        shards = list(shards)
        return [
            shard
            for shard, there in zip(
                shards, threads.map(self._is_there, shards), strict=True
            )
            if not there
        ]

    def end(self) -> None:
        """Takes the notes away, once the manifest is written."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _is_there(self, shard: Shard) -> bool:
        try:
            files = self.read(shard).files
        except (OSError, ValueError):
            # Missing, damaged, or somebody else's: it is written again.
            return False
        return all(holds(self.root, name, digest) for name, digest in files.items())

    def _note(self, shard: Shard) -> Path:
        return self._folder / f"{shard.name}.json"

    def _signature(self, shard: Shard, note: Note) -> str:
        signature = hashlib.blake2b(key=self._secret, person=b"vmixjax note")
        parts = [self._identity, shard.name, dataclasses.asdict(note)]
        signature.update(json.dumps(parts, sort_keys=True).encode())
        return signature.hexdigest()

    def _start(self) -> _Start | None:
        """What was noted when the release was begun, if it was."""
        path = self._folder / BEGUN
        if self._folder.is_symlink() or self._folder.exists():
            check_folder(self._folder)
        try:
            return read_json(path, _Start, _MOST_BYTES)
        except FileNotFoundError:
            return None
        except RunError:
            raise
        except ValueError as error:
            raise RunError(
                f"{path} is damaged, so that there is no going on; remove DST "
                f"{self.root}, or name another folder"
            ) from error

    def _sweep(self) -> None:
        """Removes what a run that was killed left under way."""
        sweep(self.root)

    def _start_over(self) -> None:
        """Removes what was mixed with a secret that nobody knows any more.

        Nobody can tell who wrote the notes, so a file goes only if it is what they say.
        """
        for path in sorted(self._folder.glob("*-*.json")):
            try:
                files = read_json(path, _Signed, _MOST_BYTES).note.files
            except ValueError as error:
                raise RunError(
                    f"{path} is damaged; remove DST {self.root}, or name another folder"
                ) from error
            for name, digest in files.items():
                try:
                    inside(name)
                except ValueError as error:
                    raise RunError(
                        f"{path} names files elsewhere: {error}; remove DST "
                        f"{self.root}, or name another folder"
                    ) from error
                if holds(self.root, name, digest):
                    unlink_inside(self.root, name)
        shutil.rmtree(self._folder)

    def _compare(self, asked: Mapping[str, Any], found: About) -> None:
        asked, there = _as_json(asked), _as_json(msgspec.to_builtins(found))
        for name in sorted({*asked, *there}):
            if asked.get(name) != there.get(name):
                raise RunError(
                    f"DST {self.root} holds a release with another {name}: "
                    f"{_short(there.get(name))}, not {_short(asked.get(name))}; name "
                    f"another folder"
                )


def _as_json(values: Mapping[str, Any]) -> dict[str, Any]:
    return dict(json.loads(json.dumps(values)))


def _short(value: object) -> str:
    return json.dumps(value)

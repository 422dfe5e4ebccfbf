"""How far an unfinished release has come: notes below it, gone when it is done.

The notes hold the sizes and checksums of what was written, and nothing of secrets,
names or places. Each is signed with a key of the owner's secret: what others put there
counts for nothing.
"""

import contextlib
import dataclasses
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
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
    move_inside,
    own_folder,
    unlink_inside,
)
from vmixjax.data.writing import MANIFEST, WORK, Files, Shard, clear, sweep
from vmixjax.errors import RunError
from vmixjax.release.manifest import read_manifest
from vmixjax.release.schema import About, Note, Signature, Tally

BEGUN = "begun.json"
"""In the folder for files under way: what release was begun."""

_MOST_BYTES = 2**25
"""Of a file here: 2,048 for each file of the largest shard."""

Begun = Literal["new", "goes on", "over"]


@dataclasses.dataclass(frozen=True)
class _Signed:
    note: Note
    signature: Signature


@dataclasses.dataclass(frozen=True)
class _Start:
    about: About
    marks: dict[str, str | None]
    source: Signature | None


_LAST = (".json", ".txt", ".yaml")
"""Suffixes of what formats write after all shards."""


class Journal:
    """The notes on one release.

    Args:
      root: Folder of the release.
      secret: Secret that its notes are signed with.
      identity: Identity of the release: notes on another count for nothing.
    """

    def __init__(self, root: Path, secret: bytes = b"", identity: str = "") -> None:
        self.root = root
        self._folder = root / WORK
        self._secret, self._identity = secret, identity

    def check(self, about: Mapping[str, Any]) -> None:
        """Refuses a folder that is not free for a release and does not hold this one.

        Args:
          about: How it is mixed.

        Raises:
          RunError: It holds something else, or notes that are no notes.
        """
        if (self.root / MANIFEST).exists():
            self._compare(about, read_manifest(self.root)[0].about)
            return
        start = self._start()
        if start is not None and self._has_written():
            self._compare(about, start.about)
        elif self.root.is_dir() and set(self.root.iterdir()) - {self._folder}:
            raise RunError(
                f"DST {self.root} holds other files; name a new or an empty folder"
            )

    def goes_on(self) -> bool:
        """Tells whether a release was begun, or finished, and its secret is kept."""
        if (self.root / MANIFEST).exists():
            return True
        start = self._start()
        kept = start is not None and start.marks.get("secret") is not None
        return kept and self._has_written()

    def begin(
        self,
        about: Mapping[str, Any],
        marks: Mapping[str, str | None],
        source: str | None,
    ) -> Begun:
        """Starts a release, or goes on with one.

        Args:
          about: How it is mixed.
          marks: Digests of the source and the secret; None for a secret that will be
            forgotten.
          source: Digest of the source as it is now, for `source`.

        Returns:
          Whether it is new, goes on, or starts over since its secret is forgotten.

        Raises:
          RunError: It goes on with another source or secret.
        """
        start = self._start() if self._has_written() else None
        if start is not None and self.goes_on():
            for name, mark in marks.items():
                if mark != start.marks.get(name):
                    raise RunError(
                        f"DST {self.root} was begun with another {name}; go on with "
                        f"that one, or name another folder"
                    )
            sweep(self.root)
            return "goes on"
        if start is not None:
            self.undo()
        own_folder(self.root, WORK)
        sweep(self.root)
        self._write_start(about, marks, source)
        return "new" if start is None else "over"

    def reopen(
        self,
        about: Mapping[str, Any],
        marks: Mapping[str, str | None],
        source: str,
        notes: Mapping[Shard, Note],
    ) -> None:
        """Makes a finished release one that goes on.

        Killed before the end, it is still the finished one.

        Args:
          about: How it is mixed.
          marks: As for `begin`.
          source: Digest of the source, for `source`.
          notes: Notes on shards that stay as they are.
        """
        own_folder(self.root, WORK)
        clear(self.root)
        for shard, note in notes.items():
            self._write_note(shard, note)
        self._write_start(about, marks, source)
        move_inside(self.root, [(MANIFEST, f"{WORK}/{MANIFEST}")])

    def updates(self) -> bool:
        """Tells whether it goes on with a release that was finished before."""
        start = self._start()
        return start is not None and start.about.order == "updated"

    def source(self) -> str | None:
        """Gives the digest that the source had when the release was begun."""
        start = self._start()
        return None if start is None else start.source

    def commit(self, shard: Shard, files: Files, tally: Tally) -> None:
        """Notes a finished shard and gives its files their names, in this order.

        Killed in between, the note promises files that are not there, and the shard is
        written again.
        """
        note = Note(
            files={name: digest for name, (_, digest) in files.parts.items()},
            size=files.size,
            tally=tally,
        )
        try:
            self._write_note(shard, note)
            files.publish(self.root)
        finally:
            files.discard()

    def read(self, shard: Shard) -> Note:
        """Reads the note on a finished shard.

        Raises:
          FileNotFoundError: There is none.
          ValueError: It is no note, or not from who holds the secret.
        """
        signed = read_json(self._note(shard), _Signed, _MOST_BYTES)
        expected = self._signature(shard, signed.note)
        if not hmac.compare_digest(signed.signature.encode(), expected.encode()):
            raise ValueError(f"the note on {shard.name} was changed")
        return signed.note

    def has(self, shard: Shard) -> bool:
        """Tells whether there is a note on a shard."""
        return self._note(shard).exists()

    def forget(self, shard: Shard) -> None:
        """Removes the note on a shard that is to be written again."""
        self._note(shard).unlink(missing_ok=True)

    def pending(self, shards: Sequence[Shard], threads: Executor) -> list[Shard]:
        """Lists shards that are not as their notes say; all files are read for it."""
        there = threads.map(self._is_there, shards)
        return [
            shard for shard, is_there in zip(shards, there, strict=True) if not is_there
        ]

    def end(self) -> None:
        """Takes the notes away, once the manifest is written."""
        # It must not hide that the release is there. The lock is left to its holder.
        with contextlib.suppress(OSError, RunError):
            clear(self.root)
            self._folder.rmdir()

    def undo(self) -> None:
        """Removes what was mixed, and the notes on it.

        Nobody can tell who wrote the notes, so a file goes only if it is what they say.
        Were another left, it would stay: files have other names with another secret.
        """
        mixed: set[str] = set()
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
                    mixed.add(name)
        for path in self.root.rglob("*"):
            name = path.relative_to(self.root).as_posix()
            ours = name in mixed or self._folder in path.parents
            # What comes after all shards is written anew, under the same names.
            if not ours and not path.is_dir() and path.suffix not in _LAST:
                raise RunError(
                    f"{path} is not what the notes on DST {self.root} say; remove DST, "
                    f"or name another folder"
                )
        for name in mixed:
            unlink_inside(self.root, name)
        clear(self.root)

    def leave(self) -> None:
        """Takes the notes away where nothing was written: there is no going on."""
        # It must not hide why the run ended.
        with contextlib.suppress(OSError, RunError):
            if not self._has_written():
                clear(self.root)

    def _write_start(
        self,
        about: Mapping[str, Any],
        marks: Mapping[str, str | None],
        source: str | None,
    ) -> None:
        start = {"about": about, "marks": marks, "source": source}
        with atomic_path(self._folder / BEGUN) as file:
            file.write(json.dumps(start).encode())

    def _write_note(self, shard: Shard, note: Note) -> None:
        signed = _Signed(note, self._signature(shard, note))
        with atomic_path(self._note(shard)) as file:
            text = {"note": note.as_json(), "signature": signed.signature}
            file.write(json.dumps(text).encode())

    def _has_written(self) -> bool:
        """Whether anything of the release may be there, beside its beginning."""
        if any(self._folder.glob("*-*.json")):
            return True
        return self.root.is_dir() and set(self.root.iterdir()) > {self._folder}

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
        parts = [self._identity, shard.name, note.as_json()]
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

    def _compare(self, asked: Mapping[str, Any], about: About) -> None:
        there = msgspec.to_builtins(about)
        # Which images there are is asked of the source itself.
        skipped = {"examples", "order"} if about.order == "updated" else {"examples"}
        for name in sorted({*asked, *there} - skipped):
            if asked.get(name) != there.get(name):
                is_there, is_asked = (json.dumps(of.get(name)) for of in (there, asked))
                raise RunError(
                    f"DST {self.root} holds a release with another {name}: {is_there}, "
                    f"not {is_asked}; name another folder"
                )

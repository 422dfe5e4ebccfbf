"""How far an unfinished release has come: notes below it, gone when it is done.

The notes hold the sizes and checksums of what was written, and nothing of secrets,
names or places.
"""

import dataclasses
import json
import shutil
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, Literal

from vmixjax.release.atomic import atomic_path
from vmixjax.release.errors import RunError
from vmixjax.release.manifest import MANIFEST, WORK, Tally, read_manifest
from vmixjax.release.shards import discard, settle
from vmixjax.release.sinks.sink import Files, Shard, Sink, sha256

_BEGUN = "begun.json"

Begun = Literal["new", "goes on", "over"]


@dataclasses.dataclass(frozen=True)
class Note:
    """A finished shard.

    Attributes:
      files: paths in the release and their SHA-256.
      size: bytes of all of them.
      tally: of its images.
    """

    files: Mapping[str, str]
    size: int
    tally: Tally


class Journal:
    """The notes on one release.

    Args:
      root: of the release.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._folder = root / WORK

    def look(self, about: Mapping[str, Any]) -> None:
        """Whether the folder is free for a release, or holds this one.

        Raises:
          RunError: it holds something else.
        """
        begun = self._folder / _BEGUN
        if (self.root / MANIFEST).exists():
            self._compare(about, read_manifest(self.root)["about"])
        elif begun.exists():
            self._compare(about, json.loads(begun.read_text())["about"])
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
        begun, over = self._folder / _BEGUN, False
        if (self.root / MANIFEST).exists():
            return "goes on"
        if begun.exists():
            noted = json.loads(begun.read_text())
            if noted["marks"]["secret"] is not None:
                for name, mark in marks.items():
                    if mark != noted["marks"][name]:
                        raise RunError(
                            f"DST {self.root} was begun with another {name}; go on "
                            f"with that one, or name another folder"
                        )
                self._sweep()
                return "goes on"
            self._start_over()
            over = True
        self._folder.mkdir(parents=True, exist_ok=True)
        self._sweep()
        with atomic_path(begun) as file:
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
            with atomic_path(self._note(shard)) as file:
                file.write(json.dumps(dataclasses.asdict(note)).encode())
            settle(files, sink)
        finally:
            discard(files)

    def read(self, shard: Shard) -> Note:
        """The note on a finished shard."""
        values = json.loads(self._note(shard).read_text())
        return Note(values["files"], values["size"], Tally.read(values["tally"]))

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
            return all(
                sha256(self.root / name) == digest for name, digest in files.items()
            )
        except FileNotFoundError:
            return False

    def _note(self, shard: Shard) -> Path:
        return self._folder / f"{shard.name}.json"

    def _sweep(self) -> None:
        """Removes what a run that was killed left under way."""
        for path in self._folder.glob("*.part"):
            path.unlink(missing_ok=True)

    def _start_over(self) -> None:
        """Removes what was mixed with a secret that nobody knows any more."""
        for path in self._folder.glob("*-*.json"):
            for name in json.loads(path.read_text())["files"]:
                (self.root / name).unlink(missing_ok=True)
        shutil.rmtree(self._folder)

    def _compare(self, asked: Mapping[str, Any], found: Mapping[str, Any]) -> None:
        asked = json.loads(json.dumps(asked))
        for name in sorted({*asked, *found}):
            if asked.get(name) != found.get(name):
                raise RunError(
                    f"DST {self.root} holds a release with another {name}: "
                    f"{_short(found.get(name))}, not {_short(asked.get(name))}; name "
                    f"another folder"
                )


def _short(value: object) -> str:
    return json.dumps(value)

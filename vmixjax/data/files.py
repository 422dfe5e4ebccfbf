"""Which files a run reads, and what it calls the files that it writes."""

import array
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePath
from typing import overload


def find_files(source: Path) -> Iterator[PurePath]:
    """Lists the files below a folder, or the one file: relative paths, in their order.

    Hidden files and folders are passed over: they are the file manager's notes, not
    pictures. Links to folders are not followed, and come as if they were files.
    """
    if source.is_dir():
        yield from _below(source, PurePath())
    else:
        yield PurePath(source.name)


def _below(source: Path, here: PurePath) -> Iterator[PurePath]:
    with os.scandir(source / here) as entries:
        names = sorted(
            (entry.name, entry.is_dir(follow_symlinks=False))
            for entry in entries
            if not entry.name.startswith(".")
        )
    for name, is_folder in names:
        if is_folder:
            yield from _below(source, here / name)
        else:
            yield here / name


class Paths(Sequence[str]):
    """Relative paths, millions of them: packed, since a list takes many times more."""

    def __init__(self) -> None:
        self._text = bytearray()
        self._ends = array.array("Q", [0])

    def append(self, path: PurePath) -> None:
        """Adds one."""
        self._text += os.fsencode(path)
        self._ends.append(len(self._text))

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        start, end = self._ends[index], self._ends[index + 1]
        return os.fsdecode(bytes(self._text[start:end]))


def is_inside(path: Path, folder: Path) -> bool:
    """Tells whether a path, links resolved, is a folder or lies below it."""
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):
        # Links that lead to each other lie nowhere.
        return False


def short_name(source: PurePath) -> str:
    """Names a source without its suffix, alike for all that would meet."""
    return str(source.with_suffix("")).casefold()


def png_names(sources: Iterable[PurePath]) -> dict[PurePath, PurePath]:
    """Gives each source a PNG name in its folder, no two alike on any file system.

    Usually the suffix is replaced. Sources that would meet (`cat.jpg`, `cat.png`,
    `CAT.bmp`) keep theirs before the new one: `cat.jpg.png`, `cat.png.png`.
    """
    sources = sorted(sources)

    def folded(path: PurePath) -> str:
        return str(path).casefold()

    short = {source: source.with_suffix(".png") for source in sources}
    meeting = Counter(map(folded, short.values()))
    names = {s: name for s, name in short.items() if meeting[folded(name)] == 1}
    taken = {folded(name) for name in names.values()}
    for source in sources:
        if source not in names:
            name = source.with_name(source.name + ".png")
            number = 2
            while folded(name) in taken:
                name = source.with_name(f"{source.name}-{number}.png")
                number += 1
            taken.add(folded(name))
            names[source] = name
    return names

"""Which files a run reads, and what it calls the files that it writes."""

import array
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath


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
    # Folders may lie deeper in each other than functions can call themselves.
    levels = [_entries(source, here)]
    while levels:
        path, is_folder = next(levels[-1], (None, False))
        if path is None:
            levels.pop()
        elif is_folder:
            levels.append(_entries(source, path))
        else:
            yield path


def _entries(source: Path, here: PurePath) -> Iterator[tuple[PurePath, bool]]:
    """What lies in a folder, in order, and which are folders."""
    with os.scandir(source / here) as entries:
        names = sorted(
            (entry.name, entry.is_dir(follow_symlinks=False))
            for entry in entries
            if not entry.name.startswith(".")
        )
    return ((here / name, is_folder) for name, is_folder in names)


class Paths:
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

    def __getitem__(self, index: int) -> str:
        start, end = self._ends[index], self._ends[index + 1]
        return os.fsdecode(bytes(self._text[start:end]))

    def __iter__(self) -> Iterator[str]:
        return map(self.__getitem__, range(len(self)))


def is_inside(path: Path, folder: Path) -> bool:
    """Tells whether a path, links resolved, is a folder or lies below it."""
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):
        # Links that lead to each other lie nowhere.
        return False


def is_text(name: str) -> bool:
    """Tells whether a name is text, in UTF-8; those of files may be any bytes."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def short_name(source: PurePath) -> str:
    """Names a source without its suffix, alike for all that would meet."""
    return str(source.with_suffix("")).casefold()


def png_names(sources: Iterable[PurePath]) -> dict[PurePath, PurePath]:
    """Gives each source a PNG name in its folder, no two alike on any file system.

    Usually the suffix is replaced. Sources that would meet (`cat.jpg`, `cat.png`,
    `CAT.bmp`) keep theirs before the new one: `cat.jpg.png`, `cat.png.png`.
    """
    sources = sorted(sources)
    meeting = Counter(map(short_name, sources))
    names = {s: s.with_suffix(".png") for s in sources if meeting[short_name(s)] == 1}
    taken = {str(name).casefold() for name in names.values()}
    for source in sources:
        if source not in names:
            name, number = source.with_name(f"{source.name}.png"), 2
            while str(name).casefold() in taken:
                name = source.with_name(f"{source.name}-{number}.png")
                number += 1
            taken.add(str(name).casefold())
            names[source] = name
    return names

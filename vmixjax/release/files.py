"""Which files a run reads, and what it calls the files that it writes."""

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePath


def find_files(source: Path) -> list[PurePath]:
    """Files below a folder, or the one file: paths relative to it, sorted.

    Hidden files and folders are passed over: they are the file manager's notes, not
    pictures. Links to folders are not followed.
    """
    if not source.is_dir():
        return [PurePath(source.name)]
    found: list[PurePath] = []
    for folder, folders, names in os.walk(source):
        folders[:] = [name for name in folders if not name.startswith(".")]
        here = PurePath(folder).relative_to(source)
        found += [here / name for name in names if not name.startswith(".")]
    return sorted(found)


def is_inside(path: Path, folder: Path) -> bool:
    """Whether a path, links resolved, is a folder or lies below it."""
    return path.resolve().is_relative_to(folder.resolve())


def png_names(sources: Iterable[PurePath]) -> dict[PurePath, PurePath]:
    """A PNG name for each source, in its folder, no two alike on any file system.

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

"""Which tar files a source names, and what to do about those that cannot be read."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from vmixjax._printable import listed
from vmixjax.data.formats.webdataset.inflated import is_gzipped
from vmixjax.data.formats.webdataset.tar import open_tar, walk
from vmixjax.data.splits import split_of_file
from vmixjax.errors import RunError

_NOTES = {"", ".json", ".md", ".txt", ".rst", ".yaml", ".yml", ".csv", ".tsv", ".html"}
"""Suffixes of files that may lie beside tar files, and are no part of them."""


def is_tar(path: Path) -> bool:
    """Tells whether a path has the name of a tar file, gzipped or not."""
    return _is_plain(path) or is_gzipped(path)


def _is_plain(path: Path) -> bool:
    return path.suffix.lower() == ".tar"


def holds_only_tars(path: Path) -> bool:
    """Tells whether a folder is a release of tar files, or a file one of these."""
    if not path.is_dir():
        return _is_plain(path)
    files = [one for one in _files(path) if one.suffix != ".json"]
    return bool(files) and all(map(_is_plain, files))


def list_tars(path: Path) -> list[Path]:
    """Lists the tar files that a path names; none if it is something else.

    Raises:
      RunError: A list names a file that is not there; a folder holds tar files and
        others, or folders of them.
    """
    if path.is_dir():
        return _in_folder(path)
    if is_tar(path):
        return [path]
    if path.suffix != ".txt":
        return []
    lines = path.read_text(errors="surrogateescape").splitlines()
    tars = [path.parent / line.strip() for line in lines if line.strip()]
    for tar in tars:
        if not is_tar(tar) or not tar.is_file():
            raise RunError(f"SRC {path} lists {tar}, which is no tar file there")
    return tars


def splits_of(source: str, tars: Sequence[Path], *, released: bool) -> list[str]:
    """Gives the split that each tar file is of: where no name says it, the usual one.

    Raises:
      RunError: Some names say so, and others do not.
    """
    if released:
        # As `Shard.name` has it.
        ours = [re.fullmatch(r"(.+)-\d{6}", tar.stem) for tar in tars]
        return [match[1] if match else "train" for match in ours]
    splits = [split_of_file(tar.stem) for tar in tars]
    if None not in splits:
        return [split for split in splits if split]
    for tar, split in zip(tars, splits, strict=True):
        if split:
            other = tars[splits.index(None)]
            raise RunError(
                f"SRC {source} has {tar.name}, which is called as the split {split}, "
                f"and {other.name}, which is not: name the tar files of one in a list, "
                f"a .txt file, or rename them"
            )
    return ["train"] * len(tars)


def _files(folder: Path) -> list[Path]:
    """The files of a folder that are not hidden, in their order."""
    there = [one for one in sorted(folder.iterdir()) if not one.name.startswith(".")]
    return [one for one in there if one.is_file()]


def _in_folder(folder: Path) -> list[Path]:
    files = _files(folder)
    tars = [one for one in files if is_tar(one)]
    others = [one for one in files if not is_tar(one)]
    strange = [one.name for one in others if one.suffix.lower() not in _NOTES]
    if tars and strange:
        raise RunError(
            f"SRC {folder} holds tar files, and others, {listed(strange)}: name the "
            f"tar files in a .txt file, one to a line, or take the others out"
        )
    if tars or strange:
        return tars
    below = [
        one
        for one in sorted(folder.iterdir())
        if not one.name.startswith(".") and _begins_with_tars(one)
    ]
    if below:
        names = [str(one) for one in below]
        raise RunError(
            f"SRC {folder} holds folders of tar files, {listed(names)}: name one of "
            f"them, or the tar files in a .txt file, one to a line"
        )
    return []


def _begins_with_tars(path: Path) -> bool:
    """Whether a folder holds tar files and nothing else, if it is one."""
    if not path.is_dir() or path.is_symlink():
        return False
    # Most are classes of images: the first file tells.
    first = next((one for one in path.iterdir() if not one.name.startswith(".")), None)
    return first is not None and is_tar(first) and all(map(is_tar, _files(path)))


def unsorted(tar: Path, key: str) -> RunError:
    """Says what to do about a tar file whose samples are torn apart.

    Args:
      tar: Path of the file.
      key: Key of a sample that is.
    """
    names: set[str] = set()
    with open_tar(tar) as file:
        for member in walk(file):
            if member.name in names:
                return RunError(
                    f"{tar} has two members {member.name}; give one of them another "
                    f"name, or take it out"
                )
            names.add(member.name)
    file_name, folder = shlex.quote(str(tar)), "unpacked"
    return RunError(
        f"{tar} is not sorted, so that the files of the sample {key!r} lie apart: "
        f"`mkdir {folder} && tar -xf {file_name} -C {folder} && tar --sort=name -cf "
        f"sorted.tar -C {folder} .` makes a tar file that is"
    )

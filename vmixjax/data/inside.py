"""Names that files give, and what they name: always inside one folder, never by a link.

Notes of unfinished releases, manifests, vaults, tar files and data sets may come from
anybody, and folders may be changed by others while a run goes on. All names that are
read from such files pass `inside`, and what they name is opened, moved and removed by
the functions here, which walk from folder to folder without following a link.
"""

import contextlib
import dataclasses
import hashlib
import itertools
import os
import stat
from collections.abc import Iterable, Iterator
from io import BufferedReader
from pathlib import Path, PurePath, PurePosixPath

from vmixjax.errors import RunError

_OPEN = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_FOLDER = _OPEN | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
# Opening a pipe would wait for who writes to it.
_FILE = _OPEN | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_BY_FOLDER = {os.open, os.mkdir, os.rename, os.unlink} <= os.supports_dir_fd
"""Whether a name can be looked up in an open folder; on Windows it cannot."""


def inside(name: str) -> PurePosixPath:
    r"""Parses a path that a file gives, if it can only lie inside a folder.

    >>> inside("cats/00001.png")
    PurePosixPath('cats/00001.png')
    >>> inside("../00001.png")
    Traceback (most recent call last):
      ...
    ValueError: '../00001.png' leads out of its folder

    Raises:
      ValueError: It is absolute, empty, leads up, or holds what no name may hold.
    """
    strange = set('\0\\:*?"<>|' if os.name == "nt" else "\0")
    if strange & set(name) or not {"", ".", ".."}.isdisjoint(name.split("/")):
        raise ValueError(f"{name!r} leads out of its folder")
    return PurePosixPath(name)


def is_plain(name: str) -> bool:
    """Tells whether a name can be one of a file, in any folder, and of nothing else."""
    try:
        return inside(name).parts == (name,)
    except ValueError:
        return False


@contextlib.contextmanager
def open_inside(root: Path, name: str) -> Iterator[BufferedReader]:
    """Opens an ordinary file below a folder for reading.

    Raises:
      FileNotFoundError: It is not there.
      RunError: It, or a folder on the way, is a link; or it is no ordinary file.
      OSError: It cannot be read.
    """
    with _open_folder(root, inside(name).parent) as folder:
        last, within = folder.at(name)
        try:
            descriptor = open_ordinary(last, root / name, "remove it", within)
        except OSError as error:
            raise _described(error, root, name) from error
    with open(descriptor, "rb") as file:  # noqa: PTH123 (a descriptor, not a path)
        yield file


def open_ordinary(
    name: Path | str, path: Path, mend: str, folder: int | None = None
) -> int:
    """Opens an ordinary file for reading; a link is not followed.

    Args:
      name: Name of the file, in an open folder if one is given.
      path: Path of the file in complaints.
      mend: What to do where it is something else.
      folder: Descriptor of a folder.

    Returns:
      A descriptor of the file.

    Raises:
      RunError: It is no ordinary file.
      OSError: It is a link, not there, or cannot be opened.
    """
    descriptor = os.open(name, _FILE, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise RunError(f"{path} is no ordinary file; {mend}")
    return descriptor


def sha256_inside(root: Path, name: str) -> str:
    """Gives the SHA-256 of a file below a folder. Raises as `open_inside`."""
    with open_inside(root, name) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def holds(root: Path, name: str, expected: str) -> bool:
    """Tells whether a folder holds an ordinary file of this name and SHA-256, no link.

    Names may be anything: those that lead elsewhere are not looked up.
    """
    try:
        return sha256_inside(root, name) == expected
    except (FileNotFoundError, ValueError):
        return False


def move_inside(
    root: Path, moves: Iterable[tuple[str, str]], mode: int | None = None
) -> None:
    """Gives files below a folder other names there; folders are made as needed.

    A link at a new name is replaced, not followed.

    Args:
      root: Path of the folder.
      moves: For each file its name and the one that it gets, in this order.
      mode: Permission bits that they get, each once it has its name.

    Raises:
      RunError: A folder on the way is a link.
      OSError: One cannot be moved; it and those behind it have their old names then.
    """
    for (old, new), alike in itertools.groupby(moves, _folders):
        with (
            _open_folder(root, old) as source,
            _open_folder(root, new, create=True) as target,
        ):
            for before, after in alike:
                try:
                    _move(source, before, target, after, mode)
                except OSError as error:
                    raise _described(error, root, after) from error


def _folders(move: tuple[str, str]) -> tuple[PurePosixPath, PurePosixPath]:
    old, new = move
    return inside(old).parent, inside(new).parent


def _move(
    source: "_Folder", old: str, target: "_Folder", new: str, mode: int | None
) -> None:
    (old_name, old_folder), (new_name, new_folder) = source.at(old), target.at(new)
    # Open beforehand, so that the mode goes to this file and no other.
    descriptor = os.open(old_name, _FILE, dir_fd=old_folder)
    try:
        os.replace(old_name, new_name, src_dir_fd=old_folder, dst_dir_fd=new_folder)
        if mode is not None and hasattr(os, "fchmod"):
            os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def unlink_inside(root: Path, name: str) -> None:
    """Removes a file below a folder, if it is there; of a link, the link itself.

    Raises:
      RunError: A folder on the way is a link.
      OSError: It cannot be removed.
    """
    with (
        contextlib.suppress(FileNotFoundError),
        _open_folder(root, inside(name).parent) as folder,
    ):
        last, within = folder.at(name)
        os.unlink(last, dir_fd=within)


def own_folder(root: Path, name: str) -> Path:
    """Makes a folder below a folder, for nobody but its owner, if it is not there.

    Raises:
      RunError: It is a link, or no folder.
      OSError: It cannot be made.
    """
    path = root / name
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700, parents=True)
    check_folder(path)
    return path


def check_folder(path: Path) -> None:
    """Refuses a link, and what is no folder.

    Raises:
      RunError: It is one.
    """
    if not stat.S_ISDIR(path.lstat().st_mode):
        raise RunError(f"{path} is a link, or no folder; remove it and run again")


def create_private(path: Path) -> int:
    """Creates a file that nobody but its owner may read; gives its descriptor.

    Raises:
      OSError: It is there already, a link included, or cannot be made.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    return os.open(path, flags, 0o600)


def usual_mode(folder: Path) -> int:
    """Finds the permission bits that a new file gets in a folder."""
    # Asked of a file: the process's own mask can only be read by changing it.
    probe = folder / f"{os.urandom(16).hex()}.part"
    descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        return stat.S_IMODE(os.fstat(descriptor).st_mode)
    finally:
        os.close(descriptor)
        probe.unlink()


@dataclasses.dataclass(frozen=True)
class _Folder:
    """A folder, open where the system can look a name up in an open one."""

    path: Path
    descriptor: int | None

    def at(self, name: str) -> tuple[str, int | None]:
        """For functions of `os`: what a file in it is called, and where."""
        last = PurePosixPath(name).name
        if self.descriptor is None:
            return str(self.path / last), None
        return last, self.descriptor


@contextlib.contextmanager
def _open_folder(
    root: Path, name: PurePath, *, create: bool = False
) -> Iterator[_Folder]:
    """A folder below a folder, with no link on the way."""
    parts, path = name.parts, root / name
    if not _BY_FOLDER:
        here = root
        for part in parts:
            here /= part
            if create:
                here.mkdir(exist_ok=True)
            check_folder(here)
        yield _Folder(path, None)
        return
    with contextlib.ExitStack() as stack:
        # The folder itself was named by the user, who may have meant a link.
        last = _opened(stack, root, _FOLDER & ~os.O_NOFOLLOW, None)
        for part in parts:
            if create:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, dir_fd=last)
            try:
                last = _opened(stack, part, _FOLDER, last)
            except OSError as error:
                raise _described(error, root, name) from error
        yield _Folder(path, last)


def _opened(
    stack: contextlib.ExitStack, path: Path | str, flags: int, folder: int | None
) -> int:
    descriptor = os.open(path, flags, dir_fd=folder)
    stack.callback(os.close, descriptor)
    return descriptor


def _described(error: OSError, root: Path, name: PurePath | str) -> Exception:
    """An error that names the path whole; links, which are not followed, are said."""
    path = root / name
    links = [p for p in (path, *path.parents) if root in p.parents and p.is_symlink()]
    if links:
        return RunError(f"{links[-1]} is a link; remove it, or name another folder")
    if isinstance(error, NotADirectoryError):
        return RunError(f"{path} lies below a file; remove that and run again")
    error.filename, error.filename2 = str(path), None
    return error

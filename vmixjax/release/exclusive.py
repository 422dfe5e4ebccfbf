"""One run at a time works on a folder: another would sweep away what is under way.

The lock is the system's own, so it ends with the process that holds it, however that
ends. Where the system cannot lock, as on some network drives, nothing is locked: a file
as a mark instead, which filelock would leave there, would stay after a kill.
"""

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from vmixjax.data.inside import own_folder
from vmixjax.data.writing import LOCK, WORK
from vmixjax.errors import RunError

if sys.platform != "win32":
    import fcntl

_BUSY = (errno.EACCES, errno.EAGAIN)
_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)
_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)


@contextlib.contextmanager
def exclusive(root: Path, option: str = "DST") -> Iterator[None]:
    """Keeps other runs from a folder, which is made if it is not there.

    What is empty when the block ends is removed.

    Args:
      root: The folder.
      option: What complaints call it.

    Raises:
      RunError: Another run works on it, or a link is where the lock should be.
      OSError: It cannot be made.
    """
    if sys.platform == "win32":
        yield
        return
    made = [path for path in (root, *root.parents) if not path.exists()]
    try:
        descriptor = _locked(root, option)
    except OSError as error:
        # Nobody can write there, so no two can. What is refused later says why.
        if error.errno not in _READ_ONLY:
            raise
        yield
        return
    try:
        yield
    finally:
        _leave(root, made)
        os.close(descriptor)


def _locked(root: Path, option: str) -> int:
    """A descriptor that holds the lock until it is closed."""
    while True:
        path = own_folder(root, WORK) / LOCK
        try:
            descriptor = os.open(path, _FLAGS, 0o600)
        except FileNotFoundError:
            # Another run has just ended, and taken its folder away.
            continue
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            raise RunError(f"{path} is a link; remove it and run again") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _BUSY:
                os.close(descriptor)
                raise RunError(
                    f"another run is working on {option} {root}; wait until it ends, "
                    f"or name another folder"
                ) from error
        # Otherwise it is the lock of a run that has ended since, and removed it.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.lstat()):
                return descriptor
        os.close(descriptor)


def _leave(root: Path, made: list[Path]) -> None:
    """Removes the lock where nothing else is under way, and what is empty then."""
    work = root / WORK
    with contextlib.suppress(OSError):
        if os.listdir(work) == [LOCK]:  # noqa: PTH208 (one name, not a path)
            (work / LOCK).unlink()
            work.rmdir()
        for path in made:
            path.rmdir()

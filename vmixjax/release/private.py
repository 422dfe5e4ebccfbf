"""Files that only their owner may have a hand in: secrets, passphrases, vaults.

As `ssh` does with keys, what others can read, change or have made is refused rather
than used.
"""

import os
import stat
from pathlib import Path

from vmixjax.errors import RunError

_ROOT = 0


def check_private(path: Path, option: str) -> None:
    """Refuses a file that others can read or change, or have put there.

    Args:
      path: of the file.
      option: what the complaint begins with.

    Raises:
      RunError: it is a link, no ordinary file, belongs to another, or is not private.
      FileNotFoundError: it is not there.
    """
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        raise RunError(f"{option} {path} is a link; name what it leads to")
    if not stat.S_ISREG(status.st_mode):
        raise RunError(f"{option} {path} is no ordinary file; name another")
    _check_mode(status, path, option)


def check_private_folder(path: Path, option: str) -> None:
    """Refuses a folder where others can put or exchange files.

    Raises:
      RunError: it is a link, no folder, belongs to another, or others may write to it.
      FileNotFoundError: it is not there.
    """
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        raise RunError(f"{option} {path} is a link; name the folder it leads to")
    if not stat.S_ISDIR(status.st_mode):
        raise RunError(f"{option} {path} is a file; name a folder")
    _check_owner(status, path, option)
    if os.name == "posix" and status.st_mode & 0o022:
        raise RunError(
            f"{option} {path} can be written to by others: `chmod 700 {path}`, if "
            f"nobody else has put anything there"
        )


def read_private(path: Path, option: str, limit: int) -> bytes:
    """The beginning of a file that holds a secret, `limit` bytes at most.

    A pipe, such as a shell's `<(...)`, and a terminal are as private as they can be.

    Raises:
      RunError: it belongs to another, others can read or change it, or it is neither a
        file, a pipe nor a terminal.
      OSError: it is not there, or cannot be read.
    """
    with path.open("rb", buffering=0) as file:
        status = os.fstat(file.fileno())
        if stat.S_ISREG(status.st_mode):
            _check_mode(status, path, option)
        elif not (stat.S_ISFIFO(status.st_mode) or file.isatty()):
            raise RunError(f"{option} {path} is no ordinary file; name another")
        found = b""
        while len(found) < limit and (more := file.read(limit - len(found))):
            found += more
            if file.isatty() and found.endswith(b"\n"):
                break
        return found


def _check_mode(status: os.stat_result, path: Path, option: str) -> None:
    _check_owner(status, path, option)
    if os.name != "posix":
        return
    # What the system's own account hands to a group, as orchestrators do, may be read.
    others = 0o077 if status.st_uid == os.geteuid() else 0o037
    if status.st_mode & others:
        raise RunError(
            f"{option} {path} can be read or changed by others: `chmod 600 {path}`, "
            f"and take a new one if somebody may have done so"
        )


def _check_owner(status: os.stat_result, path: Path, option: str) -> None:
    if os.name == "posix" and status.st_uid not in (os.geteuid(), _ROOT):
        raise RunError(
            f"{option} {path} belongs to another user, who may have planted it; name "
            f"one of your own, or become its owner"
        )

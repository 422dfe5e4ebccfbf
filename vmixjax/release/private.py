"""Files that only their owner may have a hand in: secrets, passphrases, vaults.

As `ssh` does with keys, what others can read, change or have made is refused rather
than used.
"""

import os
import stat
from pathlib import Path

from vmixjax.errors import RunError

_ROOT = 0

_PASSPHRASE = 4096
"""Bytes, at most."""


def check_private(path: Path, option: str) -> None:
    """Refuses a file that others can read or change, or have put there.

    Args:
      path: Path of the file.
      option: What the complaint begins with.

    Raises:
      RunError: It is a link, no ordinary file, belongs to another, or is not private.
      FileNotFoundError: It is not there.
    """
    status = _not_a_link(path, option, "what")
    if not stat.S_ISREG(status.st_mode):
        raise RunError(f"{option} {path} is no ordinary file; name another")
    _check_mode(status, path, option)


def check_private_folder(path: Path, option: str) -> None:
    """Refuses a folder where others can put or exchange files.

    Raises:
      RunError: It is a link, no folder, belongs to another, or others may write to it.
      FileNotFoundError: It is not there.
    """
    status = _not_a_link(path, option, "the folder")
    if not stat.S_ISDIR(status.st_mode):
        raise RunError(f"{option} {path} is a file; name a folder")
    _check_owner(status, path, option)
    if os.name == "posix" and status.st_mode & 0o022:
        raise RunError(
            f"{option} {path} can be written to by others: `chmod 700 {path}`, if "
            f"nobody else has put anything there"
        )


def read_private(path: Path, option: str, limit: int) -> bytes:
    """Reads the beginning of a file that holds a secret, `limit` bytes at most.

    A pipe, such as a shell's `<(...)`, and a terminal are as private as they can be.

    Raises:
      RunError: It belongs to another, others can read or change it, or it is neither a
        file, a pipe nor a terminal.
      OSError: It is not there, or cannot be read.
    """
    with path.open("rb", buffering=0) as file:
        status = os.fstat(file.fileno())
        if stat.S_ISREG(status.st_mode):
            _check_mode(status, path, option)
        elif not (stat.S_ISFIFO(status.st_mode) or file.isatty()):
            raise RunError(f"{option} {path} is no ordinary file; name another")
        data = b""
        while len(data) < limit and (more := file.read(limit - len(data))):
            data += more
            if file.isatty() and data.endswith(b"\n"):
                break
        return data


def read_passphrase(path: Path | None) -> bytes | None:
    """Reads the first line of a file; gives None where none is named.

    Raises:
      RunError: It is empty or endless, or others may have read or made the file.
      OSError: The file is not there, or cannot be read.
    """
    if path is None:
        return None
    option = "--vault-passphrase-file"
    lines = read_private(path, option, _PASSPHRASE + 1).split(b"\n", 1)
    passphrase = lines[0].rstrip(b"\r")
    if not passphrase:
        raise RunError(f"{option} {path} has no first line; write the passphrase there")
    if len(passphrase) > _PASSPHRASE:
        raise RunError(
            f"{option} {path} has a first line of more than {_PASSPHRASE} bytes; write "
            f"a shorter passphrase there"
        )
    return passphrase


def _not_a_link(path: Path, option: str, target: str) -> os.stat_result:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        raise RunError(f"{option} {path} is a link; name {target} it leads to")
    return status


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

"""Files that appear whole or not at all."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


@contextlib.contextmanager
def atomic_path(
    path: Path, mode: int | None = None, *, aside: Path | None = None
) -> Iterator[BinaryIO]:
    """Opens a file for writing that takes the name `path` only once it is complete.

    The bytes go to a new `.<random>.part` file in the same folder, or in `aside`. When
    the block ends normally they are forced to disk and the file is renamed to `path`.
    When it does not, whatever the reason, the temporary file is removed and whatever
    was at `path` stays. A link at `path` is replaced, never followed.

    Args:
      path: Final name; its folder must exist.
      mode: Permission bits, set as the file is created so that there is no moment at
        which others may read it; the umask applies. None means 0o666, as for any new
        file.
      aside: Folder on the same file system that somebody looks after: a process that
        is killed leaves its temporary file behind.

    Yields:
      A binary file open for writing.

    Raises:
      OSError: The file cannot be created, written or renamed.
    """
    # The name says nothing of the final one and fits wherever that one does.
    part = (aside or path.parent) / f".{secrets.token_hex(16)}.part"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    # Creation is inside the `try` so that an interrupt right after it leaves nothing
    # behind. That removes only our own file: 128 random bits do not collide.
    try:
        descriptor = os.open(part, flags, 0o666 if mode is None else mode)
        with open(descriptor, "wb") as file:  # noqa: PTH123 (a descriptor, not a path)
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)  # noqa: PTH105 (says what it promises)
    except BaseException:
        # A failing clean-up must not hide why it was needed.
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise

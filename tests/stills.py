"""What a kill would leave, seen from inside: work goes on in several threads."""

import os
from threading import RLock

MOVES = ("rename", "replace", "rmdir", "unlink")


def after_each_flush(patch, look):
    """Calls `look` after each `fsync`, while no thread renames or removes anything."""
    lock, flush = RLock(), os.fsync

    def looking(descriptor):
        flush(descriptor)
        with lock:
            look()

    def held(move):
        def moving(*arguments, **keywords):
            with lock:
                return move(*arguments, **keywords)

        return moving

    patch.setattr(os, "fsync", looking)
    for name in MOVES:
        patch.setattr(os, name, held(getattr(os, name)))

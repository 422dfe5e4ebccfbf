"""What ends a run with one line instead of a traceback."""

from vmixjax.errors import RunError

__all__ = ["RunError"]

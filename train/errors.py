"""What ends a run with one line instead of a traceback."""


class RunError(Exception):
    """A run that cannot start or go on: one line with what is wrong and the mend."""

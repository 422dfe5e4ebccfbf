"""What ends a run over files."""


class RunError(ValueError):
    """A run that cannot begin or go on: one line that says why, and what to do."""
